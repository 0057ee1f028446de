"""Lightning's Trainer as the host of the steps."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, final

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch import Tensor
from torch.optim import Optimizer

from nakami.results import wrong

from ._batches import Batches
from ._method import needs_function
from ._position import Place, Position
from ._sharding import all_finite, is_sharded
from ._together import Ranks, ranks

EXPECTED = (  # Lightning warns of what is meant here
    r"`LightningModule.configure_optimizers` returned `None`",
    r"GPU available but not used",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # its own call, under torch 2.13
)


def trained(
    position: Position,
    batches: Batches,
    epochs: int,
    place: Place,
    after: Callable[[int], object],
) -> None:
    """Run the epochs that are missing; ``after(epochs done)`` is called at the end of each."""
    module, here = position.method.module, ranks()
    here.check_module(module)
    _check_parts(position.method.optimizers(), module)
    with _quiet(), _interruptible(), torch.enable_grad():  # the trainer leaves its own mode behind
        trainer = Trainer(
            max_epochs=epochs - len(position.losses),
            accelerator=place.accelerator,
            devices=1 if here.size == 1 or place.accelerator == "cpu" else [here.local],
            logger=place.logger or False,
            log_every_n_steps=1,  # else Lightning warns of short epochs
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            plugins=[LightningEnvironment()],  # one device, also where torchrun started this
        )
        try:
            if not is_sharded(module):
                module.to(trainer.strategy.root_device)
            module.train()
            position.start(batches.data)
            trainer.fit(_Host(position, batches.rows, after), batches)
        finally:
            module.eval()
            if not is_sharded(module):
                module.cpu()


@final
class _Host(LightningModule):
    """A method, as Lightning calls it."""

    def __init__(self, position: Position, rows: int, after: Callable[[int], object]):
        super().__init__()
        self.automatic_optimization = False
        self.learner = position.method.module  # so that it is moved
        self._method, self._rows = position.method, rows
        self._position, self._after = position, after
        self._losses: list[Tensor] = []
        self._ranks = ranks()
        # torch divides what it sums of parts by the number of processes
        self._scale = self._ranks.size if is_sharded(self.learner) else 1

    def configure_optimizers(self) -> Any:
        return list(self._method.optimizers()) or None

    def on_train_epoch_start(self) -> None:
        self._losses, done = [], len(self._position.losses)
        self._position.began = time.monotonic()
        if self._ranks.size > 1:  # dropout of other rows is drawn apart, also after a stop
            start = self._position.generator.initial_seed()
            torch.manual_seed((start + done * self._ranks.size + self._ranks.rank) % (1 << 63))
        self._method.epoch(done)

    def training_step(self, batches: list[Sequence[Tensor]], index: int) -> None:
        for batch in batches:
            own, share = self._ranks.own(batch)
            descend = partial(_descend, here=self._ranks, share=share, scale=self._scale)
            self._losses.append(self._method.step(own, descend) * len(batch[0]))

    def on_train_epoch_end(self) -> None:
        losses = self._position.losses
        loss = float(torch.stack(self._losses).cpu().double().sum()) / self._rows
        finite = all_finite(self.learner)
        if not (finite and abs(loss) < float("inf")):
            got = f"a loss of {loss:g}" if finite else "parameters that are not"
            rule = f"keep loss and parameters finite, epoch {len(losses) + 1} included"
            raise wrong("rate", rule, got, "pass a smaller rate")
        self._ranks.check_same(self.learner)
        losses.append(loss)
        for logger in self.loggers:
            logger.log_metrics({self._method.loss_name: loss}, step=len(losses))
        self._after(len(losses))


def _check_parts(optimizers: Sequence[Optimizer], module: torch.nn.Module) -> None:
    """Refuse optimizers that compare losses, of weights that processes hold in parts.

    Raises:
        UsageError: One is LBFGS or the like.
    """
    named = [type(each).__name__ for each in optimizers if needs_function(each)]
    if named and is_sharded(module):
        rule = "step weight by weight where processes hold parts"
        raise wrong("optimizer", rule, named[0], "pass torch.optim.AdamW or SGD")


def _descend(
    loss: Tensor | Callable[[], Tensor],
    optimizer: Optimizer,
    here: Ranks,
    share: float,
    scale: int,
) -> Tensor:
    """On one device in full precision Lightning's own calls add a tenth of a millisecond only.

    The loss is the mean over the rows of this process, which are that share of the mini-batch; it
    is differentiated times ``scale``.
    """

    def evaluated() -> Tensor:
        value = loss() if callable(loss) else loss
        optimizer.zero_grad()
        if here.size == 1:
            value.backward()
            return value
        part = value * share
        (part * scale).backward()
        here.sum_gradients(optimizer)
        return here.summed(part.detach())

    if needs_function(optimizer):
        step: Any = optimizer.step
        first: Tensor = step(evaluated)
        return first.detach()
    value = evaluated()
    optimizer.step()
    return value.detach()


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's notes are not the caller's; warnings pass, but for those of what is meant."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            for text in EXPECTED:
                warnings.filterwarnings("ignore", text)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C stays a KeyboardInterrupt, which Lightning 2.6.6 turns into an exit."""
    try:
        yield
    except SystemExit as stopped:
        if isinstance(stopped.__context__, KeyboardInterrupt):
            raise stopped.__context__ from None
        raise
