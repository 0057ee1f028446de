"""RateControl as a callback of the Trainer of Hugging Face's transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...operators import View
from ...results import callback_repr, in_checkpoint, new_checkpoint, trainer_callback, wrong
from ..rate._matrix import Loss
from ..rate._result import LearningRate
from ._rate_control import RateControl

TrainerCallback: Any = trainer_callback("TrainerRateControl")

FILE = "rate_control.pt"


class TrainerRateControl(TrainerCallback):
    """A ``RateControl`` that ``transformers.Trainer`` drives, on one process.

    The trainer's own schedule multiplies the rate, whichever ``lr_scheduler_type`` it is; its
    ``learning_rate`` is not used but for ratios of groups, and the ``learning_rate`` in its logs is
    the rate that was used. The loss is what the model returns in training, so that the model must
    be given labels. With clipped gradients (``max_grad_norm``, 1 by default) training is stable at
    rates above the limit.
    Each measure goes to the trainer's ``state.log_history``; the state to ``rate_control.pt`` in
    each checkpoint.

    Args:
        data, loss, rate: As ``RateControl`` takes them.
        view: Makes the ``View`` of the trainer's model; by default torch's losses get the first
            tensor that it returns without labels, its logits.
        settings: ``steps`` (default: the trainer's ``max_steps``), ``warmup``, ``schedule`` and
            ``measures`` of ``RateControl``; a name or a function of the step as ``schedule`` takes
            the place of the trainer's.

    Attributes:
        control: The ``RateControl``, from the start of a training on.

    Raises:
        UsageError: At the start: several processes, a checkpoint without the state, a model that
            returns no loss, and what ``RateControl`` refuses.
    """

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
        self._losses: list[Tensor] = []
        self._summed = False
        self._hook: Any = None

    def __repr__(self) -> str:
        named = {"loss": self.loss, "rate": self.rate, **self.settings}
        return callback_repr(self, named)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Build the control, now that weights and optimizer are where they were saved."""
        self.on_train_end(args, state, control)  # of a training that failed
        if args.world_size > 1:
            way_out = "train with a loop of your own and RateControl"
            raise wrong("the trainer", "run on one process", args.world_size, way_out)
        settings = {"schedule": kwargs["lr_scheduler"], **self.settings}
        if state.max_steps > 0:
            settings.setdefault("steps", state.max_steps)
        self.control = RateControl(
            self.view(kwargs["model"]), kwargs["optimizer"], self.data, self.loss, self.rate,
            **settings,
        )  # fmt: skip
        if state.global_step:
            self.control.load_state_dict(_saved(args, state))
        self._losses = []
        self._hook = kwargs["model"].register_forward_hook(self._heard, with_kwargs=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Hand over the loss of the step, now that the trainer has noted the rate that it used."""
        if self.control is None:
            return
        if not self._losses:
            way_out = "pass labels, or use RateControl"
            raise wrong("the model", "return its loss in training", "none", way_out)
        total = torch.stack(self._losses)
        loss, self._losses = total.sum() if self._summed else total.mean(), []
        record = self.control.step(loss)
        if record is not None:
            named = {f"rate_control/{k}": v for k, v in record.as_dict().items() if k != "step"}
            state.log_history.append({**named, "step": state.global_step})

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the state beside the checkpoint."""
        folder = new_checkpoint(args, state)
        if self.control is not None and folder is not None:
            torch.save(self.control.state_dict(), folder / FILE)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the model and the scheduler as they were."""
        if self.control is not None:
            self.control.release()
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _heard(self, model: nn.Module, _: Any, inputs: dict[str, Any], output: Any) -> None:
        loss = output.get("loss") if isinstance(output, dict) else None
        if model.training and torch.is_grad_enabled() and isinstance(loss, Tensor):
            self._losses.append(loss.detach())
            self._summed = inputs.get("num_items_in_batch") is not None


def _saved(args: Any, state: Any) -> dict[str, Any]:
    """The state in the checkpoint that the trainer resumes from."""
    place, looked = in_checkpoint(args, state, FILE)
    if place is None:
        way_out = "resume from one that was written with this callback"
        raise wrong("the checkpoint", f"hold {FILE}", f"none in {looked}", way_out)
    found: dict[str, Any] = torch.load(place, weights_only=True)
    return found
