"""Epochs over mini-batches: what is checked before the host runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nakami.results import RunError, check_at_least, wrong, wrong_type

from ._batches import Batches
from ._method import Method, needs_function
from ._position import Place, Position

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


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
    """Train a method's module in place, in mini-batches, shuffled unless its rows are in order.

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
    given: object = data
    if isinstance(given, Tensor):  # its rows would be taken for parts
        raise wrong_type("data", "be a tuple of tensors", "Tensor", "pass (data,)")
    lengths = [len(part) for part in data]
    if len(set(lengths)) != 1 or not lengths[0]:
        rule = "hold tensors with equally many rows, one at least"
        raise wrong("data", rule, lengths, "pass rows of the same examples")
    epochs = check_at_least("epochs", epochs, 0, "pass epochs=10")
    batch = check_at_least("batch", batch, 1, "pass batch=100")
    _check_optimizers(position.method, lengths[0], batch)
    require()
    from ._lightning import trained

    batches = Batches(data, batch, position.generator, position.method.in_order)
    trained(position, batches, epochs, place, after)


def _check_optimizers(method: Method, rows: int, batch: int) -> None:
    """Refuse those that ask for the loss several times, where they cannot or where it changes."""
    for optimizer in method.optimizers():
        got = type(optimizer).__name__
        if not needs_function(optimizer):
            continue
        if not method.by_function:
            raise wrong("optimizer", "step without a closure", got, "pass torch.optim.SGD or Adam")
        if batch < rows:
            rule = f"hold all {rows:,} rows for {got}, whose steps compare losses"
            raise wrong("batch", rule, batch, f"pass batch={rows}")


def require() -> None:
    """Refuse to begin where what runs the steps is not installed.

    Raises:
        RunError: Lightning is not installed.
    """
    if find_spec("lightning") is None:
        raise RunError("training needs lightning; pip install 'nakami[train]' adds it.")
