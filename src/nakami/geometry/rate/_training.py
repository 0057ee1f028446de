"""An optimizer's steps on copies of a model's parameters: the model stays as it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from ...operators import CurvatureOperator
from ._optimizers import Named, twin


class Training:
    """A training on copies, batch after batch in turn, with a copy of the optimizer and its state.

    Attributes:
        losses: Of each step, before its update.
    """

    def __init__(
        self, optimizer: Optimizer, named: Named, op: CurvatureOperator, rate: float | None = None
    ):
        """``rate`` for the group with the largest, the others in proportion; default as it is."""
        self.named, self.op, self.batches = named, op, op.by_batch()
        start = torch.cat([weight.reshape(-1) for weight in op.weights.values()])
        self.copies = {name: part.clone() for name, part in op.split(start).items()}
        self.optimizer = twin(optimizer, named, self.copies)
        if rate is not None:
            groups = self.optimizer.param_groups
            top = max(float(group["lr"]) for group in groups)
            for group in groups:
                group["lr"] = float(group["lr"]) * rate / top
        self.losses = list[float]()

    @property
    def where(self) -> str:
        """Where it ended: after how many steps, at which rate, in words."""
        rate = max(float(group["lr"]) for group in self.optimizer.param_groups)
        steps = len(self.losses)
        return f"{steps} steps on a copy at rate {rate:.3g}; the limit is that where they ended"

    @property
    def point(self) -> Tensor:
        """The parameters, ``(P,)``."""
        return torch.cat([copy.reshape(-1) for copy in self.copies.values()])

    def step(self) -> float:
        """One step; the loss before it."""
        batch = self.batches[len(self.losses) % len(self.batches)]
        value, gradient = batch.loss_and_gradient(self.point)
        self.losses.append(value)
        for name, part in self.op.split(gradient).items():
            self.copies[name].grad = part
        self.optimizer.step()
        return value
