"""ExplosionMonitor as a callback of Lightning."""

from __future__ import annotations

from typing import Any

from ...results import SavedWithCheckpoints, callback_repr, lightning_callback, wrong
from ._matrices import recurrent_matrices
from ._monitor import ExplosionMonitor

Callback: Any = lightning_callback("LightningExplosionMonitor")


class LightningExplosionMonitor(SavedWithCheckpoints, Callback):
    """An ``ExplosionMonitor`` that Lightning's trainer builds; saved with its checkpoints.

    The trainer's logger gets the relative update as ``explosion_monitor/update``.

    Args:
        settings: ``limit``, ``growth_limit``, ``every``, ``length`` and ``on_warning`` of
            ``ExplosionMonitor``.

    Attributes:
        monitor: The ``ExplosionMonitor``, from the start of a fit on.

    Raises:
        UsageError: At the start of a fit: several optimizers hold recurrent weights, and what
            ``ExplosionMonitor`` refuses.
    """

    def __init__(self, **settings: Any):
        self.settings = settings
        self.monitor: ExplosionMonitor | None = None
        self._logged = 0

    def __repr__(self) -> str:
        return callback_repr(self, self.settings)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Build the monitor, now that the weights are where they were saved."""
        self.on_fit_end(trainer, pl_module)  # of a fit that failed
        optimizer = _holding(trainer.optimizers, pl_module)
        self.monitor = ExplosionMonitor(pl_module, optimizer, **self.settings)
        self._restore(self.monitor)
        self._logged = self.monitor.count

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log what was read after an optimizer step."""
        if self.monitor is not None and self.monitor.count > self._logged:
            self._logged = self.monitor.count
            update = self.monitor.history[-1].update
            pl_module.log("explosion_monitor/update", update, on_step=True, on_epoch=False)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Take the monitor's hooks off; what it read stays."""
        if self.monitor is not None:
            self.monitor.remove()


def _holding(optimizers: list[Any], module: Any) -> Any:
    """The one optimizer that holds recurrent weights; the first where none does."""
    weights = {id(p) for p in recurrent_matrices(module).values()}
    holding = [
        each
        for each in optimizers
        if weights & {id(p) for group in each.param_groups for p in group["params"]}
    ]
    if len(holding) > 1:
        way_out = "build an ExplosionMonitor for each in configure_optimizers"
        rule = "hold recurrent weights in one optimizer"
        raise wrong("the module", rule, f"{len(holding)} optimizers", way_out)
    return holding[0] if holding else optimizers[0]
