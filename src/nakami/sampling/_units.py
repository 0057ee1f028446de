"""Kinds of visible units: binary, normal, groups of which one is on.

All are exponential families: given ``theta = natural(bias) + W^T h`` the units are independent with
density ``exp(signal(v) . theta)`` times a factor of ``v`` alone, so one machine, one chain and one
estimate of ``log Z`` serve them all. Hidden units see ``signal(v)``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..results import check_at_least, wrong


class VisibleUnits(ABC):
    """What visible units may be, and their law given what drives them.

    ``bias`` is ``a`` of the machine throughout, ``(units,)`` or a row for each chain.

    Attributes:
        binary: Whether the units are zeros and ones, each on its own.
    """

    binary = False

    def detached(self) -> VisibleUnits:
        """The same without gradients, on the same memory."""
        return self

    def signal(self, v: Tensor) -> Tensor:
        """What hidden units see, ``(..., units)``."""
        return v

    def natural(self, bias: Tensor) -> Tensor:
        """The bias as a part of ``theta``."""
        return bias

    @abstractmethod
    def mean(self, theta: Tensor) -> Tensor:
        """Mean of v, ``(..., units)``."""

    @abstractmethod
    def drawn(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """States with these means, drawn where the generator is."""

    def states(self, data: Tensor, generator: torch.Generator) -> Tensor:
        """Examples as states: values between are taken as means."""
        return self.drawn(data, generator)

    def own(self, v: Tensor, bias: Tensor) -> Tensor:
        """``log`` of the factor of each unit that no hidden unit drives, ``(..., units)``."""
        return v * bias

    def gain(self, v: Tensor, bias: Tensor, base: Tensor) -> Tensor:
        """``own`` with one bias less that with another, ``(..., units)``."""
        return v * (bias - base)

    def mixed(self, bias: Tensor, base: Tensor, beta: float | Tensor) -> float | Tensor:
        """What ``own`` of the mean bias lacks to the mean of both, at weights ``beta``, 1 - beta.

        Summed over the units, ``()`` or ``(N,)``; 0 where ``own`` is linear.
        """
        return 0.0

    @abstractmethod
    def log_normaliser(self, bias: Tensor, drive: Tensor) -> Tensor:
        """``log`` of the sum over v of ``exp(own + signal . drive)``, over all units, ``(...)``."""

    def slope(self, difference: Tensor) -> Tensor:
        """``-dE/da`` of one state less that of another, by their ``difference``."""
        return difference

    @abstractmethod
    def base(self, data: Tensor) -> Tensor:
        """Biases of independent units with the means of ``data``, ``(N, units) -> (units,)``."""

    @abstractmethod
    def fault(self, v: Tensor, states: bool) -> tuple[str, str, str] | None:
        """Rule, value, and what to type, if these rows cannot be data or ``states``; else None."""

    def check(self, argument: str, v: Tensor, *, states: bool = False) -> None:
        """Refuse rows that the units cannot be: as ``states`` of a chain, or as data."""
        fault = self.fault(v, states)
        if fault:
            rule, got, way_out = fault
            raise wrong(argument, rule, got, way_out)


@final
class BinaryUnits(VisibleUnits):
    """Zeros and ones; ``own = a v``."""

    binary = True

    def mean(self, theta: Tensor) -> Tensor:
        return torch.sigmoid(theta)

    def drawn(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        return bernoulli(mean, generator)

    def log_normaliser(self, bias: Tensor, drive: Tensor) -> Tensor:
        return F.softplus(bias + drive).sum(-1)

    def base(self, data: Tensor) -> Tensor:
        """Log odds of ``(sum + 1) / (N + 2)``: finite for a unit that is never on."""
        return torch.logit((data.sum(0) + 1) / (len(data) + 2))

    def fault(self, v: Tensor, states: bool) -> tuple[str, str, str] | None:
        got = f"{float(v.min()):g} to {float(v.max()):g}"
        if states and not ((v == 0) | (v == 1)).all():
            way_out = "pass (data > 0.5).float(), or torch.bernoulli(data) for grey values"
            return "be zeros and ones", got, way_out
        if not (v.min() >= 0 and v.max() <= 1):
            return "lie in 0..1", got, "pass data / 255 for bytes"
        return None


BINARY = BinaryUnits()


@final
class GaussianUnits(VisibleUnits):
    """Normal units; ``own = -((v - a) / s)^2 / 2``, and hidden units see ``v / s``.

    Args:
        log_variance: ``log s^2``, ``(units,)``; it may change in place.
    """

    def __init__(self, log_variance: Tensor):
        self.log_variance = log_variance

    def detached(self) -> GaussianUnits:
        return GaussianUnits(self.log_variance.detach())

    @property
    def deviation(self) -> Tensor:
        """``s``, ``(units,)``."""
        return (self.log_variance / 2).exp()

    def signal(self, v: Tensor) -> Tensor:
        return v / self.deviation

    def natural(self, bias: Tensor) -> Tensor:
        return bias / self.deviation

    def mean(self, theta: Tensor) -> Tensor:
        return theta * self.deviation

    def drawn(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        return mean + self.deviation * normal_like(mean, generator)

    def states(self, data: Tensor, generator: torch.Generator) -> Tensor:
        return data

    def own(self, v: Tensor, bias: Tensor) -> Tensor:
        return ((v - bias) / self.deviation).square() / -2

    def gain(self, v: Tensor, bias: Tensor, base: Tensor) -> Tensor:
        return (bias - base) * (v - (bias + base) / 2) / self.log_variance.exp()

    def mixed(self, bias: Tensor, base: Tensor, beta: float | Tensor) -> float | Tensor:
        apart = ((bias - base) / self.deviation).square().sum(dtype=torch.float64)
        share = beta.squeeze(-1) if isinstance(beta, Tensor) else beta
        return share * (share - 1) / 2 * apart

    def log_normaliser(self, bias: Tensor, drive: Tensor) -> Tensor:
        each = drive * (drive / 2 + self.natural(bias))
        return (each + (self.log_variance + math.log(2 * math.pi)) / 2).sum(-1)

    def slope(self, difference: Tensor) -> Tensor:
        return difference / self.log_variance.exp()

    def base(self, data: Tensor) -> Tensor:
        """Means."""
        return data.mean(0)

    def fault(self, v: Tensor, states: bool) -> tuple[str, str, str] | None:
        bad = int((~torch.isfinite(v)).sum())
        got = f"{bad} values that are not"
        return ("be finite", got, "leave these rows out") if bad else None


@final
class SoftmaxUnits(VisibleUnits):
    """Groups of units of which one is on: one of ``classes`` values each; ``own = a v``.

    Args:
        classes: Units of a group; groups are neighbours.
    """

    def __init__(self, classes: int):
        self.classes = check_at_least("classes", classes, 2, "pass the number of values of a group")

    def mean(self, theta: Tensor) -> Tensor:
        return self._groups(theta).softmax(-1).flatten(-2)

    def drawn(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        sums = self._groups(mean).cumsum(-1)
        u = uniform_like(sums[..., :1], generator) * sums[..., -1:]
        index = (sums <= u).sum(-1).clamp_(max=self.classes - 1)  # rounding may reach the end
        return F.one_hot(index, self.classes).flatten(-2).to(mean)

    def log_normaliser(self, bias: Tensor, drive: Tensor) -> Tensor:
        return self._groups(bias + drive).logsumexp(-1).sum(-1)

    def base(self, data: Tensor) -> Tensor:
        """Logs of ``(sum + 1) / (N + classes)``."""
        return ((data.sum(0) + 1) / (len(data) + self.classes)).log()

    def fault(self, v: Tensor, states: bool) -> tuple[str, str, str] | None:
        groups, sums = self._groups(v), self._groups(v).sum(-1)
        right = bool((groups >= 0).all()) and bool(((sums - 1).abs() < 1e-4).all())
        if right and not (states and not ((v == 0) | (v == 1)).all()):
            return None
        got = f"sums from {float(sums.min()):g} to {float(sums.max()):g}"
        rule = f"have one unit on in each group of {self.classes}"
        return rule, got, "pass torch.nn.functional.one_hot(values).flatten(1).float()"

    def _groups(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.classes))


def bernoulli(p: Tensor, generator: torch.Generator) -> Tensor:
    """Zeros and ones, one with probability ``p``."""
    u = uniform_like(p, generator)  # four times as fast as torch.bernoulli
    return torch.lt(u, p, out=u)


def uniform_like(like: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers in [0, 1) of shape, type and device of ``like``; drawn where the generator is."""
    return torch.empty_like(like, device=generator.device).uniform_(generator=generator).to(like)


def normal_like(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers of shape, type and device of ``like``, drawn as ``uniform_like``."""
    return torch.empty_like(like, device=generator.device).normal_(generator=generator).to(like)
