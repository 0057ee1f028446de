"""XrayMonitor as a callback of the Trainer of Hugging Face's transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...operators import View
from ...results import (
    callback_repr,
    check_callable,
    in_checkpoint,
    new_checkpoint,
    trainer_callback,
)
from ._monitor import XrayMonitor, check_share
from ._scalars import scalars

TrainerCallback: Any = trainer_callback("TrainerXrayMonitor")

FILE = "xray_monitor.pt"


class TrainerXrayMonitor(TrainerCallback):
    """An ``XrayMonitor`` that ``transformers.Trainer`` drives.

    It looks at the start of a training, every ``every`` steps of the trainer, and at the end,
    within the budget. ``xray/<stage>/s1``, ``effective_rank`` and ``above_1`` of each look, means
    over the inputs, and ``xray/share_of_time`` go to the trainer's ``state.log_history``; with
    ``log=trainer.log`` to TensorBoard and all else that the trainer reports to, as well:
    ``trainer.add_callback(TrainerXrayMonitor(inputs, log=trainer.log))``. The state goes to
    ``xray_monitor.pt`` in each checkpoint. Of several processes the first looks.

    Args:
        inputs: As ``XrayMonitor`` takes them; as a dict the model's arguments by name.
        view: Makes the ``View`` of the trainer's model.
        log: ``log(numbers)``, called in place of the note in ``state.log_history``.
        settings: ``stages``, ``k``, ``every``, ``out``, ``max_share``, ``spectrum``,
            ``input_unit`` and ``about`` of ``XrayMonitor``; ``max_share`` above 0.

    Attributes:
        monitor: The ``XrayMonitor``, from the start of a training on.

    Raises:
        UsageError: ``max_share`` out of range, 0 included. At the start: what
            ``XrayMonitor`` refuses.
    """

    def __init__(
        self,
        inputs: Any,
        *,
        view: Callable[[nn.Module], View] = View,
        log: Callable[[dict[str, float]], object] | None = None,
        **settings: Any,
    ):
        check_callable("log", log, "log(numbers)")
        self.inputs, self.view, self.log, self.settings = inputs, view, log, settings
        check_share(settings.get("max_share", 1), callback=True)
        self.monitor: XrayMonitor | None = None

    def __repr__(self) -> str:
        return callback_repr(self, self.settings)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Build the monitor, now that the weights are where they were saved, and look."""
        self.monitor = None
        if not state.is_world_process_zero:
            return
        monitor = XrayMonitor(self.view(kwargs["model"]), self.inputs, **self.settings)
        place, _ = in_checkpoint(args, state, FILE)
        if state.global_step and place is not None:
            monitor.load_state_dict(torch.load(place, weights_only=True))
        monitor.count = state.global_step
        self.monitor = monitor
        if not monitor.n_looks:
            monitor.look()
            self._tell(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look where it is time, and log what was seen."""
        if self.monitor is not None and self.monitor.step(state.global_step) is not None:
            self._tell(state)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the state beside the checkpoint."""
        folder = new_checkpoint(args, state)
        if self.monitor is not None and folder is not None:
            torch.save(self.monitor.state_dict(), folder / FILE)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A last look, and the end of the run folder."""
        if self.monitor is not None:
            before = self.monitor.n_looks
            self.monitor.finish()
            if self.monitor.n_looks > before:
                self._tell(state)

    def _tell(self, state: Any) -> None:
        assert self.monitor is not None
        numbers = scalars(self.monitor.history)
        if self.log is None:
            state.log_history.append({**numbers, "step": state.global_step})
        else:
            self.log(numbers)
