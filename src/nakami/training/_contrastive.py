"""Contrastive divergence: the update of a restricted Boltzmann machine.

Origin: Hinton, "Training products of experts by minimizing contrastive divergence", Neural
Computation 14 (2002); first weights, visible biases, momentum and weight decay follow Hinton, "A
practical guide to training restricted Boltzmann machines", 2012.

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

from collections.abc import Sequence
from typing import Any, Literal, final

import torch
from torch import Tensor

from nakami.results import unknown, wrong
from nakami.zoo._layers import seeded
from nakami.zoo.rbm import RBM, run_chain

from ._method import Descend, Method


@final
class ContrastiveDivergence(Method):
    """CD-k with momentum and weight decay, in place and without autograd.

    ``u <- momentum u + rate (direction - decay W)``, ``W <- W + u``; decay on ``weight`` alone;
    ``direction`` is the mean over the batch, so the rate does not depend on the batch's size.
    ``step`` returns the mean squared reconstruction error per visible unit.

    Args:
        module: The machine.
        rate: Learning rate.
        momentum: Factor of the last step, before and from epoch ``switch`` on; one number: always.
        switch: That epoch, counted from 0.
        decay: Weight decay.
        k: Steps of the chain.
        reconstruction: ``"sample"`` (exact CD-k) or ``"mean"`` of the visible units given the
            hidden.
        generator: Source of the samples until ``start`` gives one; None: a fresh one with seed 0.

    Raises:
        UsageError: A number out of range; at the start, data of another shape or outside 0..1.
    """

    loss_name = "mean squared reconstruction error"

    def __init__(
        self,
        module: RBM,
        *,
        rate: float = 0.1,
        momentum: float | tuple[float, float] = (0.5, 0.9),
        switch: int = 5,
        decay: float = 2e-4,
        k: int = 1,
        reconstruction: Literal["sample", "mean"] = "sample",
        generator: torch.Generator | None = None,
    ):
        if reconstruction not in ("sample", "mean"):
            raise unknown("reconstruction", reconstruction, ("sample", "mean"))
        if not rate > 0:
            raise wrong("rate", "be positive", rate, "pass rate=0.05")
        pair = momentum if isinstance(momentum, tuple) else (momentum, momentum)
        for factor in pair:
            if not 0 <= factor < 1:
                raise wrong("momentum", "lie in [0, 1)", factor, "pass momentum=0.5")
        if k < 1:
            raise wrong("k", "be at least 1", k, "pass k=1")
        self.module: RBM = module
        self.rate, self.decay, self.k, self.reconstruction = rate, decay, k, reconstruction
        self._momenta, self._switch, self._generator = pair, switch, seeded(generator)
        self._speed = [torch.zeros_like(p) for p in module.parameters()]
        self.epoch(0)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Set the visible biases from the data, and take the generator."""
        (v,) = data
        n = self.module.weight.shape[1]
        if v.ndim != 2 or v.shape[1] != n:
            raise wrong("data", f"have shape (N, {n})", tuple(v.shape), "pass data.flatten(1)")
        if not (v.min() >= 0 and v.max() <= 1):
            got = f"{float(v.min()):g} to {float(v.max()):g}"
            raise wrong("data", "lie in 0..1", got, "pass data / 255 for bytes")
        self.module.start_biases(v)
        self._speed = [torch.zeros_like(p) for p in self.module.parameters()]  # on its device
        self._generator = generator

    def epoch(self, index: int) -> None:
        """Take the momentum of this epoch."""
        self.momentum = self._momenta[index >= self._switch]

    @torch.no_grad()
    def step(self, batch: Sequence[Tensor], descend: Descend | None = None) -> Tensor:
        """One update from a batch ``(N, visible)`` in 0..1."""
        (v,), rbm, rate = batch, self.module, self.rate / len(batch[0])
        chain = run_chain(rbm, v, self.k, self._generator, self.reconstruction)
        hidden = torch.cat([chain.hidden, -chain.model_hidden])  # one product for both statistics
        difference = v - chain.model
        weight, visible, offset = self._speed
        weight.addmm_(hidden.T, torch.cat([v, chain.model]), beta=self.momentum, alpha=rate)
        weight.add_(rbm.weight, alpha=-self.rate * self.decay)
        visible.mul_(self.momentum).add_(difference.sum(0), alpha=rate)
        offset.mul_(self.momentum).add_(hidden.sum(0), alpha=rate)
        for parameter, speed in zip(rbm.parameters(), self._speed, strict=True):
            parameter.add_(speed)
        return difference.square_().mean()

    def state_dict(self) -> dict[str, Any]:
        """The last step, one tensor for each parameter."""
        return {"speed": self._speed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the last step."""
        self._speed = list(state["speed"])
