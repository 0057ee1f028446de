"""Restricted Boltzmann machine with binary units, trained by contrastive divergence.

Origin: Smolensky 1986; Hinton, "Training products of experts by minimizing contrastive divergence",
Neural Computation 14 (2002). The recipe (first weights, visible biases, momentum, weight decay,
which units are sampled) follows Hinton, "A practical guide to training restricted Boltzmann
machines", 2012.

Energy ``E(v, h) = -a.v - b.h - h.W v`` with visible biases ``a``, hidden biases ``b`` and ``W`` of
shape ``(hidden, visible)``, the layout of ``nn.Linear`` (the papers write its transpose).

Deliberate differences from the guide:

* The reconstruction that drives the hidden units is sampled: then the expected update is exactly
  that of CD-k, which the tests check by enumeration. The guide often takes its mean, which is
  less noisy and biased; ``reconstruction="mean"`` does so.
* Visible biases start at the log odds of ``(sum + 1) / (N + 2)``, so that a pixel that is never on
  gets a finite bias.

Contrastive divergence is not the gradient of any function (Sutskever & Tieleman 2010), and the
reconstruction error it returns is not a likelihood.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import UsageError, unknown, wrong

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
            0.
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

    def forward(self, v: Tensor) -> Tensor:
        """``p(h = 1 | v) = sigmoid(b + W v)``, ``(N, visible) -> (N, hidden)``."""
        return torch.sigmoid(F.linear(v, self.weight, self.hidden_bias))

    def visible(self, h: Tensor) -> Tensor:
        """``p(v = 1 | h) = sigmoid(a + W^T h)``, ``(N, hidden) -> (N, visible)``."""
        return torch.sigmoid(torch.addmm(self.visible_bias, h, self.weight))

    def free_energy(self, v: Tensor) -> Tensor:
        """``F(v) = -a.v - sum_j softplus(b + W v)_j`` of each example, ``(N, visible) -> (N,)``.

        In nats; ``p(v) = exp(-F(v)) / Z``.
        """
        return -v @ self.visible_bias - F.softplus(F.linear(v, self.weight, self.hidden_bias)).sum(
            1
        )

    @torch.no_grad()
    def start_biases(self, data: Tensor) -> None:
        """Set the visible biases to the log odds of the mean of ``data``, ``(N, visible)``."""
        p = (data.sum(0) + 1) / (len(data) + 2)
        self.visible_bias.copy_(torch.logit(p))


@dataclass(frozen=True)
class Chain:
    """What one run of the chain gives: the two ends of the statistics.

    Attributes:
        hidden: ``p(h | v)`` at the data, ``(N, hidden)``.
        model: The visible units after k steps, ``(N, visible)``: a sample, or its mean.
        model_hidden: ``p(h | model)``, ``(N, hidden)``.
    """

    hidden: Tensor
    model: Tensor
    model_hidden: Tensor


@torch.no_grad()
def run_chain(
    rbm: RBM, v: Tensor, k: int, generator: torch.Generator, reconstruction: str = "sample"
) -> Chain:
    """``k`` steps of block Gibbs sampling started at the data ``v``, ``(N, visible)`` in 0..1."""
    first = p = rbm(v)
    for _ in range(k):
        model = rbm.visible(_sample(p, generator))
        if reconstruction == "sample":
            model = _sample(model, generator)
        p = rbm(model)
    return Chain(first, model, p)


def contrastive_divergence(
    rbm: RBM, v: Tensor, k: int = 1, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The CD-k direction ``<..>_data - <..>_model``, **mean** over the batch, to be added.

    Args:
        rbm: The machine.
        v: Data, ``(N, visible)`` in 0..1.
        k: Steps of the chain, at least 1.
        generator: Source of the samples; None: a fresh one with seed 0.

    Returns:
        Directions for ``weight`` ``(hidden, visible)``, ``visible_bias`` and ``hidden_bias``.
        Hidden statistics are probabilities, visible ones the samples that drove them.
    """
    chain = run_chain(rbm, v, _at_least_one("k", k), seeded(generator))
    weight = (chain.hidden.T @ v - chain.model_hidden.T @ chain.model) / len(v)
    return weight, (v - chain.model).mean(0), (chain.hidden - chain.model_hidden).mean(0)


class ContrastiveDivergence:
    """CD-k with momentum and weight decay, in place and without autograd.

    ``u <- momentum u + rate (direction - decay W)``, ``W <- W + u``; decay on ``weight`` alone;
    ``direction`` is the mean over the batch, so the rate does not depend on the batch's size.

    Args:
        rbm: The machine to train.
        rate: Learning rate. momentum: factor of the last step. Both may be changed between steps.
        decay: Weight decay. k: steps of the chain.
        reconstruction: ``"sample"`` (exact CD-k) or ``"mean"`` of the visible units given the
            hidden.
        generator: Source of the samples; None: a fresh one with seed 0.
    """

    def __init__(
        self,
        rbm: RBM,
        *,
        rate: float = 0.1,
        momentum: float = 0.5,
        decay: float = 2e-4,
        k: int = 1,
        reconstruction: Literal["sample", "mean"] = "sample",
        generator: torch.Generator | None = None,
    ):
        if reconstruction not in ("sample", "mean"):
            raise unknown("reconstruction", reconstruction, ("sample", "mean"))
        if not rate > 0:
            raise wrong("rate", "be positive", rate, "pass rate=0.05")
        if not 0 <= momentum < 1:
            raise wrong("momentum", "lie in [0, 1)", momentum, "pass momentum=0.5")
        self.rbm, self.rate, self.momentum, self.decay = rbm, rate, momentum, decay
        self.k, self.generator = _at_least_one("k", k), seeded(generator)
        self.reconstruction = reconstruction
        self._speed = [torch.zeros_like(p) for p in _parameters(rbm)]

    @torch.no_grad()
    def step(self, v: Tensor) -> float:
        """One update from a batch ``(N, visible)`` in 0..1.

        Returns:
            Mean squared reconstruction error per visible unit, of the reconstruction.
        """
        rbm, rate, momentum = self.rbm, self.rate / len(v), self.momentum
        chain = run_chain(rbm, v, self.k, self.generator, self.reconstruction)
        hidden = torch.cat([chain.hidden, -chain.model_hidden])  # one product for both statistics
        difference = v - chain.model
        weight, visible, offset = self._speed
        weight.addmm_(hidden.T, torch.cat([v, chain.model]), beta=momentum, alpha=rate)
        weight.add_(rbm.weight, alpha=-self.rate * self.decay)
        visible.mul_(momentum).add_(difference.sum(0), alpha=rate)
        offset.mul_(momentum).add_(hidden.sum(0), alpha=rate)
        for parameter, speed in zip(_parameters(rbm), self._speed, strict=True):
            parameter.add_(speed)
        return float(difference.square_().mean())


def fit(
    rbm: RBM,
    data: Tensor,
    *,
    epochs: int = 10,
    batch: int = 100,
    rate: float = 0.1,
    momentum: tuple[float, float] = (0.5, 0.9),
    switch: int = 5,
    decay: float = 2e-4,
    k: int = 1,
    reconstruction: Literal["sample", "mean"] = "sample",
    generator: torch.Generator | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Train a machine from the start: visible biases from the data, then CD-k in shuffled batches.

    Args:
        rbm: The machine, changed in place.
        data: ``(N, visible)`` in 0..1.
        epochs: Passes over the data.
        batch: Examples of one update.
        rate: Learning rate.
        momentum: Factor of the last step, before and from epoch ``switch`` on.
        switch: That epoch, counted from 0.
        decay: Weight decay.
        k: Steps of the chain.
        reconstruction: As for ``ContrastiveDivergence``.
        generator: Source of order and samples; None: a fresh one with seed 0.
        progress: Called as ``progress(epochs done, epochs)``.

    Returns:
        Mean squared reconstruction error of each epoch.

    Raises:
        UsageError: Data of another shape or outside 0..1, or parameters that became NaN.
    """
    _check_data(rbm, data)
    generator = seeded(generator)
    trainer = ContrastiveDivergence(
        rbm, rate=rate, decay=decay, k=k, reconstruction=reconstruction, generator=generator
    )
    rbm.start_biases(data)
    errors = []
    for epoch in range(epochs):
        trainer.momentum = momentum[0] if epoch < switch else momentum[1]
        order = torch.randperm(len(data), generator=generator).split(batch)
        errors.append(sum(trainer.step(data[rows]) * len(rows) for rows in order) / len(data))
        if not torch.isfinite(rbm.weight).all():
            raise UsageError(f"training diverged at rate {rate}; pass a smaller rate.")
        if progress:
            progress(epoch + 1, epochs)
    return errors


def _sample(p: Tensor, generator: torch.Generator) -> Tensor:
    u = torch.empty_like(p).uniform_(generator=generator)  # four times as fast as torch.bernoulli
    return torch.lt(u, p, out=u)


def _parameters(rbm: RBM) -> tuple[Tensor, Tensor, Tensor]:
    return rbm.weight, rbm.visible_bias, rbm.hidden_bias


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise wrong(name, "be at least 1", value, f"pass {name}=1")
    return value


def _check_data(rbm: RBM, data: Tensor) -> None:
    n = rbm.weight.shape[1]
    if data.ndim != 2 or data.shape[1] != n:
        raise wrong("data", f"have shape (N, {n})", tuple(data.shape), "pass data.flatten(1)")
    if not (data.min() >= 0 and data.max() <= 1):
        low, high = float(data.min()), float(data.max())
        raise wrong("data", "lie in 0..1", f"{low:g} to {high:g}", "pass data / 255 for bytes")


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
