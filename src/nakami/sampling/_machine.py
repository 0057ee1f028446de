"""The model that is sampled: visible units of some kind and binary hidden ones, in pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from ..results import is_number, wrong, wrong_type
from ._units import BINARY, VisibleUnits, bernoulli

Temperature: TypeAlias = float | Tensor


class PairEnergy(Protocol):
    """What has the energy ``E(v, h) = -a.v - b.h - h.W v``; ``zoo.rbm.RBM`` is one.

    With an attribute ``units`` (``VisibleUnits``) the visible ones are of that kind, not binary.

    Attributes:
        weight: ``W``, ``(hidden, visible)``, floating. visible_bias: ``a``. hidden_bias: ``b``.
    """

    @property
    def weight(self) -> Tensor: ...
    @property
    def visible_bias(self) -> Tensor: ...
    @property
    def hidden_bias(self) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Machine:
    """A machine at inverse temperature ``beta``, on the way from a base of independent units.

    ``log p*(v) = (1 - beta) a0.v + beta a.v + sum_j softplus(beta (b + W v))_j`` in nats, not
    normalised. At ``beta = 1`` it is the machine itself, at 0 the base ``exp(a0.v) 2^hidden``. For
    units that are not binary ``units.own`` stands in place of ``a.v``, ``units.signal(v)`` of v.

    Args:
        weight: ``W``, ``(hidden, visible)``. visible_bias: ``a``. hidden_bias: ``b``.
        beta: A number from 0 to 1, or one for each chain, ``(N, 1)``.
        base: ``a0``, ``(visible,)``; None: zeros.
        units: Kind of the visible units.
    """

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    beta: Temperature = 1.0
    base: Tensor | None = None
    units: VisibleUnits = BINARY

    @property
    def visible_units(self) -> int:
        return self.weight.shape[1]

    @property
    def hidden_units(self) -> int:
        return self.weight.shape[0]

    def at(self, beta: Temperature, base: Tensor | None = None) -> Machine:
        """The same weights at another temperature; without ``base`` its own."""
        base = self.base if base is None else base
        return replace(self, beta=beta, base=base)

    def scaled(self, x: Tensor) -> Tensor:
        """``beta x``, rows of ``x`` going with the chains."""
        if isinstance(self.beta, Tensor):
            return x * self.beta.reshape(-1, *[1] * (x.ndim - 1))
        return x if self.beta == 1 else x * self.beta

    @property
    def offset(self) -> Tensor:
        """Visible biases at this temperature: ``(visible,)``, or ``(N, visible)``."""
        if isinstance(self.beta, float) and self.beta == 1:
            return self.visible_bias
        beta = self.beta
        tempered = beta * self.visible_bias
        return tempered if self.base is None else tempered + (1 - beta) * self.base

    def input(self, v: Tensor) -> Tensor:
        """``b + W v`` without temperature, ``(N, visible) -> (N, hidden)``."""
        return F.linear(self.units.signal(v), self.weight, self.hidden_bias)

    def hidden_logit(self, v: Tensor) -> Tensor:
        """Log odds of ``h = 1`` given v, ``(N, visible) -> (N, hidden)``."""
        return self.scaled(self.input(v))

    def visible_logit(self, h: Tensor) -> Tensor:
        """``theta`` of the visible units given h, ``(N, hidden) -> (N, visible)``.

        Log odds of ``v = 1`` if they are binary.
        """
        bias = self.units.natural(self.offset)
        if isinstance(self.beta, float) and self.beta == 1:
            return torch.addmm(bias, h, self.weight)
        return self.scaled(h @ self.weight).add_(bias)

    def visible_drawn(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Visible units given h, ``(N, hidden) -> (N, visible)``."""
        return self.units.drawn(self.units.mean(self.visible_logit(h)), generator)

    def log_weight(self, v: Tensor, x: Tensor | None = None) -> Tensor:
        """``log p*(v)``, ``(N, visible) -> (N,)`` in float64; ``x`` is ``b + W v`` if known."""
        x = self.input(v) if x is None else x
        hidden = F.softplus(self.scaled(x)).sum(-1, dtype=torch.float64)
        own = self.units.own(v, self.offset).sum(-1, dtype=torch.float64)
        if self.base is not None:
            own = own + self.units.mixed(self.visible_bias, self.base, self.beta)
        return hidden + own


def machine_of(model: PairEnergy | Machine) -> Machine:
    """A ``Machine`` of any model with these three tensors, checked and without gradients.

    Raises:
        UsageError: A tensor is missing, has another shape or dtype, or is not finite.
    """
    if isinstance(model, Machine):
        found = model
    else:
        parts = [getattr(model, name, None) for name in ("weight", "visible_bias", "hidden_bias")]
        if not all(isinstance(part, Tensor) for part in parts):
            rule = "have the tensors weight (hidden, visible), visible_bias and hidden_bias"
            way_out = "pass a zoo.rbm.RBM or a sampling.Machine"
            raise wrong("model", rule, type(model).__name__, way_out)
        weight, visible, hidden = (part.detach() for part in parts if part is not None)
        units = getattr(model, "units", BINARY).detached()
        found = Machine(weight, visible, hidden, units=units)
    _check(found)
    return found


def _check(machine: Machine) -> None:
    parts = {
        "weight": machine.weight,
        "visible_bias": machine.visible_bias,
        "hidden_bias": machine.hidden_bias,
    }
    if machine.weight.ndim != 2:
        got = tuple(machine.weight.shape)
        raise wrong("weight", "have shape (hidden, visible)", got, "pass a matrix")
    h, v = machine.weight.shape
    for name, wanted in (("visible_bias", (v,)), ("hidden_bias", (h,))):
        if tuple(parts[name].shape) != wanted:
            way_out = "the weight is (hidden, visible), the transpose of most papers: pass W.T"
            raise wrong(name, f"have shape {wanted}", tuple(parts[name].shape), way_out)
    for name, part in parts.items():
        if not part.is_floating_point():
            raise wrong(name, "be floating", part.dtype, "pass it as .float()")
        if not torch.isfinite(part).all():
            bad = f"{int((~torch.isfinite(part)).sum())} values that are NaN or infinite"
            raise wrong(name, "be finite", bad, "train with a smaller rate")


def check_beta(beta: object) -> float:
    """An inverse temperature from 0 to 1."""
    if not is_number(beta) or not 0 <= beta <= 1:
        raise wrong("beta", "lie in 0..1", repr(beta), "pass beta=1 for the machine itself")
    return float(beta)


def check_binary(machine: Machine, what: str) -> Machine:
    """The machine itself; refused where its visible units are not zeros and ones."""
    if not machine.units.binary:
        got, way_out = type(machine.units).__name__, "take sampling.log_partition"
        raise wrong("model", f"have binary visible units for {what}", got, way_out)
    return machine


def check_states(argument: str, v: Tensor, machine: Machine) -> Tensor:
    """Rows of states, in the machine's dtype and on its device."""
    return check_rows(argument, v, machine.visible_units, machine.weight, machine.units)


def check_rows(
    argument: str, v: Tensor, n: int, like: Tensor, units: VisibleUnits = BINARY
) -> Tensor:
    """States of n units, in the dtype and on the device of ``like``."""
    if not isinstance(v, Tensor) or v.ndim != 2 or v.shape[1] != n or not len(v):
        got = tuple(v.shape) if isinstance(v, Tensor) else type(v).__name__
        raise wrong(argument, f"have shape (N, {n}), N at least 1", got, "pass data.flatten(1)")
    v = v.detach().to(like)
    units.check(argument, v, states=True)
    return v


def drawn(logit: Tensor, generator: torch.Generator) -> Tensor:
    """Zeros and ones, one where ``u < sigmoid(logit)``; the logits are overwritten."""
    return bernoulli(logit.sigmoid_(), generator)


def uniform(
    *shape: int, like: Tensor, generator: torch.Generator, dtype: torch.dtype | None = None
) -> Tensor:
    """Random numbers in [0, 1) on the device of ``like``."""
    found = torch.empty(*shape, dtype=dtype or like.dtype, device=like.device)
    return found.uniform_(generator=generator)


def seeded(generator: torch.Generator | None, like: Tensor) -> torch.Generator:
    """The generator itself, or a fresh one with seed 0 on the device of ``like``."""
    if generator is None:
        return torch.Generator(like.device).manual_seed(0)
    if not hasattr(generator, "device"):
        way_out = "pass torch.Generator().manual_seed(0)"
        raise wrong_type("generator", "be a torch.Generator", repr(generator), way_out)
    if generator.device.type != like.device.type:
        way_out = f'pass torch.Generator("{like.device}")'
        rule = "be on the device of the model"
        raise wrong("generator", rule, f"{generator.device} and {like.device}", way_out)
    return generator
