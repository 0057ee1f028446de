"""Short trainings on copies at several rates, and where between them the loss falls fastest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from ...operators import CurvatureOperator
from ._kinds import real
from ._optimizers import Named, fastest_group, set_rates, twin
from ._result import Trial

# What measures cost, in gradient evaluations: the loss and its gradient on one batch.
FORWARD = 1 / 3  # the loss alone
GRADIENT = 1.0
PRODUCT = 2 / 3 + GRADIENT  # with the Gauss-Newton matrix: forward with a tangent, and back

STEP = 10 ** (1 / 3)  # between neighbouring rates
SHORT = 7  # steps of a first look
REACH = 7  # looks to either side of the first
RUNAWAY = 4.0  # times the largest loss at the start: a trial ends there
FLAT = 5e-3  # a loss that falls by less than this share of itself may be a dead network's
NOTHING = 1e-5  # and by less than this not at all
ALIKE = 0.1  # logarithms of losses that differ by less count as equal
BOTTOMLESS = 1e6  # times its size at the start by which no loss falls that has a lower bound
GONE = 1e-12  # share of a loss below which it counts as this share: 0 has no logarithm


class Training:
    """A training on copies of parameters, batch after batch in turn; the model stays as it is.

    Attributes:
        rate: Of the fastest group. optimizer: a copy of the user's, with its state, on ``copies``.
        losses: Of each step, before its update.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        named: Named,
        op: CurvatureOperator,
        rate: float | None = None,
        begun: tuple[float, Tensor] | None = None,
    ):
        """``rate`` for the fastest group, the others in proportion; default as they are.

        ``begun``: loss and gradient of the first batch at the start, where they are known.
        """
        self.op, self.batches, self.losses = op, op.by_batch(), list[float]()
        self._begun = begun
        weights = zip(op.names, op.weights.values(), strict=True)
        self.copies = {name: weight.clone() for name, weight in weights}
        self.optimizer = twin(optimizer, named, self.copies)
        top, _ = fastest_group(optimizer)
        self.rate = top if rate is None else rate
        set_rates(self.optimizer, self.rate / top)

    @property
    def point(self) -> Tensor:
        """The parameters, ``(P,)``."""
        return torch.cat([real(copy).reshape(-1) for copy in self.copies.values()])

    def step(self) -> float:
        """One step; the loss before it."""
        batch = self.batches[len(self.losses) % len(self.batches)]
        if self._begun is not None:
            value, gradient = self._begun[0], self._begun[1].clone()  # an optimizer may write to it
            self._begun = None
        else:
            value, gradient = batch.loss_and_gradient(self.point)
        self.losses.append(value)
        for name, part in self.op.split(gradient).items():
            self.copies[name].grad = _as(self.copies[name], part)
        self.optimizer.step()
        return value


def _as(weight: Tensor, gradient: Tensor) -> Tensor:
    """A gradient of a weight; of a complex one ``d/d re + i d/d im``, as torch has it."""
    if not weight.is_complex() or gradient.is_complex():
        return gradient
    return torch.view_as_complex(gradient.reshape(*weight.shape, 2).contiguous())


@dataclass
class Trials:
    """Trainings at the rates ``start STEP^i``, each continued where it stood.

    Attributes:
        make: A training at a rate. start: the rate of ``i = 0``.
        base: Loss of each batch at the start, in turn.
        steps: Steps made in all. running: the trainings. ended: those whose loss ran away.
        positive: Whether all losses were, so that they can be compared by ratio.
        ceiling: A loss above this has run away.
        tell: Called with words after each step.
    """

    make: Callable[[float], Training]
    start: float
    base: Sequence[float]
    steps: int = 0
    running: dict[int, Training] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    tell: Callable[[str], None] = lambda words: None

    def __post_init__(self) -> None:
        self.positive = min(self.base) > 0
        self.ceiling = RUNAWAY * max(self.base) if self.positive else math.inf

    def rate(self, i: float) -> float:
        """The rate of an index."""
        return self.start * STEP**i

    def score(self, i: int, steps: int) -> float:
        """Mean over the last third of ``log(loss / loss of that batch at the start)``.

        Infinite where the loss ran away. Losses that are not positive are compared by difference.
        """
        if i not in self.running:
            self.running[i] = self.make(self.rate(i))
        losses = self.running[i].losses
        while len(losses) < steps and i not in self.ended:
            value = self.running[i].step()
            self.steps += 1
            self.tell(f"trial step {self.steps}, at rate {self.rate(i):.2g} loss {value:.3g}")
            if not value <= self.ceiling:
                self.ended.add(i)
            elif value < 0:
                self.positive = False
        if i in self.ended:
            return math.inf
        total, last = 0.0, max(1, steps // 3)
        for at in range(steps - last, steps):
            before = self.base[at % len(self.base)]
            if self.positive:
                total += math.log(max(losses[at] / before, GONE))
            else:
                scale = sum(map(abs, self.base)) / len(self.base)
                total += (losses[at] - before) / (scale or 1.0)
        return total / last

    def results(self) -> tuple[Trial, ...]:
        """What was tried, by rate."""
        order = sorted(self.running)
        return tuple(
            [Trial(self.rate(i), tuple(self.running[i].losses), i in self.ended) for i in order]
        )


@dataclass(frozen=True)
class Found:
    """Where the loss falls fastest.

    Attributes:
        index: Between the rates tried. best: the rate tried that did best.
        low: Lowest and (high) highest index that does as well within ``ALIKE``.
        score: Of the best. unstable: lowest index tried from which the loss ran away, or None.
        at_end: Whether a rate beside it did better still where the search ended.
        endless: Whether that was a higher one, or the loss fell to minus infinity: no rate is best.
    """

    index: float
    best: int
    low: float
    high: float
    score: float
    unstable: int | None
    at_end: bool
    endless: bool


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
    for _ in range(2 * REACH):
        beside = {i: trials.score(i, steps) for i in (centre - 1, centre, centre + 1)}
        middle, best = centre, min(beside, key=beside.__getitem__)  # of equals the lowest rate
        if best == centre:
            break
        centre = best
    here = beside[middle]
    if not here < -NOTHING:
        return None
    index = middle + vertex(*beside.values())
    tried = {i: trials.score(i, steps) for i, t in trials.running.items() if len(t.losses) >= steps}
    low, high = (_crossing(tried, middle, way, here + ALIKE) for way in (-1, 1))
    unstable = min(trials.ended, default=None)
    endless = best > middle or (not trials.positive and here < -BOTTOMLESS)
    return Found(index, middle, low, high, here, unstable, best != middle, endless)


def _look(trials: Trials, steps: int) -> int | None:
    """The best rate of a first look, two neighbours apart; None where no loss falls.

    ``SHORT`` steps each, or two and four times as many where a loss falls late.
    """
    for factor in (1, 2, 4):
        length = min(factor * SHORT, steps)
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
    for _ in range(REACH):
        near = {i: trials.score(i, steps) for i in (at - 2, at, at + 2)}
        best = min(near, key=near.__getitem__)
        if best == at or (best < at and near[at] - near[best] < FLAT):
            break
        at = best
    return at


def vertex(below: float, here: float, above: float) -> float:
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
            return at + way * (worst - here) / (there - here) if math.isfinite(there) else at
        at += way
    return at
