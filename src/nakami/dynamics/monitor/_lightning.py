"""XrayMonitor as a callback of Lightning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ...operators import View
from ...results import SavedWithCheckpoints, callback_repr, lightning_callback
from ._monitor import XrayMonitor, check_share
from ._scalars import scalars

Callback: Any = lightning_callback("LightningXrayMonitor")


class LightningXrayMonitor(SavedWithCheckpoints, Callback):
    """An ``XrayMonitor`` that Lightning's trainer drives; its state is saved with checkpoints.

    The model is the ``LightningModule`` itself. It looks at the start of a fit, every ``every``
    steps of the trainer, and at the end, within the budget. The trainer's loggers get
    ``xray/<stage>/s1``, ``effective_rank`` and ``above_1`` of each look, means over the inputs, and
    ``xray/share_of_time``. Of several processes the first looks.

    Args:
        inputs: As ``XrayMonitor`` takes them.
        view: Makes the ``View`` of the module, where ``module(x)`` does not do: for example
            ``functools.partial(nakami.View, forward=...)``.
        settings: ``stages``, ``k``, ``every``, ``out``, ``max_share``, ``spectrum``,
            ``input_unit`` and ``about`` of ``XrayMonitor``; ``max_share`` above 0.

    Attributes:
        monitor: The ``XrayMonitor``, from the start of a fit on.

    Raises:
        UsageError: ``max_share`` out of range, 0 included. At the start of a fit: what
            ``XrayMonitor`` refuses.
    """

    def __init__(self, inputs: Any, *, view: Callable[[nn.Module], View] = View, **settings: Any):
        self.inputs, self.view, self.settings = inputs, view, settings
        check_share(settings.get("max_share", 1), callback=True)
        self.monitor: XrayMonitor | None = None

    def __repr__(self) -> str:
        return callback_repr(self, self.settings)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Build the monitor, now that the weights are where they were saved, and look."""
        self.monitor = None
        if not trainer.is_global_zero:
            return
        monitor = XrayMonitor(self.view(pl_module), self.inputs, **self.settings)
        self._restore(monitor)
        monitor.count = trainer.global_step
        self.monitor = monitor
        if not monitor.n_looks:
            monitor.look()
            self._log(trainer)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look where it is time, and log what was seen."""
        monitor = self.monitor
        if monitor is None or trainer.global_step == monitor.count:
            return
        if monitor.step(trainer.global_step) is not None:
            self._log(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """A last look, and the end of the run folder."""
        if self.monitor is not None:
            before = self.monitor.n_looks
            self.monitor.finish()
            if self.monitor.n_looks > before:
                self._log(trainer)

    def _log(self, trainer: Any) -> None:
        assert self.monitor is not None
        numbers = scalars(self.monitor.history)
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=self.monitor.count)
