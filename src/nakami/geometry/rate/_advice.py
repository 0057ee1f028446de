"""A rate to train with: found by trials, whose first rate is read from the curvature."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch.optim import Optimizer

from ...operators import CurvatureOperator
from ...results import Outcome
from .._outcomes import AdviceEnding, AdviceNote
from ._cost import GRADIENT, PRODUCT
from ._optimizers import Named, adaptive
from ._result import NOT_ASKED, Trial
from ._stability import Rule, memory
from ._training import Training
from ._trials import SHORT, Found, Trials, fastest

MARGIN = 1 / 6  # power of the memory by which the rate is lowered
LITTLE = 0.25  # a loss that falls by less, in its logarithm, may be on a plateau
BELOW = 4  # times below the lowest rate at which a trial ran away


@dataclass(frozen=True)
class Advice:
    """What the trials say.

    Attributes:
        rate: To train with, or None. interval: Rates that do as well, or None.
        outcome: How the search ended. notes: What else the trials showed.
        trials: All of them. training: The best one, where it ended. cost: Of it all, in gradients.
    """

    rate: float | None
    interval: tuple[float, float] | None
    outcome: Outcome
    notes: tuple[Outcome, ...]
    trials: tuple[Trial, ...]
    training: Training | None
    cost: float


NO_ADVICE = Advice(None, None, NOT_ASKED, (), (), None, 0.0)


def advised(
    optimizer: Optimizer, named: Named, op: CurvatureOperator, rule: Rule, steps: int
) -> Advice:
    """Advice from trials on copies; batches are taken in turn.

    Momentum builds up slowly, so short trials tolerate too high a rate: the best one is divided by
    ``memory^(1/6)`` (1.47 for 0.9). The advice is at most a quarter of a rate at which a trial ran
    away, since longer ones run away at lower rates. Both figures were set on the four development
    tasks of ``benchmarks/lr``.
    """
    start, spent = _first_rate(optimizer, named, op, rule)
    base = [batch.value for batch in op.by_batch()]
    trials = Trials(lambda rate: Training(optimizer, named, op, rate), start, base)
    found = fastest(trials, steps, _lag(optimizer, rule))
    results, cost = trials.results(), spent + trials.steps * GRADIENT
    if found is None:
        tried = {"steps": steps, "lowest": results[0].rate, "highest": results[-1].rate}
        return Advice(None, None, Outcome(AdviceEnding.NO_FALL, tried), (), results, None, cost)
    margin = memory(rule) ** MARGIN
    most = math.inf if found.unstable is None else trials.rate(found.unstable) / BELOW
    rate, low, high = (
        min(trials.rate(i) / margin, most) for i in (found.index, found.low, found.high)
    )
    interval = min(low, rate), max(high, rate)
    outcome, notes = _outcome(trials, found, steps), tuple(_notes(trials, found, margin))
    return Advice(rate, interval, outcome, notes, results, trials.running[found.best], cost)


def _first_rate(
    optimizer: Optimizer, named: Named, op: CurvatureOperator, rule: Rule
) -> tuple[float, float]:
    """The rate to try first, and its cost.

    Along the optimizer's first step the quadratic model of the first batch's loss is lowest at it;
    where momentum will enlarge later steps, it is divided by their growth.
    """
    training = Training(optimizer, named, op, 1.0)
    before = training.point
    training.step()
    batch = training.batches[0]
    way = before - training.point
    slope = float((batch.gradient(before).double() * way.double()).sum())
    size = way.norm()
    unit = way / size
    curved = (batch @ unit[:, None])[:, 0]
    bend = float((unit.double() * curved.double()).sum() * size.double() ** 2)
    grows = 1.0 if adaptive(optimizer) else rule.weight * memory(rule)
    rate = slope / bend / grows if bend > 0 else 0.0
    if not (math.isfinite(rate) and rate > 0):
        rate = max(float(group["lr"]) for group in optimizer.param_groups)
    return rate, 2 * GRADIENT + PRODUCT


def _lag(optimizer: Optimizer, rule: Rule) -> float:
    """How much larger steps become after ``SHORT`` of them from an empty memory, on average."""
    if adaptive(optimizer) or optimizer.state:
        return 1.0
    grown = [1 - rule.momentum**t for t in range(1, SHORT + 1)]
    return SHORT / sum(grown)


def _outcome(trials: Trials, found: Found, steps: int) -> Outcome:
    rate, share = trials.rate(found.index), min(trials.base) > 0
    kind = AdviceEnding.FASTEST if share else AdviceEnding.FASTEST_BY_SIZE
    fall = math.exp(found.score) if share else -found.score
    numbers = {"trials": len(trials.running), "steps": steps, "rate": rate, "fall": fall}
    return Outcome(kind, numbers)


def _notes(trials: Trials, found: Found, margin: float) -> Iterator[Outcome]:
    capped = False
    if found.unstable is not None:
        ran_away = trials.rate(found.unstable)
        capped = trials.rate(found.index) / margin > ran_away / BELOW
        yield Outcome(AdviceNote.RAN_AWAY, {"rate": ran_away})
    if capped:
        yield Outcome(AdviceNote.QUARTER)
    elif margin > 1.01:
        yield Outcome(AdviceNote.MARGIN, {"margin": margin})
    if found.score > -LITTLE:
        yield Outcome(AdviceNote.LITTLE)
    if min(trials.base) <= 0:
        yield Outcome(AdviceNote.NOT_POSITIVE)
