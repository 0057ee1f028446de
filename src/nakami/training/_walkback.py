"""Walkback training of a denoiser: it also learns to come back from where its own chain leads.

Origin: Bengio, Yao, Alain & Vincent, "Generalized denoising auto-encoders as generative models",
NIPS 2013, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from nakami.results import check_at_least, check_fraction
from nakami.zoo._layers import seeded, uniform
from nakami.zoo.autoencoder import Coder

from ._autoencoding import checked
from ._contrastive import alone
from ._corruption import Corruption
from ._method import Descend, Method


@final
class Walkback(Method):
    """Gradient descent on ``-log P(x | y_k)`` along the denoiser's chain ``y_1, y_2, ...`` from x.

    ``y_1`` is ``x`` with noise; from each ``y_k`` the chain of ``sampling.DenoisingChain`` makes
    the next, and wherever it is, the target is the ``x`` that it began at. So a state of low
    probability that the chain drifts to is led back, where plain denoising never sees it. With
    ``steps=1`` it is plain denoising. The draws are constants: no gradient goes through them.

    ``step`` returns the mean over all pairs ``(x, y_k)`` of a batch.

    Args:
        module: The autoencoder, see ``zoo.autoencoder.Coder``.
        optimizer: Of its parameters.
        corruption: ``Gaussian``, ``Masking``, ``SaltAndPepper`` or any ``f(x, generator)``.
        continuation: Chance that the chain goes on, at each state anew: ``1 / (1 - continuation)``
            pairs an example on average.
        steps: In place of chance, so many pairs of each example.
        generator: Source of the chain until ``start`` gives one; None: a fresh one with seed 0.

    Raises:
        UsageError: A number out of range; at the start, data that the module cannot give back.

    Cost: two forward and one backward pass for each pair.
    """

    loss_name = "reconstruction loss along the chain, nats"

    def __init__(
        self,
        module: Coder,
        optimizer: Optimizer,
        corruption: Corruption,
        *,
        continuation: float = 0.5,
        steps: int | None = None,
        generator: torch.Generator | None = None,
    ):
        check_fraction("continuation", continuation, "use 0.5")
        if steps is not None:
            steps = check_at_least("steps", steps, 1, "use 3")
        self.module: Coder = module
        self.optimizer, self.corruption = optimizer, corruption
        self.continuation, self.steps = continuation, steps
        self._generator = seeded(generator)

    def optimizers(self) -> Sequence[Optimizer]:
        """The one."""
        return (self.optimizer,)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Check the data, and take the generator."""
        checked(self.module, alone("data", data))
        self._generator = generator

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update from a batch ``(N, ...)``."""
        loss = self.loss(alone("batch", batch))
        descend(loss, self.optimizer)
        return loss.detach()

    def loss(self, x: Tensor) -> Tensor:
        """The mean over all pairs, a scalar; chains are drawn anew."""
        given, wanted = self.walk(x)
        return self.module.error(self.module(given), wanted).mean()

    @torch.no_grad()
    def walk(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs of a batch: what the network is given, and the clean examples, ``(pairs, ...)``."""
        given, wanted = [self.corruption(x.clone(), self._generator)], [x]
        while self.steps is None or len(given) < self.steps:
            y, target = given[-1], wanted[-1]
            if self.steps is None:
                on = uniform(y.new_empty(len(y)), self._generator) < self.continuation
                y, target = y[on], target[on]
            if not len(y):
                break
            state = self.module.draw(y.clone(), self._generator)  # which may work in place
            given.append(self.corruption(state, self._generator))
            wanted.append(target)
        return torch.cat(given), torch.cat(wanted)
