"""The advice for a training of a known length and schedule, within a share of its cost."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim import Optimizer

from ...operators import LiveLoss, random_states_kept
from ...results import Outcome
from .._outcomes import AdviceEnding, AdviceNote
from ._advice import LEARNED
from ._first_rate import FirstRate, first_rate
from ._optimizers import fastest_group, make
from ._progress import Parts
from ._race import Raced, least, race
from ._rehearsal import Rehearsal
from ._result import LearningRate, Trial
from ._schedule import Course, course_of
from ._signal import signal
from ._trials import FORWARD, GONE

TELLING = 60  # steps after which a network that learns should be below a constant output
SEED = 0  # of dropout in trials, which all draw alike


@torch.inference_mode(False)
def plan(
    live: LiveLoss,
    optimizer: Optimizer | str,
    course: tuple[Any, Any, Any],
    budget: float,
    parts: Parts,
) -> tuple[LearningRate, FirstRate]:
    """What ``learning_rate`` returns for ``course``, as given, and what its first gradient showed.

    ``course`` is schedule, steps and warm-up.
    """
    named = live.parameters()
    stepping = make(optimizer, named)
    along = course_of(*course, stepping)
    _, rule = fastest_group(stepping)
    rehearsal = Rehearsal(live, stepping, named, SEED, parts.tell)
    gradients = budget * along.steps
    first = first_rate(rehearsal, rule)
    parts.tell(f"about {first.rate:.2g}, by one gradient")
    rehearsal.by_size = first.by_size
    left = gradients - first.cost
    spare = left - least(along)  # where trials can be paid for, they come first
    agreed = signal(live, SEED, spare if spare >= 0 else left, first.loss)
    spent = first.cost + (agreed.cost if agreed else 0.0)
    raced = race(rehearsal, first, rule, along, gradients - spent)
    notes, extra = _notes(rehearsal, first, raced)
    if agreed and agreed.note:
        notes += (agreed.note,)
    trials = tuple(
        Trial(rate, tuple(run.losses), run.ended) for rate, run in sorted(rehearsal.runs.items())
    )
    known = math.isfinite(raced.spread)
    ends = (raced.rate / 10**raced.spread, raced.rate * 10**raced.spread) if known else None
    found = LearningRate(
        advised=raced.rate if known else None, interval=ends,
        outcome=_outcome(raced, along, gradients, len(trials)), notes=notes, trials=trials,
        steps=raced.steps, cost=spent + rehearsal.steps + extra, constant_loss=live.constant(),
        optimizer=type(stepping).__name__, loss=live.judged.name,
        n_samples=sum(map(live.samples, live.seen)),
        sample=live.judged.sample, n_batches=len(live.seen),
        batch_normalisation=live.batch_normalisation, training=along.steps, schedule=along.name,
        warmup=along.warmup,
    )  # fmt: skip
    return found, first


def _outcome(raced: Raced, along: Course, gradients: float, trials: int) -> Outcome:
    said = {"training": along.steps, "schedule": along.name, "advised": raced.rate}
    if not math.isfinite(raced.spread):
        kind = AdviceEnding.NO_TRIAL if trials else AdviceEnding.NO_GUIDE
        return Outcome(kind, {"trials": trials})
    said["factor"] = 10**raced.spread
    if raced.best is None:
        return Outcome(AdviceEnding.ONE_GRADIENT, {**said, "gradients": gradients})
    told = {"trials": trials, "steps": raced.steps, "rate": raced.best}
    return Outcome(AdviceEnding.RACED, {**said, **told})


def _notes(
    rehearsal: Rehearsal, first: FirstRate, raced: Raced
) -> tuple[tuple[Outcome, ...], float]:
    """What speaks against the advice, and what it cost to see that."""
    notes, cost = list[Outcome](), 0.0
    if first.way == "none" and rehearsal.runs:
        notes.append(Outcome(AdviceNote.UNGUIDED))
    if first.way == "curved":
        notes.append(Outcome(AdviceNote.NO_LEAST))
    if ended := [run.rate for run in rehearsal.runs.values() if run.ended]:
        notes.append(Outcome(AdviceNote.RAN_AWAY, {"rate": min(ended)}))
    if raced.at_end:
        notes.append(Outcome(AdviceNote.AT_END))
    if raced.best is not None:
        losses = rehearsal.runs[raced.best].losses
        half = range(len(losses) // 2, len(losses))
        fall, error = _fall([losses[k] for k in half], _at_start(rehearsal, half))
        cost = len(half) * FORWARD
        if not fall < -2 * error:
            notes.append(Outcome(AdviceNote.NOTHING))
        constant, last = rehearsal.live.constant(), losses[-max(1, len(losses) // 3) :]
        end = sum(last) / len(last)
        known = constant is not None and rehearsal.live.judged.nll is not None
        if known and raced.steps >= TELLING and end > LEARNED * constant:  # type: ignore[operator]
            notes.append(Outcome(AdviceNote.NOT_BELOW, {"end": end, "constant": constant}))
    return tuple(notes), cost


def _at_start(rehearsal: Rehearsal, which: range) -> list[float]:
    """Losses of some batches at the weights that all trials begin at."""
    live = rehearsal.live
    model = live.copy()
    with random_states_kept(live.device, rehearsal.seed), torch.no_grad():
        return [float(live(model, k)) for k in which]


def _fall(losses: list[float], start: list[float]) -> tuple[float, float]:
    """Mean logarithm of losses over those of the same batches at the start; its standard error."""
    if min(*losses, *start) > 0:
        each = [math.log(max(a / b, GONE)) for a, b in zip(losses, start, strict=True)]
    else:
        size = sum(map(abs, start)) / len(start) or 1.0
        each = [(a - b) / size for a, b in zip(losses, start, strict=True)]
    mean = sum(each) / len(each)
    scatter = sum((value - mean) ** 2 for value in each) / max(1, len(each) - 1)
    return mean, math.sqrt(scatter / len(each))
