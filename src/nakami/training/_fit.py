"""The loop over epochs and mini-batches: what it is given, and where it stands after each epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from nakami.results import RunError, check_at_least, wrong

from ._method import Method

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

GROUP, GROUP_BYTES = 20, 2**23  # mini-batches that the host is given at a time, at most


@dataclass
class Position:
    """Where a training stands at the end of an epoch.

    Attributes:
        method: Its module and what it carries from step to step.
        generator: Source of the order and of what is random in a step.
        losses: The mean loss of each epoch that is done.
        resumed: A state to begin from, in place of the start.
    """

    method: Method
    generator: torch.Generator
    losses: list[float] = field(default_factory=list)
    resumed: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on."""
        return {
            "module": self.method.module.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.method.optimizers()],
            "method": self.method.state_dict(),
            "generator": self.generator.get_state(),
            "global": torch.get_rng_state(),
        }

    def start(self, data: Sequence[Tensor]) -> None:
        """Before the first epoch of this call."""
        self.method.start(data, self.generator)
        if self.resumed is not None:
            self.method.module.load_state_dict(self.resumed["module"])
            states = self.resumed["optimizers"]
            for optimizer, state in zip(self.method.optimizers(), states, strict=True):
                optimizer.load_state_dict(state)
            self.method.load_state_dict(self.resumed["method"])
            self.generator.set_state(self.resumed["generator"])
            torch.set_rng_state(self.resumed["global"])


@dataclass(frozen=True)
class Place:
    """Where the steps are made: as Lightning's ``Trainer`` takes it."""

    accelerator: str = "cpu"
    logger: Logger | None = None


def fit(
    method: Method,
    data: Sequence[Tensor],
    *,
    epochs: int = 10,
    batch: int = 100,
    generator: torch.Generator | None = None,
    accelerator: str = "cpu",
    logger: Logger | None = None,
    after_epoch: Callable[[int, float], object] | None = None,
) -> list[float]:
    """Train a method's module in place, in shuffled mini-batches.

    Args:
        method: What a step is.
        data: Tensors ``(N, ...)``; a mini-batch has the same rows of each.
        epochs: Passes over the data.
        batch: Rows of a mini-batch; the last of an epoch may have fewer.
        generator: Source of the order, and of what is random in a step; None: a fresh one with seed
            0. Dropout and the like draw from torch's global generator.
        accelerator: As Lightning's ``Trainer`` takes it; one device is used.
        logger: A logger of Lightning's, which is given the mean loss of each epoch.
        after_epoch: Called as ``after_epoch(epochs done, mean loss)``.

    Returns:
        The mean loss of each epoch: what ``method.step`` returns, each before its update. The
        module is left in evaluation mode, on the CPU.

    Raises:
        UsageError: ``data`` of several lengths, or a loss or parameters that became NaN or
            infinite.
        RunError: Lightning is not installed.
    """
    position = Position(method, generator or torch.Generator().manual_seed(0))

    def after(epochs_done: int) -> None:
        if after_epoch:
            after_epoch(epochs_done, position.losses[-1])

    go_on(position, data, epochs, batch, Place(accelerator, logger), after)
    return position.losses


def go_on(
    position: Position,
    data: Sequence[Tensor],
    epochs: int,
    batch: int,
    place: Place,
    after: Callable[[int], object],
) -> None:
    """Train from ``position``, which goes along, until ``epochs`` are done."""
    lengths = [len(part) for part in data]
    if len(set(lengths)) != 1 or not lengths[0]:
        rule = "hold tensors with equally many rows, one at least"
        raise wrong("data", rule, lengths, "pass rows of the same examples")
    epochs = check_at_least("epochs", epochs, 0, "pass epochs=10")
    batch = check_at_least("batch", batch, 1, "pass batch=100")
    for optimizer in position.method.optimizers():
        closure = inspect.signature(optimizer.step).parameters.get("closure")
        if closure is not None and closure.default is inspect.Parameter.empty:
            got, way_out = type(optimizer).__name__, "pass torch.optim.SGD or Adam"
            raise wrong("optimizer", "step without a closure", got, way_out)
    require()
    from ._lightning import trained

    trained(position, Batches(data, batch, position.generator), epochs, place, after)


def require() -> None:
    """Refuse to begin where what runs the steps is not installed.

    Raises:
        RunError: Lightning is not installed.
    """
    if find_spec("lightning") is None:
        raise RunError("training needs lightning; pip install 'nakami[train]' adds it.")


@final
class Batches:
    """The data in shuffled mini-batches, several at a time where they are small.

    Lightning's cost for each item is a third of a millisecond (``benchmarks/training_step.py``),
    which is more than a step of a small model. Iterating draws a new order.
    """

    def __init__(self, data: Sequence[Tensor], batch: int, generator: torch.Generator):
        self.data, self.rows, self._batch, self._generator = data, len(data[0]), batch, generator
        size = batch * sum(part[0].numel() * part.element_size() for part in data)
        self._group = max(1, min(GROUP, GROUP_BYTES // max(1, size)))

    def __len__(self) -> int:
        return -(-self.rows // (self._batch * self._group))

    def __iter__(self) -> Iterator[list[tuple[Tensor, ...]]]:
        order = torch.randperm(self.rows, generator=self._generator).split(self._batch)
        for first in range(0, len(order), self._group):
            group = order[first : first + self._group]
            yield [tuple(part[rows] for part in self.data) for rows in group]
