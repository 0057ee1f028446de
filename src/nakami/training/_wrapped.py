"""A method around another: what it does not change is the other's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from nakami.results import wrong_type

from ._method import Descend, Method


class Wrapped(Method):
    """A method that passes everything on to ``method``.

    Args:
        method: Any other.
    """

    def __init__(self, method: Method):
        given: object = method
        if not isinstance(given, Method):
            got, way_out = type(method).__name__, "pass Supervised(net, optimizer)"
            raise wrong_type("method", "be a training.Method", got, way_out)
        self.method, self.module, self.loss_name = method, method.module, method.loss_name
        self.by_function, self.in_order = method.by_function, method.in_order

    def optimizers(self) -> Sequence[Optimizer]:
        """Those of the method."""
        return self.method.optimizers()

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """As the method does."""
        self.method.start(data, generator)

    def epoch(self, index: int) -> None:
        """As the method does."""
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
