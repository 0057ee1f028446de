"""The best rate of a training of some length, from short ones: a race of rates within a budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ._first_rate import STEPS as FIRST
from ._first_rate import FirstRate
from ._optimizers import corrected, warmed
from ._rehearsal import Rehearsal
from ._rule import Rule
from ._schedule import Course
from ._trials import GONE, STEP, vertex

SHORTEST, LONGEST = 20, 120  # steps of a trial: fewer tell no more than one gradient, more no more
RUNS = 4  # trials that a search takes, about
LOOK_BACK = 1 / 6  # of a trial: what losses at the start cost, that it is compared with
STEEP = 2.0  # log loss: a neighbour that is worse by more says no more
FAR = 2.0  # neighbours away from the first rate: it was wrong, and counts no more
MEMORIES = 9  # of momentum after which a trial is a training like any other

# Set on the development tasks of benchmarks/knobs, in decades of a rate (log10).
# Of the best of trials of so many steps:
TRIAL_SPREAD = {0: 0.45, SHORTEST: 0.35, 30: 0.22, 60: 0.18}
# Of the advice from the best rate of the grid, what two of three lay within, by steps of a trial
# and for normalised steps or not; 0, one gradient, is what the held-back tasks showed.
SPREAD = {
    True: {0: 0.44, SHORTEST: 0.40, 60: 0.33},
    False: {0: 0.92, SHORTEST: 0.50, 60: 0.42},
}
# By how much longer trainings of normalised steps want log10 lower, constant ones or decayed.
PER_DOUBLING, PER_DOUBLING_DECAYED = 0.10, 0.025
FILLING, FILLING_DECAYED = 0.67, 0.25  # log10 by which short trials of momentum choose too high
DECADES = 1.5  # a course that ends so far below its peak has decayed in full


@dataclass(frozen=True)
class Raced:
    """What a race found.

    Attributes:
        rate: For the training. spread: standard error of its log10, as calibrated; infinite where
            all trials ran away, and no rate is known.
        best: Rate of the best trial, or None where there was none. steps: of a trial.
        fall: Mean over its last third of ``log(loss / loss of that batch at the start)``.
        at_end: Whether the race ended before a rate on either side did worse.
    """

    rate: float
    spread: float
    best: float | None
    steps: int
    at_end: bool


def shift(rule: Rule, normalised: bool, course: Course, steps: int) -> float:
    """By how much the best log10 of a training's peak lies above that of trials of some steps.

    Momentum fills slowly, so that short trials choose too high. A training at a constant rate
    ends on the noise of its steps, which wants a lower rate the longer it is; one that decays
    hardly does, and its best peak is near the best rate of short trials.
    """
    decayed = min(1.0, -math.log10(max(course.end, 1e-9)) / DECADES)
    if normalised:
        each = PER_DOUBLING * (1 - decayed) + PER_DOUBLING_DECAYED * decayed
        return -each * math.log2(max(1.0, course.steps / steps))
    if not rule.momentum:
        return 0.0
    empty = min(1.0, max(0.0, (MEMORIES - steps / rule.memory) / (MEMORIES - 2)))
    return -empty * (FILLING * (1 - decayed) + FILLING_DECAYED * decayed)


def least(course: Course) -> float:
    """Gradients that a race takes, about, with trials as short as they may be."""
    return (RUNS + LOOK_BACK) * min(SHORTEST, course.steps)


def race(
    rehearsal: Rehearsal, first: FirstRate, rule: Rule, course: Course, gradients: float
) -> Raced:
    """The rate to train with, by trials that cost at most so many gradients.

    Trials at neighbouring rates, 2.15 apart, from the first on towards where the loss falls more,
    until the best lies inside; a parabola through three. A mean of this and of the first rate, by
    their errors, is moved by ``shift``.
    """
    normalised = corrected(rehearsal.optimizer)
    later = math.log10(warmed(rehearsal.optimizer, course.steps) or 1.0)  # of a warm-up of its own
    begun = math.log10(warmed(rehearsal.optimizer, FIRST))
    prior = math.log10(first.rate) + begun - later + shift(rule, normalised, course, FIRST)
    steps = min(LONGEST, course.steps, int(gradients / (RUNS + LOOK_BACK)))
    if gradients < least(course):
        wide = 0.0 if first.by_size else first.spread
        spread = math.inf if first.way == "none" else max(SPREAD[normalised][0], wide)
        return Raced(10**prior, spread, None, 0, False)
    scores = _walk(rehearsal, first.rate, steps, gradients - LOOK_BACK * steps)
    best = min(scores, key=lambda i: (scores[i], i))
    at_end = best - 1 not in scores or best + 1 not in scores
    if not math.isfinite(scores[best]):
        return Raced(math.nan, math.inf, None, steps, False)
    index = float(best)
    if not at_end:
        below, here, above = (scores[best + way] for way in (-1, 0, 1))
        index += vertex(min(below, here + STEEP), here, min(above, here + STEEP))
    begun = math.log10(warmed(rehearsal.optimizer, steps) or 1.0)
    tried = math.log10(first.rate * STEP**index) + begun - later
    tried += shift(rule, normalised, course, steps)
    own = _by_steps(TRIAL_SPREAD, steps)
    weight = 1.0 if abs(index) > FAR else first.spread**2 / (first.spread**2 + own**2)
    found = weight * tried + (1 - weight) * prior
    spread = _by_steps(SPREAD[normalised], steps)
    return Raced(10**found, spread, first.rate * STEP**best, steps, at_end)


def _by_steps(table: Mapping[int, float], steps: int) -> float:
    """The entry of the largest number of steps that is not above these."""
    return table[max(least for least in table if least <= steps)]


def _walk(rehearsal: Rehearsal, start: float, steps: int, gradients: float) -> dict[int, float]:
    """Scores of trials at ``start STEP^i``, from -1, 0 and 1 on downhill while the budget lasts."""
    begun, scores = rehearsal.steps, dict[int, float]()
    tried = dict[int, list[float] | None]()
    wanted = [0, 1, -1]
    while wanted and rehearsal.steps - begun + steps <= gradients + 1e-9:
        i = wanted.pop(0)
        tried[i] = rehearsal.losses(start * STEP**i, steps)
        scores = scores_of(tried)
        if not wanted:
            best = min(scores, key=lambda i: (scores[i], i))
            wanted = [i for i in (best - 1, best + 1) if i not in scores]
    return scores


def scores_of(tried: Mapping[int, list[float] | None]) -> dict[int, float]:
    """Mean logarithm of the last third of each trial's losses; infinite where it ran away.

    Where one of them is below 0, all are compared by size, over the largest fall.
    """
    last = {i: run[-max(1, len(run) // 3) :] for i, run in tried.items() if run is not None}
    if all(min(losses) >= 0 for losses in last.values()):
        found = {i: _mean([math.log(max(v, GONE)) for v in losses]) for i, losses in last.items()}
    else:
        falls = {i: _mean(losses) - (tried[i] or losses)[0] for i, losses in last.items()}
        most = -min(falls.values()) if min(falls.values()) < 0 else 1.0
        found = {i: fall / most for i, fall in falls.items()}
    return {i: found.get(i, math.inf) for i in tried}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
