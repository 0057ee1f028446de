"""Moves with the hidden units summed out: single units, blocks, random flips, lifted flips.

They know ``p*(v)`` itself, so the hidden units do not hold them where they are; in exchange a sweep
is a sequence of as many steps as there are blocks. ``x = b + W v`` is carried along, so that a
candidate costs one softplus for each hidden unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..results import check_at_least, wrong
from ._allocation import allocated, heat_bath
from ._kernels import Kernel, places, states
from ._machine import Machine, uniform

CHUNK = 1 << 24  # numbers of a table of all flips


@final
@dataclass(frozen=True)
class CollapsedGibbs(Kernel):
    """Blocks of visible units one after another, each drawn given all others.

    Args:
        block: Units of a block, drawn together among ``2^block`` states.
    """

    block: int = 1

    def __post_init__(self) -> None:
        check_at_least("block", self.block, 1, "pass block=1")

    def sweep(
        self,
        machine: Machine,
        v: Tensor,
        generator: torch.Generator,
        memory: Tensor | None = None,
    ) -> Tensor:
        return scan(machine, v, generator, self.block, heat_bath)


@final
@dataclass(frozen=True)
class CollapsedSuwaTodo(Kernel):
    """Blocks of visible units one after another, each moved by geometric allocation.

    Args:
        block: Units of a block; 1 is a scan by Metropolis' rule.
    """

    block: int = 2

    def __post_init__(self) -> None:
        check_at_least("block", self.block, 1, "pass block=2")

    def sweep(
        self,
        machine: Machine,
        v: Tensor,
        generator: torch.Generator,
        memory: Tensor | None = None,
    ) -> Tensor:
        return scan(machine, v, generator, self.block, allocated)


@final
@dataclass(frozen=True)
class RandomFlips(Kernel):
    """Metropolis steps, each at a unit drawn at random.

    Args:
        steps: Of a sweep; None: as many as there are visible units.
    """

    steps: int | None = None

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def sweep(
        self,
        machine: Machine,
        v: Tensor,
        generator: torch.Generator,
        memory: Tensor | None = None,
    ) -> Tensor:
        v, x, offset = v.clone(), machine.input(v), machine.offset.expand_as(v)
        chains = torch.arange(len(v), device=v.device)
        for _ in range(self.steps or v.shape[1]):
            unit = (uniform(len(v), like=v, generator=generator) * v.shape[1]).long()
            unit.clamp_(max=v.shape[1] - 1)
            sign = 1 - 2 * v[chains, unit]
            there = torch.addcmul(x, sign[:, None], machine.weight.T[unit])
            gain = sign * offset[chains, unit] + _energy(machine, there) - _energy(machine, x)
            flip = uniform(len(v), like=v, generator=generator) < gain.exp()
            x = torch.where(flip[:, None], there, x)
            v[chains, unit] += sign * flip
        return v


@final
@dataclass(frozen=True, eq=False)
class Lifted(Kernel):
    """Flips in one direction of ``sum_i s_i v_i`` at a time, by skewed detailed balance.

    A chain carries a direction, 1 or -1, and takes only flips that move the sum there; it turns
    with the probability that balances what it cannot take back. A step needs the energies of all
    flips: by far the dearest kernel.

    Args:
        signs: ``s``, ``(visible,)`` of 1 and -1; None: ones.
        steps: Of a sweep; None: as many as there are visible units.

    Source: Turitsyn, Chertkov, Vucelja, Physica D 240, 410 (2011).
    """

    signs: Tensor | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        _check_steps(self.steps)
        if self.signs is not None and not (self.signs.abs() == 1).all():
            raise wrong("signs", "be 1 or -1", self.signs.tolist(), "pass weight.sum(0).sign()")

    def begin(self, v: Tensor, generator: torch.Generator) -> Tensor:
        """Directions drawn with equal chance."""
        return (uniform(len(v), like=v, generator=generator) < 0.5).to(v) * 2 - 1

    def sweep(
        self,
        machine: Machine,
        v: Tensor,
        generator: torch.Generator,
        memory: Tensor | None = None,
    ) -> Tensor:
        if memory is None:
            raise wrong("memory", "be what begin gave", None, "pass kernel.begin(v, generator)")
        v, x, n = v.clone(), machine.input(v), v.shape[1]
        if self.signs is not None and self.signs.shape != (n,):
            got, way_out = tuple(self.signs.shape), "pass weight.sum(0).sign()"
            raise wrong("signs", f"have one entry for each visible unit, ({n},)", got, way_out)
        signs = torch.ones_like(v[0]) if self.signs is None else self.signs.to(v)
        for _ in range(self.steps or n):
            accept = flip_gains(machine, v, x).clamp_(max=0).exp_().div_(n)
            along = signs * (1 - 2 * v) == memory[:, None]
            forward = torch.where(along, accept, 0.0)
            turn = (accept.sum(1) - 2 * forward.sum(1)).clamp(min=0)
            sums = torch.cat([forward, turn[:, None]], 1).cumsum(1, dtype=torch.float64)
            u = uniform(len(v), 1, like=v, generator=generator, dtype=torch.float64)
            choice = (sums <= u).sum(1)  # n: turn; n + 1: stay
            chains = (choice < n).nonzero()[:, 0]
            units = choice[chains]
            x[chains] += (1 - 2 * v[chains, units])[:, None] * machine.weight.T[units]
            v[chains, units] = 1 - v[chains, units]
            memory[choice == n] *= -1
        return v


def flip_gains(machine: Machine, v: Tensor, x: Tensor) -> Tensor:
    """``log p*(v with unit i flipped) - log p*(v)``, ``(N, visible)``."""
    sign, here = 1 - 2 * v, _energy(machine, x)
    gains = sign * machine.offset
    size = max(1, CHUNK // x.numel())
    for part, columns in zip(sign.split(size, 1), machine.weight.T.split(size), strict=True):
        there = torch.addcmul(x[:, None], part[:, :, None], columns)
        start = columns.storage_offset() - machine.weight.storage_offset()
        gains[:, start : start + len(columns)] += _energy(machine, there) - here[:, None]
    return gains


def scan(
    machine: Machine,
    v: Tensor,
    generator: torch.Generator,
    block: int,
    move: Callable[[Tensor, Tensor, torch.Generator], Tensor],
) -> Tensor:
    """Blocks in order; ``move`` gives each a state from the log weights of its ``2^block``."""
    v, x, offset = v.clone(), machine.input(v), machine.offset.expand_as(v)
    for start in range(0, v.shape[1], block):
        here = slice(start, start + block)
        size = v[:, here].shape[1]
        table, columns = states(size, v), machine.weight[:, here].T
        change = table - v[:, None, here]  # (N, 2^size, size)
        there = x[:, None] + change @ columns
        weights = (change * offset[:, None, here]).sum(-1) + _energy(machine, there)
        found = move(weights, (v[:, here] @ places(size, v)).long(), generator)
        v[:, here] = table[found]
        x = there[torch.arange(len(v), device=v.device), found]
    return v


def _check_steps(steps: int | None) -> None:
    if steps is not None:
        check_at_least("steps", steps, 1, "leave steps out for one step for each unit")


def _energy(machine: Machine, x: Tensor) -> Tensor:
    """``sum_j softplus(beta x_j)``, ``(N, ..., hidden) -> (N, ...)``."""
    return F.softplus(machine.scaled(x)).sum(-1)
