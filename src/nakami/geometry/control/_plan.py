"""What a training under control does without one: its rate, length, warm-up and schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ...results import check_at_least, is_number, wrong, wrong_type
from ..rate._optimizers import alike
from ..rate._result import LearningRate
from ..rate._schedule import SHAPES, Schedule, course_of, schedulers_in
from ._host_schedule import schedulers_of
from ._measures import LEAVE_OUT

STEPS, WARMUP = 1000, 20  # where neither the caller nor the advice says


@dataclass(frozen=True)
class Plan:
    """A training's rates as they would be if none were lowered.

    Attributes:
        rate: The peak, of the fastest group. steps: how many. warmup: how many of them climb to it.
        shape: Factor of each step beside the warm-up, or None where schedulers give it.
        schedulers: Those on the optimizer; overwritten where there is a shape.
    """

    rate: float
    steps: int
    warmup: int
    shape: Callable[[int], float] | None
    schedulers: Sequence[Any]


def plan_of(
    rate: float | LearningRate,
    optimizer: Optimizer,
    steps: int | None,
    warmup: int | None,
    schedule: Schedule | Sequence[LRScheduler] | None,
) -> Plan:
    """What a caller asks for, checked; what is left out is that of the advice, if ``rate`` is one.

    A schedule of the advice counts only where the optimizer has no scheduler, and its warm-up with
    it: a scheduler has its own.
    """
    peak = _peak(rate, optimizer)
    advice = rate if isinstance(rate, LearningRate) and rate.training is not None else None
    if warmup is not None:
        warmup = check_at_least("warmup", warmup, 0, LEAVE_OUT)
    if steps is None:
        steps = STEPS if advice is None else advice.training
    steps = check_at_least("steps", steps, 1, LEAVE_OUT)
    given = schedulers_in(schedule, optimizer)
    own = given or schedulers_of(optimizer)
    if schedule is None and advice is not None and not own:
        schedule, warmup = _named(advice), (warmup if warmup is not None else advice.warmup or None)
    warmup = WARMUP if warmup is None else warmup
    if schedule is None or given:
        return Plan(peak, steps, warmup, None, own)
    before = warmup if isinstance(schedule, str) else 0  # what a function does not know
    return Plan(peak, steps, warmup, course_of(schedule, steps, before, optimizer).shape, own)


def _named(advice: LearningRate) -> str:
    """The schedule that advice is for, by its name."""
    if advice.schedule not in SHAPES:
        way_out = "pass it here, too, as schedule="
        rule = "be that of the advice"
        raise wrong("schedule", rule, f"none, and advice for {advice.schedule}", way_out)
    return advice.schedule


def _peak(rate: object, optimizer: Optimizer) -> float:
    if isinstance(rate, LearningRate):
        if rate.advised is None:
            raise wrong("rate", "hold advice", "advised=None", "pass a number")
        if rate.optimizer not in alike(optimizer):
            rule, way_out = "be advice for this kind of optimizer", "pass {optimizer} to both"
            raise wrong("rate", rule, f"one for {rate.optimizer}", way_out)
        rate = rate.advised
    way_out = "pass the rate to train with, as rate=0.1"
    if isinstance(rate, bool) or not is_number(rate):
        raise wrong_type("rate", "be a number or a LearningRate", repr(rate), way_out)
    if not 0 < rate < math.inf:
        raise wrong("rate", "be positive and finite", rate, way_out)
    return float(rate)
