"""A rate to train with: found by trials, whose first rate is read from the curvature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ...operators import CurvatureOperator
from ...results import Outcome
from .._outcomes import AdviceEnding, AdviceNote
from ._kinds import real
from ._optimizers import Named, corrected, empty, fastest_group, growth
from ._rule import Rule
from ._trials import FORWARD, GRADIENT, PRODUCT, SHORT, Found, Training, Trials, fastest

MARGIN = 1 / 6  # power of the memory by which the rate is lowered
LITTLE = 0.25  # a loss that falls by less, in its logarithm, may be on a plateau
LEARNED = 0.98  # share of the loss of the best constant output: above it nothing is learned yet
BELOW = 4  # times below the lowest rate at which a trial ran away
FIRST = GRADIENT + PRODUCT  # what the first rate costs, and the first step of every trial


def advised(
    optimizer: Optimizer,
    named: Named,
    op: CurvatureOperator,
    rule: Rule,
    steps: int,
    tell: Callable[[str], None] = lambda words: None,
) -> tuple[dict[str, Any], Training | None]:
    """What a ``LearningRate`` says of its advice, by name, and the best trial, where it ended.

    From trials on copies; batches are taken in turn. Momentum builds up slowly, so short trials
    tolerate too high a rate: the best one is divided by ``memory^(1/6)`` (1.47 for 0.9). The advice
    is at most a quarter of a rate at which a trial ran away, since longer ones run away at lower
    rates. An optimizer's own warm-up (RAdam's) shrinks the steps of trials: the advice is for later
    ones. Both figures were set on the four development tasks of ``benchmarks/lr``.
    ``tell`` is called with words after each step of a trial.
    """
    batches = op.by_batch()
    begun = batches[0].loss_and_gradient(
        torch.cat([real(w).reshape(-1) for w in op.weights.values()])
    )
    start, base = _first_rate(optimizer, named, op, rule, begun), [b.value for b in batches]
    trials = Trials(lambda at: Training(optimizer, named, op, at, begun), start, base, tell=tell)
    lag = 1.0  # how much larger steps become after ``SHORT`` of them, on average
    if empty(optimizer):
        lag = SHORT / sum([1 - rule.momentum**t for t in range(1, SHORT + 1)])
    found = fastest(trials, steps, lag)
    results = trials.results()
    steps_made = trials.steps - len(trials.running)
    cost = FIRST + steps_made * GRADIENT + len(base) * FORWARD
    said: dict[str, Any] = {"trials": results, "advice_cost": cost}
    if found is None:
        tried = {"steps": steps, "lowest": results[0].rate, "highest": results[-1].rate}
        return {**said, "advice_outcome": Outcome(AdviceEnding.NO_FALL, tried)}, None
    if found.endless:
        ends = {"start": sum(base) / len(base), "end": trials.running[found.best].losses[-1]}
        numbers = {**ends, "rate": trials.rate(found.best)}
        return {**said, "advice_outcome": Outcome(AdviceEnding.NO_END, numbers)}, None
    margin = rule.memory**MARGIN
    most = math.inf if found.unstable is None else trials.rate(found.unstable) / BELOW
    later = growth(trials.running[found.best].optimizer)
    rate, low, high = [
        trials.rate(i) / margin / later for i in (found.index, found.low, found.high)
    ]
    rate = min(rate, most / later)
    said |= {"advised": rate, "interval": (min(low, rate), max(high, rate))}
    said |= _outcomes(trials, found, steps, margin)
    said["constant_loss"] = constant = op.constant_loss()
    last = trials.running[found.best].losses[-max(1, steps // 3) :]
    end = sum(last) / len(last)
    if constant is not None and op.likelihood and end > LEARNED * constant:
        numbers = {"end": end, "constant": constant}
        said["advice_notes"] += (Outcome(AdviceNote.NOT_BELOW, numbers),)
    if later > 1:
        said["advice_notes"] += (Outcome(AdviceNote.WARMS_UP, {"growth": later}),)
    return said, trials.running[found.best]


def _first_rate(
    optimizer: Optimizer,
    named: Named,
    op: CurvatureOperator,
    rule: Rule,
    begun: tuple[float, Tensor],
) -> float:
    """The rate to try first.

    Along the optimizer's first step the quadratic model of the first batch's loss is lowest at it;
    where momentum will enlarge later steps, it is divided by their growth. Where the matrix is a
    Hessian that curves down along the step, it is tried as far as if it curved up as much.
    """
    training = Training(optimizer, named, op, 1.0, begun)
    before = training.point
    training.step()
    batch = training.batches[0]
    way = before - training.point
    slope = float((begun[1].double() * way.double()).sum())
    size = way.norm()
    unit = way / size
    curved = (batch @ unit[:, None])[:, 0]
    bend = float((unit.double() * curved.double()).sum() * size.double() ** 2)
    grows = 1.0 if corrected(optimizer) else rule.weight * rule.memory
    rate = slope / abs(bend) / grows if bend else 0.0
    return rate if math.isfinite(rate) and rate > 0 else fastest_group(optimizer)[0]


def _outcomes(trials: Trials, found: Found, steps: int, margin: float) -> dict[str, Any]:
    """How the search ended, and what else it showed."""
    rate, notes = trials.rate(found.index), []
    capped = False
    if found.unstable is not None:
        ran_away = trials.rate(found.unstable)
        capped = rate / margin > ran_away / BELOW
        notes.append(Outcome(AdviceNote.RAN_AWAY, {"rate": ran_away}))
    if capped:
        notes.append(Outcome(AdviceNote.QUARTER))
    elif margin > 1.01:
        notes.append(Outcome(AdviceNote.MARGIN, {"margin": margin}))
    if found.at_end:
        notes.append(Outcome(AdviceNote.AT_END))
    if found.score > -LITTLE:
        notes.append(Outcome(AdviceNote.LITTLE))
    if not trials.positive:
        notes.append(Outcome(AdviceNote.NOT_POSITIVE))
    kind = AdviceEnding.FASTEST if trials.positive else AdviceEnding.FASTEST_BY_SIZE
    fall = math.exp(found.score) if trials.positive else -found.score
    numbers = {"trials": len(trials.running), "steps": steps, "rate": rate, "fall": fall}
    return {"advice_outcome": Outcome(kind, numbers), "advice_notes": tuple(notes)}
