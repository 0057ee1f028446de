"""Learning where hidden units are drawn: each draw counts by how well it explains the target.

Origin: Tang & Salakhutdinov, "Learning stochastic feedforward neural networks", NIPS 2013.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from nakami.results import check_at_least, wrong, wrong_type
from nakami.zoo._layers import seeded
from nakami.zoo.sfnn import SFNN

from ._method import Descend, Method


@final
class ImportanceEM(Method):
    """Generalised EM on ``log p(y | x) = log sum_h p(h | x) p(y | x, h)``, by importance sampling.

    E-step: ``h_1 .. h_M`` from ``p(h | x)``, weights ``w_m`` in proportion to ``p(y | x, h_m)``.
    M-step: one step up ``sum_m w_m [log p(y | x, h_m) + log p(h_m | x)]``. Weights and draws are
    constants: no gradient goes through them. For ``M -> inf`` the step is the gradient of
    ``log p(y | x)``.

    The batch is ``(x, y)``; ``step`` returns ``-log (1/M sum_m p(y | x, h_m))``, the mean over the
    batch, whose expectation is at least ``-log p(y | x)``.

    Args:
        module: See ``zoo.sfnn``. Without stochastic units this is maximum likelihood; M is then 1.
        optimizer: Of its parameters.
        samples: M; the paper takes 20 to 30.
        generator: Source of the draws until ``start`` gives one; None: a fresh one with seed 0.

    Raises:
        UsageError: Not a whole number of samples; at the start, data that are not inputs and
            targets.

    Cost: a forward and a backward pass of ``M`` rows for each example.
    """

    loss_name = "negative log-likelihood (estimate, biased up), nats"

    def __init__(
        self,
        module: SFNN,
        optimizer: Optimizer,
        *,
        samples: int = 20,
        generator: torch.Generator | None = None,
    ):
        samples = check_at_least("samples", samples, 1, "pass samples=20")
        given: object = module
        if not isinstance(given, SFNN):
            way_out = "pass zoo.sfnn.SFNN(...)"
            raise wrong_type("module", "be a stochastic network", type(module).__name__, way_out)
        self.module: SFNN = module
        self.optimizer = optimizer
        self.samples = samples if module.stochastic else 1
        self._generator = seeded(generator)

    def optimizers(self) -> Sequence[Optimizer]:
        """The one."""
        return (self.optimizer,)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Check the data, and take the generator."""
        if len(data) != 2:
            raise wrong("data", "be inputs and targets", len(data), "pass (x, y)")
        self.module.checked(data[1])
        self._generator = generator

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update from inputs ``(N, ...)`` and targets ``(N, outputs)``."""
        x, y = batch
        surrogate, loss = self.losses(x, y)
        descend(surrogate, self.optimizer)
        return loss

    def losses(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """What is differentiated, and the estimate of ``-log p(y | x)``; means over the batch."""
        explained, prior = self.module.drawn_terms(x, y, self.samples, self._generator)
        weights = explained.detach().softmax(0)
        surrogate = -(weights * (explained + prior)).sum(0).mean()
        estimate = explained.detach().logsumexp(0) - math.log(self.samples)
        return surrogate, -estimate.mean()
