"""RateControl as a callback of Lightning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ...operators import View
from ...results import SavedWithCheckpoints, callback_repr, lightning_callback, wrong
from ..rate._matrix import Loss
from ..rate._result import LearningRate
from ._rate_control import RateControl

Callback: Any = lightning_callback("LightningRateControl")


class LightningRateControl(SavedWithCheckpoints, Callback):
    """A ``RateControl`` that Lightning's trainer drives; its state is saved with checkpoints.

    The model is the ``LightningModule`` itself. The trainer's logger gets each measure as
    ``rate_control/sharpness`` and so on. Of several micro-batches the mean loss counts, and of
    several processes their mean. Schedulers of the module multiply the rate (of several, all that
    they do), at the steps or epochs that the module says.

    Args:
        data, loss, rate: As ``RateControl`` takes them.
        view: Makes the ``View`` of the module, where ``module(x)`` does not do: for example
            ``functools.partial(nakami.View, forward=...)``.
        settings: ``steps`` (default: the trainer's own number where it has one), ``warmup``,
            ``schedule`` and ``measures`` of ``RateControl``.

    Attributes:
        control: The ``RateControl``, from the start of a fit on.

    Raises:
        UsageError: At the start of a fit: several optimizers, manual optimization, and what
            ``RateControl`` refuses.
    """

    BUILT = "control"

    def __init__(
        self,
        data: Any,
        loss: Loss,
        rate: float | LearningRate,
        *,
        view: Callable[[nn.Module], View] = View,
        **settings: Any,
    ):
        self.data, self.loss, self.rate = data, loss, rate
        self.view, self.settings = view, settings
        self.control: RateControl | None = None
        self._losses: list[float] = []
        self._done = 0

    def __repr__(self) -> str:
        named = {"loss": self.loss, "rate": self.rate, **self.settings}
        return callback_repr(self, named)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Build the control, now that weights and optimizer are where they were saved."""
        self.on_fit_end(trainer, pl_module)  # of a fit that failed
        count = len(trainer.optimizers)
        if count != 1:
            way_out = "return one optimizer from configure_optimizers"
            raise wrong("the module", "have one optimizer", count, way_out)
        if not pl_module.automatic_optimization:
            way_out = "call RateControl.step(loss) in training_step"
            raise wrong("the module", "optimize automatically", "by hand", way_out)
        settings = dict(self.settings)
        if trainer.lr_scheduler_configs:
            own = [config.scheduler for config in trainer.lr_scheduler_configs]
            settings.setdefault("schedule", own)
        planned = trainer.estimated_stepping_batches
        if 0 < planned < float("inf"):
            settings.setdefault("steps", int(planned))
        optimizer = trainer.optimizers[0]
        self.control = RateControl(
            self.view(pl_module), optimizer, self.data, self.loss, self.rate, **settings
        )
        self._restore(self.control)
        self._losses, self._done = [], trainer.global_step

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Hand over the loss of an optimizer step, and log what was measured."""
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if self.control is None or loss is None:
            return
        scale = trainer.accumulate_grad_batches  # the trainer has divided by it
        mean = trainer.strategy.reduce(loss.detach() * scale, reduce_op="mean")
        self._losses.append(float(mean))
        if trainer.global_step == self._done:
            return
        self._done = trainer.global_step
        record = self.control.step(sum(self._losses) / len(self._losses))
        self._losses = []
        if record is not None:
            named = {f"rate_control/{k}": float(v) for k, v in record.as_dict().items()}
            pl_module.log_dict(named, on_step=True, on_epoch=False)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Give the module's schedulers back."""
        if self.control is not None:
            self.control.release()
