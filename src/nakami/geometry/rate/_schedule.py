"""A schedule: what the rate of each step of a training is multiplied by."""

from __future__ import annotations

import copy
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ...results import (
    check_at_least,
    check_choice,
    function_name,
    is_number,
    raised,
    shown_call,
    takes_arguments,
    wrong,
    wrong_type,
)

SHAPES = ("constant", "cosine", "linear", "wsd")
DECAY = 0.2  # share of a wsd training in which its rate falls
Schedule = str | Callable[[int], float] | LRScheduler


@dataclass(frozen=True)
class Course:
    """The course of a rate: a factor of its peak for each step.

    Attributes:
        steps: How many. name: of the shape, in words.
        shape: Factor of a step from 0 on, beside that of the warm-up.
        warmup: Steps of linear warm-up.
    """

    steps: int
    name: str
    shape: Callable[[int], float]
    warmup: int = 0

    def factor(self, step: int) -> float:
        """What the peak is multiplied by at a step ``0 .. steps - 1``."""
        return min(1.0, (step + 1) / (self.warmup + 1)) * self.shape(step)

    @property
    def end(self) -> float:
        """Mean factor of the last twentieth of the steps: 1 where the rate stays at its peak."""
        count = max(1, self.steps // 20)
        return sum(self.factor(t) for t in range(self.steps - count, self.steps)) / count


def course_of(schedule: Any, steps: Any, warmup: Any, optimizer: Optimizer) -> Course:
    """The course that a caller asks for, checked.

    With ``w`` the warm-up, a named shape has ``(t + 1) / (w + 1)`` at the steps ``t < w``, then, at
    ``u = (t - w) / (steps - w)``: ``constant`` 1; ``cosine`` ``(1 + cos(pi u)) / 2``; ``linear``
    ``1 - u``; ``wsd`` (warm up, stay, decay) 1, and over the last fifth ``(1 - u) / 0.2``. After
    the last step they stay where they ended. A scheduler of torch on the optimizer is stepped
    ahead on a stand-in: its rates over their peak.
    """
    steps = check_at_least("steps", steps, 1, "pass the optimizer steps of the whole training")
    warmup = check_at_least("warmup", warmup, 0, "leave it out for none")
    if warmup >= steps:
        raise wrong("warmup", f"be below steps, {steps}", warmup, "warm up over a tenth of them")
    if isinstance(schedule, str):
        check_choice("schedule", schedule, SHAPES, "or pass a scheduler of torch")
        return named_course(schedule, steps, warmup)
    if len(own := schedulers_in(schedule, optimizer)) == 1:
        return _of_scheduler(own[0], steps, warmup, optimizer)
    _check_function(schedule)
    return Course(steps, "a function", lambda t: _checked(schedule, t), warmup)


def named_course(name: str, steps: int, warmup: int) -> Course:
    """The course of a named shape, all checked."""
    return Course(steps, name, lambda t: _named(name, t, steps, warmup), warmup)


def schedulers_in(schedule: Any, optimizer: Optimizer) -> list[Any]:
    """The schedulers of torch that a caller passed, one or several, each once; none: another kind.

    Refuses those of another optimizer.
    """
    given = list(schedule) if isinstance(schedule, list | tuple) else [schedule]
    inner = [getattr(each, "scheduler", each) for each in given]  # accelerate wraps one
    if not all(hasattr(each, "optimizer") for each in inner):
        return []
    if not all(on(optimizer, each) for each in inner):
        way_out = "build it on {optimizer}"
        raise wrong("schedule", "be a scheduler of {optimizer}", "one of another", way_out)
    return list({id(each): each for each in inner}.values())


def _named(name: str, t: int, steps: int, warmup: int) -> float:
    u = min(1.0, max(0.0, (t - warmup) / (steps - warmup)))
    if name == "cosine":
        return (1 + math.cos(math.pi * u)) / 2
    if name == "linear":
        return 1 - u
    return min(1.0, (1 - u) / DECAY) if name == "wsd" else 1.0


def _check_function(schedule: Any) -> None:
    """Refuse what is no function of the step."""
    got, way_out = repr(schedule), f"use one of {', '.join(map(repr, SHAPES))}, or schedule(step)"
    if isinstance(schedule, type):
        name = schedule.__name__
        got, way_out = f"the class {name}", f"pass one that is built, {name}({{optimizer}}, ...)"
    if isinstance(schedule, type) or not callable(schedule):
        raise wrong_type("schedule", "be a name, a scheduler or a function", got, way_out)
    if not takes_arguments(schedule, 1):
        way_out = "let it take the step and return the factor of its rate, lambda step: 1.0"
        raise wrong_type("schedule", "take one argument, (step)", shown_call(schedule), way_out)


def _checked(schedule: Callable[[int], float], t: int) -> float:
    factor: object
    try:
        factor = schedule(t)
    except Exception as error:
        where = f"{function_name(schedule)} of step {t}"
        way_out = "let it give a factor for every step from 0 on"
        raise raised("schedule", error, where, way_out) from error
    if not is_number(factor) or not 0 <= float(factor) < math.inf:
        way_out = "let it return what the rate of that step is multiplied by"
        raise wrong("schedule", "return a factor from 0 on", repr(factor), way_out)
    return float(factor)


def _of_scheduler(scheduler: Any, steps: int, warmup: int, optimizer: Optimizer) -> Course:
    """Of one of torch, from where it stands; neither it nor the optimizer moves."""
    if isinstance(scheduler, ReduceLROnPlateau):
        way_out = "pass the schedule that you expect, as schedule='constant'"
        got = type(scheduler).__name__
        raise wrong("schedule", "be known before the training", got, way_out)
    stand_in: dict[int, Any] = {id(optimizer.state): defaultdict(dict)}
    for group in optimizer.param_groups:
        stand_in |= {id(p): torch.nn.Parameter(torch.zeros(1)) for p in group["params"]}
    twin = copy.deepcopy(scheduler, stand_in)
    top = max(range(len(optimizer.param_groups)), key=peaks(optimizer, [scheduler]).__getitem__)
    peak = peaks(optimizer, [scheduler])[top]
    factors, named = list[float](), type(scheduler).__name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of schedulers stepped without their optimizer
        for t in range(steps):
            try:
                _ = t and twin.step()
            except Exception as error:
                said = str(error).partition("\n")[0].rstrip(".")
                got = f"{named} and from it at step {t} {type(error).__name__}: {said}"
                rule = f"have a rate for each of the {steps} steps"
                raise wrong("schedule", rule, got, f"build it for {steps} steps") from error
            factors.append(float(twin.optimizer.param_groups[top]["lr"]) / peak)
    return Course(steps, named, factors.__getitem__, warmup)


def on(optimizer: Optimizer, scheduler: Any) -> bool:
    """Whether a scheduler writes the rates of an optimizer."""
    groups: list[dict[str, Any]] = scheduler.optimizer.param_groups
    return groups is optimizer.param_groups


def peaks(optimizer: Optimizer, schedulers: Sequence[Any]) -> list[float]:
    """The rate of each group that schedulers are a factor of: the optimizer's own, or the highest.

    ``OneCycleLR`` and ``CyclicLR`` climb to a rate of their own.
    """
    highest = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    for i, group in enumerate(optimizer.param_groups):
        ends = [each.max_lrs[i] for each in schedulers if hasattr(each, "max_lrs")]
        highest[i] = max([highest[i], float(group.get("max_lr", 0.0)), *map(float, ends)])
    return highest
