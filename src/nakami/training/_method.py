"""What a step of training is: the interface, and gradient descent on a loss."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

Descend: TypeAlias = Callable[[Tensor | Callable[[], Tensor], Optimizer], Tensor]


def needs_function(optimizer: Optimizer) -> bool:
    """Whether a step of it must be given the loss as a function, a closure."""
    return _needs_function(type(optimizer))  # type: ignore[arg-type]  # it has a hash


@cache
def _needs_function(kind: type[Optimizer]) -> bool:
    """Asked in each step; looking takes as long as a small step of SGD."""
    closure = inspect.signature(kind.step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


class Method(ABC):
    """How a module learns from one mini-batch.

    Attributes:
        module: What learns; its state dict is what a training leaves.
        loss_name: What ``step`` returns, with its unit: ``"cross-entropy, nats"``.
        by_function: Whether ``step`` gives ``descend`` the loss as a function, so that optimizers
            may ask for it more than once, as LBFGS does.
        in_order: Whether mini-batches are the rows of the data in order, not shuffled.
    """

    module: nn.Module
    loss_name: str = "loss"
    by_function: bool = False
    in_order: bool = False

    def optimizers(self) -> Sequence[Optimizer]:
        """Those that ``step`` passes to ``descend``; none by default."""
        return ()

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:  # noqa: B027
        """Called before the first epoch, and again before a training goes on.

        Args:
            data: All of it, ``(N, ...)`` each.
            generator: Source of whatever is random in a step; its state is kept with the training.
        """

    def epoch(self, index: int) -> None:  # noqa: B027
        """Called before each epoch, counted from 0."""

    def at_rate(self, share: float) -> None:
        """Learn at this share of the first learning rates from here on, those of the optimizers."""
        for optimizer in self.optimizers():
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * share

    @abstractmethod
    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update.

        Args:
            batch: The rows of one mini-batch, ``(B, ...)`` each.
            descend: ``descend(loss, optimizer)`` sets gradients to zero, differentiates and steps;
                it returns the loss before that, detached. A function gives the loss each time it is
                called.

        Returns:
            The **mean** over the mini-batch of what is lowered, before the update; a scalar.
        """

    def state_dict(self) -> dict[str, Any]:
        """What is carried from step to step beside module and optimizers: nothing by default."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Take up what ``state_dict`` gave."""


@final
class Supervised(Method):
    """Gradient descent on a loss of outputs and targets; LBFGS where a batch is all of the data.

    Args:
        module: Called with the first tensor of a batch.
        optimizer: Of its parameters.
        loss: ``loss(outputs, *others)`` with the other tensors of the batch: a scalar, the mean.
        loss_name: As for ``Method``.
    """

    by_function = True

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        loss: Callable[..., Tensor] = F.cross_entropy,
        loss_name: str = "cross-entropy, nats",
    ):
        self.module, self.optimizer, self.loss = module, optimizer, loss
        self.loss_name = loss_name

    def optimizers(self) -> Sequence[Optimizer]:
        return (self.optimizer,)

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        inputs, *others = batch
        return descend(lambda: self.loss(self.module(inputs), *others), self.optimizer)


@final
class Unsupervised(Method):
    """Descent on the mean of an objective of each example; LBFGS where a batch is all of the data.

    Args:
        module: What learns.
        optimizer: Of its parameters.
        objective: ``objective(x)``, of each example of a batch, ``(N,)``.
        loss_name: As for ``Method``.
    """

    by_function = True

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        objective: Callable[[Tensor], Tensor],
        loss_name: str = "objective of an example",
    ):
        self.module, self.optimizer, self.objective = module, optimizer, objective
        self.loss_name = loss_name

    def optimizers(self) -> Sequence[Optimizer]:
        return (self.optimizer,)

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        x = batch[0]
        return descend(lambda: self.objective(x).mean(), self.optimizer)
