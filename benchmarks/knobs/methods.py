"""Who advises by the second protocol: nakami, range tests, constants, and settings of their own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache, partial
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs import score
from benchmarks.knobs.sweep import Case, Update, rate
from benchmarks.knobs.tasks import PROTOCOL, RUN, TASKS, Task, factor
from benchmarks.lr.advice import Said, lightning_range_test, torch_lr_finder

DEFAULTS = {"momentum": 0.1, "adamw": 1e-3}
PRECISE = 50  # batches for the statistics of batch normalisation, as schedulefree's page has it


@dataclass(frozen=True)
class Asked:
    """What a method may read. ``optimizer``: of ``name``, on ``model``, at a rate of 1e-3."""

    task: Task
    model: nn.Module
    optimizer: Optimizer
    name: str
    horizon: str
    seed: int

    def batches(self) -> Iterator[Any]:
        """Endless examples of the training set, in the order for advice."""
        return self.task.batches(self.seed, "advice")


@dataclass(frozen=True)
class Own:
    """A setting in place of a rate: ``make(task, model, seed)`` is what moves the weights."""

    make: Callable[[Task, nn.Module, int], Update]
    more: dict[str, Any]
    cost: float = 0.0


@dataclass(frozen=True)
class Method:
    """A method.

    Attributes:
        advise: Gives a rate or a setting.
        package: What must be importable.
        same: Whether its setting is one for all optimizers.
        unscheduled: Whether it is one for all schedules of a length.
    """

    advise: Callable[[Asked], Said | Own]
    package: str
    same: bool = False
    unscheduled: bool = False


def normalised(model: nn.Module) -> bool:
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


def nakami_advice(asked: Asked, **settings: float) -> Said:
    import nakami

    found = nakami.learning_rate(
        asked.model, asked.batches(), asked.task.loss(), asked.optimizer,
        steps=PROTOCOL["horizon"][asked.horizon]["steps"],
        schedule=lambda t: factor(asked.horizon, t), **settings,
    )  # fmt: skip
    more = {"interval": found.interval, "converged": found.converged, "why": found.advice}
    return Said(found.advised, found.cost, {**more, **notes_of(found)})


def notes_of(found: Any) -> dict[str, list[str]]:
    """The notes of a ``LearningRate``, and those that speak against it."""
    against = [note.kind.name for note in found.notes if not note.converged]
    return {"notes": [note.kind.name for note in found.notes], "doubts": against}


def tuned(asked: Asked) -> Own:
    """The setting of ``nakami.tune``, by the code that it gives: its schedule, too."""
    import nakami

    steps = PROTOCOL["horizon"][asked.horizon]["steps"]
    found = nakami.tune(asked.model, asked.batches(), asked.task.loss(), steps=steps)

    def make(task: Task, model: nn.Module, seed: int) -> Update:
        inside: dict[str, Any] = {"model": model}
        exec(found.snippet(), inside)
        peak = inside["optimizer"].param_groups[0]["initial_lr"]
        return Update(inside["optimizer"], peak, factor=inside["factor"])

    unknown = [choice.name for choice in found.choices if not choice.converged]
    more = {"setting": repr(found), "converged": found.converged, "rate": found.rate}
    more |= {"unknown": unknown, **notes_of(found.advice)}
    return Own(make, more, found.cost)


def critical(asked: Asked) -> Said:
    import nakami

    view = nakami.View(asked.model, batch_statistics=normalised(asked.model))
    batch, loss = next(asked.batches()), asked.task.loss()
    found = nakami.critical_sharpness(view, batch, loss, asked.optimizer)
    return Said(found.rate, found.cost, {"ending": found.outcome.kind.name})


def defaults(asked: Asked) -> Said:
    return Said(DEFAULTS[asked.name], 0.0, {})


def development_constant(asked: Asked) -> Said:
    curves = development_curves(asked.name, asked.horizon)
    place = score.constant_place(curves, without=asked.task.name)
    used = [name for name, curve in curves.items() if curve and name != asked.task.name]
    return Said(rate(place), 0.0, {"place": place, "tasks": len(used)})


@cache
def development_curves(name: str, horizon: str) -> dict[str, dict[int, float]]:
    """Of each development task, the regret of each rate that its grid tried."""
    return {
        each: score.regrets(Case(each, name), horizon)
        for each in TASKS
        if PROTOCOL["task"][each]["role"] == "development"
    }


def range_test(asked: Asked, test: Callable[..., Said]) -> Said:
    with redirect_stderr(StringIO()):  # bars
        return test(asked.task, asked.model, asked.optimizer, asked.seed)


def prodigy(asked: Asked) -> Own:
    from prodigyopt import Prodigy

    def make(task: Task, model: nn.Module, seed: int) -> Update:
        return Update(Prodigy(model.parameters()), 1.0)

    return Own(make, {"setting": "Prodigy, lr 1 times the horizon's schedule"})


def schedule_free(asked: Asked) -> Own:
    import schedulefree

    kinds = {
        "momentum": schedulefree.SGDScheduleFree,
        "adamw": schedulefree.AdamWScheduleFree,
    }
    kind: Any = kinds[asked.name]

    def make(task: Task, model: nn.Module, seed: int) -> Update:
        steps = kind(model.parameters())
        steps.train()
        return Update(steps, None, partial(averaged_validation, steps=steps, seed=seed))

    return Own(make, {"setting": f"{kind.__name__}, its own rate and no schedule"})


def averaged_validation(task: Task, model: nn.Module, steps: Any, seed: int) -> float:
    """Of the averaged weights, with statistics of batch normalisation read again for them."""
    steps.eval()
    if normalised(model):
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for x, _ in itertools.islice(task.batches(seed), PRECISE):
                model(x)
    found = task.validation(model)
    steps.train()
    return found


def dog(asked: Asked) -> Own:
    from dog import DoG, PolynomialDecayAverager

    start = 1e-4 if normalised(asked.model) else 1e-6  # as its documentation says

    def make(task: Task, model: nn.Module, seed: int) -> Update:
        steps, averager = DoG(model.parameters(), reps_rel=start), PolynomialDecayAverager(model)
        steps.register_step_post_hook(lambda *_: averager.step())
        return Update(steps, None, lambda task, _: task.validation(averager.averaged_model))

    return Own(make, {"setting": f"DoG, reps_rel {start:g}, no schedule, averaged for validation"})


METHODS: dict[str, Method] = {
    "nakami": Method(nakami_advice, "nakami"),
    "nakami, budget 0.3": Method(partial(nakami_advice, budget=0.3), "nakami"),
    "nakami tune": Method(tuned, "nakami", same=True, unscheduled=True),
    "Lightning lr_find": Method(partial(range_test, test=lightning_range_test), "lightning"),
    "torch-lr-finder": Method(partial(range_test, test=torch_lr_finder), "torch_lr_finder"),
    "defaults": Method(defaults, "torch"),
    "development constant": Method(development_constant, "torch"),
    "critical sharpness": Method(critical, "nakami"),
    "Prodigy": Method(prodigy, "prodigyopt", same=True),
    "schedule-free": Method(schedule_free, "schedulefree", unscheduled=True),
    "DoG": Method(dog, "dog", same=True, unscheduled=True),
}


def advise(method: str, asked: Asked) -> Said | Own:
    """What a method says; one that fails gives no rate. Random numbers are the seed's own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RUN["advice_seed"] + asked.seed)
        try:
            return METHODS[method].advise(asked)
        except Exception as failed:
            return Said(None, 0.0, {"failed": f"{type(failed).__name__}: {failed}"[:200]})
