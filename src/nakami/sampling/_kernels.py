"""Moves of a batch of chains: the interface, and those that draw hidden units in between.

A kernel leaves ``p*(v)`` of its machine invariant; that is all that sampling needs. Detailed
balance is more, and the kernels named after Suwa and Todo and the lifted one break it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..results import check_at_least, wrong, wrong_type
from ._allocation import allocated, moved_pairs
from ._machine import Machine, drawn


class Kernel(ABC):
    """One sweep of a chain over the visible units, for a batch of chains.

    A kernel holds settings alone and is shared by all chains.
    """

    def begin(self, v: Tensor, generator: torch.Generator) -> Tensor | None:
        """What a chain carries beside its state, ``(N,)``; None where it is nothing."""
        return None

    @abstractmethod
    @torch.no_grad()
    def sweep(
        self,
        machine: Machine,
        v: Tensor,
        generator: torch.Generator,
        memory: Tensor | None = None,
    ) -> Tensor:
        """The next states.

        Args:
            machine: What is sampled.
            v: States ``(N, visible)``, zeros and ones in the machine's dtype; not changed.
            generator: Source of the random numbers, on the machine's device.
            memory: What ``begin`` gave; changed in place.
        """


@final
@dataclass(frozen=True)
class BlockGibbs(Kernel):
    """All hidden units given the visible ones, then all visible ones given the hidden.

    Two matrix products a sweep. Seen at the visible units it obeys detailed balance. The one kernel
    for visible units of any kind: the others are for binary ones.
    """

    def sweep(
        self,
        machine: Machine,
        v: Tensor,
        generator: torch.Generator,
        memory: Tensor | None = None,
    ) -> Tensor:
        h = drawn(machine.hidden_logit(v), generator)
        return machine.visible_drawn(h, generator)


@final
@dataclass(frozen=True)
class MetropolisedGibbs(Kernel):
    """Hidden units as in block Gibbs; each visible unit flips by Metropolis' rule given them.

    ``min(1, p(1 - v_i | h) / p(v_i | h))``, all units at once: the least rejection for two states
    (Liu, Biometrika 83, 1996). Obeys detailed balance; costs what block Gibbs costs.
    """

    def sweep(
        self,
        machine: Machine,
        v: Tensor,
        generator: torch.Generator,
        memory: Tensor | None = None,
    ) -> Tensor:
        h = drawn(machine.hidden_logit(v), generator)
        accept = (machine.visible_logit(h) * (1 - 2 * v)).exp_()  # above 1: surely
        flip = torch.empty_like(v).uniform_(generator=generator) < accept
        return torch.where(flip, 1 - v, v)


@final
@dataclass(frozen=True)
class SuwaTodo(Kernel):
    """Hidden units as in block Gibbs; blocks of visible units move by geometric allocation.

    Blocks are neighbours in the order of the units, and the last may be smaller. All move at once,
    each among its ``2^block`` states given the hidden units: two matrix products a sweep, and for
    blocks other than pairs a sort of ``2^block`` numbers each, which takes longer than these.

    Args:
        block: Units of a block; 2 breaks detailed balance, 1 is ``MetropolisedGibbs``.
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
        h = drawn(machine.hidden_logit(v), generator)
        logit, moved = machine.visible_logit(h), torch.empty_like(v)
        whole = v.shape[1] - v.shape[1] % self.block
        for start, stop, size in ((0, whole, self.block), (whole, v.shape[1], v.shape[1] - whole)):
            if start == stop:
                continue
            if size == 2:
                logits, part = (x[:, start:stop].unflatten(1, (-1, 2)) for x in (logit, v))
                u = torch.empty_like(logits[..., 0]).uniform_(generator=generator)
                moved[:, start:stop] = moved_pairs(logits, part, u).flatten(1)
            else:
                table, place = states(size, v), places(size, v)
                part = v[:, start:stop].unflatten(1, (-1, size))
                weights = logit[:, start:stop].unflatten(1, (-1, size)) @ table.T
                found = allocated(weights, (part @ place).long(), generator)
                moved[:, start:stop] = table[found].flatten(1)
        return moved


def check_kernel(kernel: object, machine: Machine | None = None) -> Kernel:
    """The kernel itself, if it is one for the machine's units; block Gibbs for None."""
    if kernel is None:
        return BlockGibbs()
    if not isinstance(kernel, Kernel):
        got = f"the class {kernel.__name__}" if isinstance(kernel, type) else type(kernel).__name__
        raise wrong_type("kernel", "be a Kernel", got, "pass sampling.BlockGibbs()")
    if machine is not None and not machine.units.binary and not isinstance(kernel, BlockGibbs):
        got, rule = type(kernel).__name__, "be BlockGibbs for visible units that are not binary"
        raise wrong("kernel", rule, got, "leave it out")
    return kernel


def states(n: int, like: Tensor) -> Tensor:
    """All states of n units, ``(2^n, n)``; the first unit is the highest bit of the index."""
    index = torch.arange(1 << n, device=like.device)[:, None]
    bits = torch.arange(n - 1, -1, -1, device=like.device)
    return (index >> bits & 1).to(like.dtype)


def places(n: int, like: Tensor) -> Tensor:
    """Worth of each unit in the index of its state, ``(n,)``."""
    return 2.0 ** torch.arange(n - 1, -1, -1, device=like.device, dtype=like.dtype)
