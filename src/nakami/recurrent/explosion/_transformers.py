"""ExplosionMonitor as a callback of the Trainer of Hugging Face's transformers."""

from __future__ import annotations

from typing import Any

import torch

from ...results import callback_repr, in_checkpoint, new_checkpoint, trainer_callback
from ._monitor import ExplosionMonitor

TrainerCallback: Any = trainer_callback("TrainerExplosionMonitor")

FILE = "explosion_monitor.pt"


class TrainerExplosionMonitor(TrainerCallback):
    """An ``ExplosionMonitor`` that ``transformers.Trainer`` builds.

    Each reading that warns goes to the trainer's ``state.log_history``; the state to
    ``explosion_monitor.pt`` in each checkpoint. A resumed training without that file starts anew.

    Args:
        settings: ``limit``, ``growth_limit``, ``every``, ``length`` and ``on_warning`` of
            ``ExplosionMonitor``.

    Attributes:
        monitor: The ``ExplosionMonitor``, from the start of a training on.

    Raises:
        UsageError: At the start: what ``ExplosionMonitor`` refuses.
    """

    def __init__(self, **settings: Any):
        self.settings = settings
        self.monitor: ExplosionMonitor | None = None
        self._told = 0

    def __repr__(self) -> str:
        return callback_repr(self, self.settings)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Build the monitor, now that the weights are where they were saved."""
        self.on_train_end(args, state, control)  # of a training that failed
        self.monitor = ExplosionMonitor(kwargs["model"], kwargs["optimizer"], **self.settings)
        place, _ = in_checkpoint(args, state, FILE)
        if state.global_step and place is not None:
            self.monitor.load_state_dict(torch.load(place, weights_only=True))
        self._told = len(self.monitor.warned)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put a reading that warned into the trainer's log."""
        if self.monitor is None:
            return
        for reading in self.monitor.warned[self._told :]:
            named = {f"explosion_monitor/{k}": v for k, v in reading.as_dict().items()}
            state.log_history.append({**named, "step": state.global_step})
        self._told = len(self.monitor.warned)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the state beside the checkpoint."""
        folder = new_checkpoint(args, state)
        if self.monitor is not None and folder is not None:
            torch.save(self.monitor.state_dict(), folder / FILE)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the monitor's hooks off; what it read stays."""
        if self.monitor is not None:
            self.monitor.remove()
