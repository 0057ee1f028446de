"""Any method, at a learning rate that falls to 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch import Tensor
from torch.optim import Optimizer

from nakami.results import check_at_least

from ._method import Descend, Method


@final
class Falling(Method):
    """A method whose learning rates fall linearly, epoch by epoch, to 0 after the last one.

    Persistent chains need this to follow the model that they are drawn from.

    Args:
        method: Any with ``at_rate``.
        epochs: Of the whole training: epoch i, from 0 on, runs at ``1 - i / epochs`` of the rates.
    """

    def __init__(self, method: Method, epochs: int):
        self.method, self.module, self.loss_name = method, method.module, method.loss_name
        self._epochs = check_at_least("epochs", epochs, 0, "pass those of the training")

    def optimizers(self) -> Sequence[Optimizer]:
        """Those of the method."""
        return self.method.optimizers()

    def start(self, data: Sequence[Tensor], generator: Any) -> None:
        """As the method does."""
        self.method.start(data, generator)

    def epoch(self, index: int) -> None:
        """Set the rates of this one."""
        self.at_rate(max(0.0, 1 - index / max(1, self._epochs)))
        self.method.epoch(index)

    def at_rate(self, share: float) -> None:
        """As the method does."""
        self.method.at_rate(share)

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """As the method does."""
        return self.method.step(batch, descend)

    def state_dict(self) -> dict[str, Any]:
        """What the method carries."""
        return self.method.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what the method carried."""
        self.method.load_state_dict(state)
