"""Where a training stands after each epoch, and where its steps are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._method import Method
from ._sharding import gathered, load_module, load_optimizer

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


@dataclass
class Position:
    """Where a training stands at the end of an epoch.

    Attributes:
        method: Its module and what it carries from step to step.
        generator: Source of the order and of what is random in a step.
        losses: The mean loss of each epoch that is done.
        resumed: A state to begin from, in place of the start.
        began: When the last epoch did, by ``time.monotonic``.
    """

    method: Method
    generator: torch.Generator
    losses: list[float] = field(default_factory=list)
    resumed: dict[str, Any] | None = None
    began: float = 0.0

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on."""
        return {
            "module": gathered(self.method.module.state_dict()),
            "optimizers": [gathered(each.state_dict()) for each in self.method.optimizers()],
            "method": self.method.state_dict(),
            "generator": self.generator.get_state(),
            "global": torch.get_rng_state(),
        }

    def start(self, data: Sequence[Tensor]) -> None:
        """Before the first epoch of this call."""
        self.method.start(data, self.generator)
        if self.resumed is not None:
            load_module(self.method.module, self.resumed["module"])
            states = self.resumed["optimizers"]
            for optimizer, state in zip(self.method.optimizers(), states, strict=True):
                load_optimizer(optimizer, state)
            self.method.load_state_dict(self.resumed["method"])
            self.generator.set_state(self.resumed["generator"])
            torch.set_rng_state(self.resumed["global"])


@dataclass(frozen=True)
class Place:
    """Where the steps are made: as Lightning's ``Trainer`` takes it."""

    accelerator: str = "cpu"
    logger: Logger | None = None
