"""A rate to train with: found by trials, whose first rate is read from the curvature."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer

from ...operators import Fisher
from ._cost import GRADIENT, PRODUCT
from ._optimizers import Named, adaptive
from ._result import Trial
from ._stability import Rule, memory
from ._training import Training
from ._trials import SHORT, Found, Trials, fastest

LEAST = 20  # steps of a trial, beside the memory of the optimizer
MARGIN = 1 / 6  # power of the memory by which the rate is lowered
LITTLE = 0.25  # a loss that falls by less, in its logarithm, may be on a plateau
BELOW = 4  # times below the lowest rate at which a trial ran away


@dataclass(frozen=True)
class Advice:
    """What the trials say.

    Attributes:
        rate: To train with, or None. interval: Rates that do as well, or None. reason: In words.
        trials: All of them. training: The best one, where it ended. cost: Of it all, in gradients.
    """

    rate: float | None
    interval: tuple[float, float] | None
    reason: str
    trials: tuple[Trial, ...]
    training: Training | None
    cost: float


def default_steps(rule: Rule) -> int:
    """How long a trial is: 20 steps and as many as the optimizer remembers."""
    return LEAST + math.ceil(memory(rule) - 1e-9)


def advised(optimizer: Optimizer, named: Named, op: Fisher, rule: Rule, steps: int) -> Advice:
    """Advice from trials on copies; batches are taken in turn.

    The steps of an optimizer with a memory grow while it fills, so that a short trial bears a rate
    that a training does not: what did best is divided by the sixth root of the memory (1.47 for
    0.9). Nor is the advice more than a quarter of a rate at which a trial ran away: longer ones do
    so at lower rates. Both figures were set on the four development tasks of ``benchmarks/lr``.
    """
    start, spent = _first_rate(optimizer, named, op, rule)
    base = [batch.value for batch in op.by_batch()]
    trials = Trials(lambda rate: Training(optimizer, named, op, rate), start, base)
    found = fastest(trials, steps, _lag(optimizer, rule))
    results, cost = trials.results(), spent + trials.steps * GRADIENT
    if found is None:
        tried = f"{results[0].rate:.2g} to {results[-1].rate:.2g}"
        why = f"none: the loss fell in no trial of {steps} steps at rates from {tried}"
        return Advice(None, None, why, results, None, cost)
    margin = memory(rule) ** MARGIN
    most = math.inf if found.unstable is None else trials.rate(found.unstable) / BELOW
    rate, low, high = (
        min(trials.rate(i) / margin, most) for i in (found.index, found.low, found.high)
    )
    interval = min(low, rate), max(high, rate)
    reason = _reason(trials, found, steps, margin)
    return Advice(rate, interval, reason, results, trials.running[found.best], cost)


def _first_rate(optimizer: Optimizer, named: Named, op: Fisher, rule: Rule) -> tuple[float, float]:
    """Where to look first, and its cost: lowest on the first batch along the first step.

    By the quadratic model of the Gauss-Newton matrix; over the growth of steps to come.
    """
    training = Training(optimizer, named, op, 1.0)
    before = training.point
    training.step()
    batch = training.batches[0]
    way = before - training.point
    slope = float((batch.gradient(before).double() * way.double()).sum())
    bend = _bend(batch, way)
    grows = 1.0 if adaptive(optimizer) else rule.weight * memory(rule)
    rate = slope / bend / grows if bend > 0 else 0.0
    if not (math.isfinite(rate) and rate > 0):
        rate = max(float(group["lr"]) for group in optimizer.param_groups)
    return rate, 2 * GRADIENT + PRODUCT


def _bend(batch: Fisher, way: Tensor) -> float:
    size = way.norm()
    unit = way / size
    curved = batch @ unit[:, None]
    return float((unit.double() * curved[:, 0].double()).sum() * size.double() ** 2)


def _lag(optimizer: Optimizer, rule: Rule) -> float:
    """How much larger steps become after ``SHORT`` of them from an empty memory, on average."""
    if adaptive(optimizer) or optimizer.state:
        return 1.0
    grown = [1 - rule.momentum**t for t in range(1, SHORT + 1)]
    return SHORT / sum(grown)


def _reason(trials: Trials, found: Found, steps: int, margin: float) -> str:
    tried = len(trials.running)
    doubt = ""
    if found.score > -LITTLE:
        doubt = "; it fell little: where a plateau comes first, such trials choose too low a rate"
    fell = f"to {math.exp(found.score):.4g} of its start"
    if min(trials.base) <= 0:
        fell = f"by {-found.score:.3g} of its size"
        doubt += "; it is not positive, so nothing told when it ran away"
    words = (
        f"in {tried} trials of up to {steps} steps on copies the loss fell fastest near "
        f"{trials.rate(found.index):.2g}, {fell}"
    )
    if found.unstable is not None:
        words += f", and ran away at {trials.rate(found.unstable):.2g}"
        if trials.rate(found.index) / margin > trials.rate(found.unstable) / BELOW:
            return f"{words}; a quarter of that, since longer trainings bear less{doubt}"
    if margin > 1.01:
        words += f"; over {margin:.2f}, since the optimizer's average fills slowly"
    return words + doubt
