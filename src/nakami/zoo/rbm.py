"""Restricted Boltzmann machine with binary units (``training.ContrastiveDivergence`` trains it).

Origin: Smolensky 1986; Hinton, "Training products of experts by minimizing contrastive divergence",
Neural Computation 14 (2002); first weights as in Hinton, "A practical guide to training restricted
Boltzmann machines", 2012.

Energy ``E(v, h) = -a.v - b.h - h.W v`` with visible biases ``a``, hidden biases ``b`` and ``W`` of
shape ``(hidden, visible)``, the layout of ``nn.Linear`` (the papers write its transpose).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import wrong
from nakami.sampling import BinaryUnits, VisibleUnits
from nakami.sampling._units import bernoulli

from ._entry import Entry
from ._layers import seeded


class RBM(nn.Module):
    """Binary restricted Boltzmann machine; calling it gives ``p(h = 1 | v)``.

    Args:
        visible: Number of visible units. hidden: number of hidden units.
        generator: Source of the first weights, ``N(0, 0.01^2)``; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        weight: ``W``, ``(hidden, visible)``. visible_bias: ``a``. hidden_bias: ``b``; both start at
            0. units: Kind of the visible units.
    """

    def __init__(
        self,
        visible: int,
        hidden: int,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        for name, value in (("visible", visible), ("hidden", hidden)):
            if value < 1:
                raise wrong(name, "be at least 1", value, "pass a positive number of units")
        first = torch.empty(hidden, visible, dtype=dtype).normal_(
            0, 0.01, generator=seeded(generator)
        )
        self.weight = nn.Parameter(first)
        self.visible_bias = nn.Parameter(torch.zeros(visible, dtype=dtype))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden, dtype=dtype))

    @property
    def units(self) -> VisibleUnits:
        """Kind of the visible units: what follows is true of any."""
        return BinaryUnits()

    def hidden_logit(self, v: Tensor) -> Tensor:
        """``b + W signal(v)``, ``(N, visible) -> (N, hidden)``; the signal of binary units is v."""
        return F.linear(self.units.signal(v), self.weight, self.hidden_bias)

    def forward(self, v: Tensor) -> Tensor:
        """``p(h = 1 | v) = sigmoid(b + W v)``, ``(N, visible) -> (N, hidden)``."""
        return torch.sigmoid(self.hidden_logit(v))

    def visible(self, h: Tensor) -> Tensor:
        """The mean of v given h, ``sigmoid(a + W^T h)``, ``(N, hidden) -> (N, visible)``."""
        units = self.units
        return units.mean(torch.addmm(units.natural(self.visible_bias), h, self.weight))

    def free_energy(self, v: Tensor) -> Tensor:
        """``F(v) = -a.v - sum_j softplus(b + W v)_j`` of each example, ``(N, visible) -> (N,)``.

        In nats; ``p(v) = exp(-F(v)) / Z``.
        """
        own = self.units.own(v, self.visible_bias).sum(1)
        return -own - F.softplus(self.hidden_logit(v)).sum(1)

    def slopes(self, v: Tensor, hidden: Tensor) -> dict[str, Tensor]:
        """``-dE`` by parameters that other kinds of units add, by name, ``(N, ...)`` each.

        Args:
            v: ``(N, visible)``.
            hidden: ``p(h | v)`` or states, ``(N, hidden)``.
        """
        return {}

    @torch.no_grad()
    def start_biases(self, data: Tensor) -> None:
        """Set the visible biases to those of independent units with the means of ``data``.

        For binary units the log odds of ``(sum + 1) / (N + 2)``.
        """
        self.visible_bias.copy_(self.units.base(data))


@dataclass(frozen=True)
class Chain:
    """What one run of the chain gives: the two ends of the statistics.

    Attributes:
        hidden: ``p(h | v)`` at the data, or the means given for it, ``(N, hidden)``.
        model: The visible units after k steps, ``(N, visible)``: a sample, or its mean.
        model_hidden: ``p(h | model)``, ``(N, hidden)``.
    """

    hidden: Tensor
    model: Tensor
    model_hidden: Tensor


@torch.no_grad()
def run_chain(
    rbm: RBM,
    v: Tensor,
    k: int,
    generator: torch.Generator,
    reconstruction: str = "sample",
    factors: tuple[float, float] = (1, 1),
    hidden: Tensor | None = None,
) -> Chain:
    """``k`` steps of block Gibbs sampling started at the data ``v``, ``(N, visible)`` in 0..1.

    The hidden units see ``factors[0]`` times the visible ones, these ``factors[1]`` times the
    hidden ones. The chain begins at ``p(h | v)``, or at the means ``hidden``, ``(N, hidden)``.
    """
    up, down = factors
    first = p = rbm(times(up, v)) if hidden is None else hidden
    for _ in range(k):
        model = rbm.visible(times(down, bernoulli(p, generator)))
        if reconstruction == "sample":
            model = rbm.units.drawn(model, generator)
        p = rbm(times(up, model))
    return Chain(first, model, p)


def times(factor: float, x: Tensor) -> Tensor:
    """``factor x``; for 1 the tensor itself."""
    return x if factor == 1 else x * factor


def contrastive_divergence(
    rbm: RBM, v: Tensor, k: int = 1, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The CD-k direction ``<..>_data - <..>_model``, **mean** over the batch, to be added.

    Args:
        rbm: The machine.
        v: Data, ``(N, visible)`` in 0..1, or as the machine's visible units are.
        k: Steps of the chain, at least 1.
        generator: Source of the samples; None: a fresh one with seed 0.

    Returns:
        Directions for ``weight`` ``(hidden, visible)``, ``visible_bias`` and ``hidden_bias``.
        Hidden statistics are probabilities, visible ones the samples that drove them.
    """
    if k < 1:
        raise wrong("k", "be at least 1", k, "pass k=1")
    chain = run_chain(rbm, v, k, seeded(generator))
    units = rbm.units
    weight = chain.hidden.T @ units.signal(v) - chain.model_hidden.T @ units.signal(chain.model)
    visible, hidden = units.slope(v - chain.model), chain.hidden - chain.model_hidden
    return weight / len(v), visible.mean(0), hidden.mean(0)


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """Modules ``flatten`` and ``hidden``, a machine of 784 visible and 500 hidden units.

    Args:
        generator: Source of the first weights ``N(0, 0.01^2)``; None: a fresh one with seed 0.
    """
    return nn.Sequential(
        OrderedDict[str, nn.Module](flatten=nn.Flatten(), hidden=RBM(784, 500, generator=generator))
    )


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(500,),
    parameters=393_284,
    task="features",
    origin="Smolensky 1986; Hinton 2002",
    preprocessing="unit",
    data="digits",
)
