"""Short trainings at several rates, and where between them the loss falls fastest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ._result import Trial
from ._training import Training

STEP = 10 ** (1 / 3)  # between neighbouring rates
SHORT = 7  # steps of a first look
REACH = 7  # looks to either side of the first
RUNAWAY = 4.0  # times the largest loss at the start: a trial ends there
FLAT = 5e-3  # a loss that falls by less than this share of itself may be a dead network's
NOTHING = 1e-5  # and by less than this not at all


@dataclass
class Trials:
    """Trainings at the rates ``start STEP^i``, each continued where it stood.

    Attributes:
        make: A training at a rate. start: the rate of ``i = 0``.
        base: Loss of each batch at the start, in turn.
        steps: Steps made in all.
    """

    make: Callable[[float], Training]
    start: float
    base: Sequence[float]
    steps: int = 0
    running: dict[int, Training] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)

    def rate(self, i: float) -> float:
        """The rate of an index."""
        return self.start * STEP**i

    def score(self, i: int, steps: int) -> float:
        """Mean over the last third of ``log(loss / loss of that batch at the start)``.

        Infinite where the loss ran away. Losses that are not positive are compared by difference.
        """
        if i not in self.running:
            self.running[i] = self.make(self.rate(i))
        training = self.running[i]
        while len(training.losses) < steps and i not in self.ended:
            value = training.step()
            self.steps += 1
            if not value <= self.ceiling:
                self.ended.add(i)
        if i in self.ended:
            return math.inf
        falls = [self._change(at, training.losses[at]) for at in range(steps)]
        last = falls[steps - max(1, steps // 3) :]
        return sum(last) / len(last)

    @property
    def ceiling(self) -> float:
        """A loss above this has run away."""
        return RUNAWAY * max(self.base) if min(self.base) > 0 else math.inf

    def results(self) -> tuple[Trial, ...]:
        """What was tried, by rate."""
        return tuple(
            Trial(self.rate(i), tuple(self.running[i].losses), i in self.ended)
            for i in sorted(self.running)
        )

    def _change(self, at: int, loss: float) -> float:
        before = self.base[at % len(self.base)]
        if loss > 0 and min(self.base) > 0:
            return math.log(loss / before)
        scale = sum(abs(value) for value in self.base) / len(self.base)
        return (loss - before) / scale if scale else loss - before


@dataclass(frozen=True)
class Found:
    """Where the loss falls fastest.

    Attributes:
        index: Between the rates tried. best: the rate tried that did best.
        low: Lowest and (high) highest index that does as well within ``ALIKE``.
        score: Of the best. unstable: lowest index tried from which the loss ran away, or None.
    """

    index: float
    best: int
    low: float
    high: float
    score: float
    unstable: int | None


ALIKE = 0.1  # logarithms of losses that differ by less count as equal


def fastest(trials: Trials, steps: int, lag: float) -> Found | None:
    """The rate at which the loss falls fastest over ``steps``; None where it falls at none.

    A first look at wide distances, then whole trials beside the best of them.

    Args:
        trials: Holds what is tried.
        steps: Of a whole trial.
        lag: By how many times an optimizer's steps have yet to grow after a first look, its memory
            being empty at the start.
    """
    first = _look(trials, steps)
    if first is None:
        return None
    centre = first - round(math.log(lag) / math.log(STEP))

    def score(i: int) -> float:
        return trials.score(i, steps)

    for _ in range(2 * REACH):
        beside = {i: score(i) for i in (centre - 1, centre, centre + 1)}
        best = min(beside, key=lambda i: (beside[i], i))
        if best == centre:
            break
        centre = best
    if not beside[centre] < -NOTHING:
        return None
    index = centre + _vertex(*beside.values())
    tried = {i: score(i) for i, t in trials.running.items() if len(t.losses) >= steps}
    worst = beside[centre] + ALIKE
    low = _crossing(tried, centre, -1, worst)
    high = _crossing(tried, centre, 1, worst)
    return Found(index, centre, low, high, beside[centre], min(trials.ended, default=None))


def _look(trials: Trials, steps: int) -> int | None:
    """The best rate of a first look, two neighbours apart; None where no loss falls.

    ``SHORT`` steps each, or two and four times as many where a loss falls late.
    """
    for length in (min(factor * SHORT, steps) for factor in (1, 2, 4)):
        top = _climb(trials, 0, length)
        if trials.score(top, length) < -FLAT:
            return top
    for at in range(top - 2, top - 2 * REACH, -2):  # among rates that kill or blow up the network
        here, above = trials.score(at, length), trials.score(at + 2, length)
        if here < -FLAT:
            return _climb(trials, at, length)
        if above / 2 < here < 0:  # it falls with the rate: slow, not dead
            break
    return top if math.isfinite(trials.score(top, length)) else None


def _climb(trials: Trials, at: int, steps: int) -> int:
    """From a rate to neighbours, two apart, that do better; lower ones must do much better."""

    def score(i: int) -> float:
        return trials.score(i, steps)

    for _ in range(REACH):
        near = min((at, at - 2, at + 2), key=lambda i: (score(i), i))
        if near == at or (near < at and score(at) - score(near) < FLAT):
            break
        at = near
    return at


def _vertex(below: float, here: float, above: float) -> float:
    """Where a parabola through three scores is lowest, within half a step of the middle one."""
    bend = below - 2 * here + above
    if not math.isfinite(bend) or bend <= 0:
        return 0.0
    return min(0.5, max(-0.5, (below - above) / (2 * bend)))


def _crossing(scores: dict[int, float], start: int, way: int, worst: float) -> float:
    """Index between those tried, from ``start`` on, where scores grow worse than ``worst``."""
    at = start
    while at + way in scores:
        here, there = scores[at], scores[at + way]
        if there > worst:
            if not math.isfinite(there):
                return float(at)
            return at + way * (worst - here) / (there - here)
        at += way
    return float(at)
