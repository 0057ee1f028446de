"""Sampling and bounds of deep belief networks: lower layers only give the one below."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import check_at_least
from nakami.sampling._units import bernoulli

from .rbm import RBM


class Directed(Protocol):
    """A top machine over layers that give the one below.

    Attributes:
        visible_units: Of the lowest layer. undirected: the top machine. directed: number of layers
            below it.
    """

    @property
    def visible_units(self) -> int: ...
    @property
    def undirected(self) -> RBM: ...
    @property
    def directed(self) -> int: ...

    def recognised(self, layer: int, x: Tensor) -> Tensor:
        """Log odds of a layer's upper units given its lower ones."""

    def generated(self, layer: int, h: Tensor) -> Tensor:
        """Log odds of a layer's lower units given its upper ones."""

    def top_log_weight(self, h: Tensor) -> Tensor:
        """``log p*(h)`` of the layer below the top machine's hidden units, ``(N,)``."""


@torch.no_grad()
def sample(
    model: Directed,
    count: int,
    steps: int,
    generator: torch.Generator,
    held: Tensor | None = None,
) -> Tensor:
    """Means of visible units, ``(count, visible)``.

    Args:
        model: Of ``steps`` block Gibbs steps at the top, then once downwards.
        count: Of chains.
        steps: At least 1.
        generator: Source of the draws.
        held: Last visible units of the top machine, ``(count, units)``: they stay at these values.
    """
    check_at_least("steps", steps, 1, "use 1000")
    top, units = model.undirected, model.undirected.units
    lower = top.weight.shape[1] - (0 if held is None else held.shape[1])

    def hidden(means: Tensor) -> Tensor:  # given visible units with these means
        v = units.drawn(means, generator)
        if held is not None:
            v[:, lower:] = held
        return top(v)

    mean = hidden(units.mean(top.weight.new_zeros(count, top.weight.shape[1])))
    for _ in range(steps):
        mean = hidden(top.visible(bernoulli(mean, generator)))
    mean = top.visible(bernoulli(mean, generator))
    for layer in reversed(range(model.directed)):
        mean = torch.sigmoid(model.generated(layer, bernoulli(mean, generator)))
    return mean[:, : model.visible_units]


@torch.no_grad()
def bound(model: Directed, v: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """``E_Q[log p*(h) + log p(v | h) - log Q(h | v)]``, the mean of ``draws``, ``(N,)``."""
    check_at_least("draws", draws, 1, "use 10")
    x, total = v.repeat(draws, 1), torch.zeros(draws * len(v), dtype=v.dtype, device=v.device)
    for layer in range(model.directed):
        logit = model.recognised(layer, x)
        h = bernoulli(torch.sigmoid(logit), generator)
        total -= log_probability(logit, h)
        total += log_probability(model.generated(layer, h), x)
        x = h
    total += model.top_log_weight(x)
    return total.reshape(draws, -1).mean(0)


def log_probability(logit: Tensor, x: Tensor) -> Tensor:
    """Of zeros and ones, or of means, of independent units with these log odds, ``(N,)``."""
    return (x * F.logsigmoid(logit) + (1 - x) * F.logsigmoid(-logit)).sum(1)
