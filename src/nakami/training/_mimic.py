"""A network learns the logits of another one, which is larger or made in another way.

Origin: Ba & Caruana, "Do deep nets really need to be deep?", NIPS 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nakami.results import wrong, wrong_type

from ._method import Descend, Method


@final
class Mimic(Method):
    """Gradient descent on ``1/2 |g(x) - z|^2``, ``z`` the teacher's logits in standard units.

    ``z_c = (logit_c - mean_c) / scale_c``, over the teacher's logits at the training examples. The
    batch is ``(inputs, logits)``, and ``step`` returns the mean over its examples. No labels are
    used, so inputs without any may be among them. ``fold`` puts the student's last layer into the
    teacher's units afterwards, so that it gives logits.

    Its gradient is ``C`` times that of distillation (Hinton, Vinyals & Dean 2015) at a temperature
    that goes to infinity, where logits have mean 0 over the ``C`` classes.

    Args:
        module: The student, ``(N, ...)`` to ``(N, C)``.
        optimizer: Of its parameters.
        logits: The teacher's at all training examples, ``(N, C)``, before the softmax; means and
            standard deviations are taken of them.

    Attributes:
        mean: ``(C,)``. scale: ``(C,)``, standard deviations with 1/N.

    Raises:
        UsageError: Logits that are not ``(N, C)``, not finite, or the same for all examples.
    """

    loss_name = "half the squared error of standardised logits"

    def __init__(self, module: nn.Module, optimizer: Optimizer, logits: Tensor):
        shaped = logits.ndim == 2 and len(logits)
        if not shaped or not torch.isfinite(logits).all():
            got = "some that are not" if shaped else f"shape {tuple(logits.shape)}"
            raise wrong("logits", "be finite, of shape (N, C)", got, "pass teacher(inputs)")
        self.module, self.optimizer = module, optimizer
        self.scale, self.mean = torch.std_mean(logits.detach(), 0, correction=0)
        if not (self.scale > 0).all():
            constant = (self.scale == 0).nonzero()[0].item()
            got, way_out = f"one value of logit {constant}", "pass those of a trained teacher"
            raise wrong("logits", "differ between examples", got, way_out)

    def optimizers(self) -> Sequence[Optimizer]:
        """The one."""
        return (self.optimizer,)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Refuse data that are not inputs and logits."""
        shapes = [tuple(part.shape) for part in data]
        if len(data) != 2 or shapes[1][1:] != self.mean.shape:
            rule = f"be inputs and logits of shape (N, {len(self.mean)})"
            got = f"{len(data)} tensors of shape {', '.join(map(str, shapes))}"
            raise wrong("data", rule, got, "pass (inputs, logits)")

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update from inputs ``(N, ...)`` and the teacher's logits at them, ``(N, C)``."""
        inputs, logits = batch
        loss = self.loss(self.module(inputs), logits)
        descend(loss, self.optimizer)
        return loss.detach()

    def loss(self, outputs: Tensor, logits: Tensor) -> Tensor:
        """The mean over the examples, a scalar."""
        if outputs.shape != logits.shape:
            rule, got = f"have shape {tuple(logits.shape)}", tuple(outputs.shape)
            raise wrong("outputs", rule, got, "give the student as many outputs as the teacher")
        wanted = (logits - self.mean.to(logits)) / self.scale.to(logits)
        return 0.5 * (outputs - wanted).square().sum(1).mean()

    @torch.no_grad()
    def fold(self, layer: nn.Linear) -> None:
        """Let the student's last layer, in place, give logits in the teacher's units; once."""
        given: object = layer
        if not isinstance(given, nn.Linear) or given.bias is None:
            got = type(given).__name__
            raise wrong_type("layer", "be a Linear with a bias", got, "pass student.output")
        scale, mean = self.scale.to(layer.bias), self.mean.to(layer.bias)
        layer.weight.mul_(scale[:, None])
        layer.bias.mul_(scale).add_(mean)
