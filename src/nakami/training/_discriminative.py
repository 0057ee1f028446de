"""An autoencoder that also learns labels: reconstruction, sparsity and classification together.

Origin: Rolfe & LeCun, "Discriminative recurrent sparse auto-encoders", ICLR 2013, second phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from nakami.results import is_number, wrong
from nakami.zoo.autoencoder import Coder

from ._autoencoding import checked
from ._method import Descend, Method


@final
class DiscriminativeCoding(Method):
    """Gradient descent on ``weight (error(z, x) + l1 |z|_1) + cross-entropy(head(z), label)``.

    ``error`` is that of the autoencoder, summed over the values of an example; the batch is
    ``(x, labels)``, and ``step`` returns the mean over its examples.

    Args:
        coder: The autoencoder, see ``zoo.autoencoder.Coder``.
        head: Hidden units to logits, ``(N, hidden) -> (N, classes)``.
        optimizer: Of the parameters of both.
        weight: Of what is learned without labels; 0 leaves the classifier alone.
        l1: Weight of ``|z|_1`` within.

    Raises:
        UsageError: A weight below 0; at the start, data that are not examples and labels, int64
            from 0 on.
    """

    loss_name = "reconstruction, sparsity and cross-entropy, nats"

    def __init__(
        self,
        coder: Coder,
        head: nn.Module,
        optimizer: Optimizer,
        *,
        weight: float = 1.0,
        l1: float = 0.0,
    ):
        for name, value in (("weight", weight), ("l1", l1)):
            if not is_number(value) or not value >= 0:
                raise wrong(name, "be a number, at least 0", value, "leave it out")
        self.coder: Coder = coder
        self.head, self.optimizer, self.weight, self.l1 = head, optimizer, weight, l1
        self.module = nn.ModuleList([coder, head])

    def optimizers(self) -> Sequence[Optimizer]:
        """The one."""
        return (self.optimizer,)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Check the data."""
        if len(data) != 2:
            raise wrong("data", "be examples and labels", len(data), "pass (x, labels)")
        checked(self.coder, data[0])
        labels = data[1]
        if labels.ndim != 1 or labels.dtype != torch.long or int(labels.min()) < 0:
            got = f"{labels.dtype} of shape {tuple(labels.shape)}, from {float(labels.min()):g} on"
            raise wrong("data", "have int64 labels (N,) from 0 on", got, "pass labels.long()")

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update from examples ``(N, ...)`` and labels ``(N,)``."""
        loss = self.loss(*batch)
        descend(loss, self.optimizer)
        return loss.detach()

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """The mean over the batch, a scalar."""
        z = self.coder(x)
        loss = F.cross_entropy(self.head(z), labels)
        if self.weight:
            each = self.coder.error(z, x) + self.l1 * z.abs().flatten(1).sum(1)
            loss = loss + self.weight * each.mean()
        return loss
