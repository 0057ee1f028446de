"""A rate from one gradient: where the linear model of the loss along a step ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from ...operators import random_states_kept
from ._critical import crossing
from ._kinds import kind_of, real
from ._optimizers import Named, fastest_group, warmed
from ._rehearsal import Rehearsal, Run
from ._rule import Rule
from ._trials import FORWARD, GRADIENT

# Set on the twelve development tasks of benchmarks/knobs, as the best rate of 20 steps over the
# figure that is read, and the scatter of its logarithm to base 10 (leave-one-task-out).
NORMALISED, NORMALISED_SPREAD = 0.30, 0.26
PLAIN, PLAIN_SPREAD = 0.20, 0.68  # times the mean of two figures over the momentum's memory
STEPS = 20  # of the training whose best rate is meant
MOST = 0.08  # of the critical rate: where steps only grow unstable at about 0.2 of it
WIDTH = 1.4  # of a bracket, in the logarithm: a factor of 4
TRIED = 2.0  # times the end of the linear model, where the search for the critical rate begins


@dataclass(frozen=True)
class FirstRate:
    """A first guess of the best rate of a short training.

    Attributes:
        rate: Of the fastest group. spread: standard error of its logarithm to base 10.
        cost: In gradients. way: which figure was read. loss: of the first batch.
        unevenness: Root mean square of the gradient, that of the weight matrix where it is largest
            over that where it is smallest; embeddings and gradients of 0 left out. None for fewer
            than two.
    """

    rate: float
    spread: float
    cost: float
    way: str
    loss: float
    unevenness: float | None = None


def first_rate(rehearsal: Rehearsal, rule: Rule) -> FirstRate:
    """By one gradient on the first batch; where steps are as long as gradients by losses, too.

    Along a step ``r d`` the linear model of the loss is 0 at ``r = L / (g . d)``: of Adam's first
    step ``L / |g|_1``. Optimizers whose steps have a size of their own train best near 0.30 of it.
    Where steps are as long as gradients, the geometric mean of two figures counts: the critical
    rate, where the loss along the step first rises, and the rate at which a step is as long as
    Adam's to that end, ``L sqrt(P) / (|g|_1 |g|_2)`` for ``P`` parameters.
    """
    named, start = rehearsal.named, rehearsal.optimizer
    run = Run(rehearsal.live, start, named, 1.0)
    with random_states_kept(rehearsal.live.device, rehearsal.seed), torch.enable_grad():
        before = {name: copy.detach().clone() for name, copy in run.copies.items()}
        loss = run.step(lambda value: not math.isfinite(value))
    if run.ended:
        return FirstRate(fastest_group(start)[0], PLAIN_SPREAD, GRADIENT, "none", loss)
    way = {name: before[name] - copy.detach() for name, copy in run.copies.items()}
    slope = sum(
        float((real(copy.grad).double() * real(way[name]).double()).sum())
        for name, copy in run.copies.items()
        if copy.grad is not None
    )
    uneven = _unevenness(run)
    polyak = abs(loss) / slope if slope > 0 and loss else 0.0
    if not (polyak and math.isfinite(polyak)):
        return FirstRate(fastest_group(start)[0], PLAIN_SPREAD, GRADIENT, "none", loss, uneven)
    kind = kind_of(start)
    if kind is None or kind.divisor is not None:
        share = warmed(start, 1)  # of its own warm-up; RAdam's first steps divide by nothing
        end = polyak * share if share else abs(loss) / _sizes(run)
        rate = NORMALISED * end / warmed(start, STEPS)
        return FirstRate(rate, NORMALISED_SPREAD, GRADIENT, "polyak", loss, uneven)
    alike = _alike(run, way, abs(loss))
    critical, forwards = _critical(rehearsal, run, before, way, loss, polyak)
    rate = min(PLAIN * math.sqrt(critical * alike) / rule.memory, MOST * critical) / rule.weight
    return FirstRate(rate, PLAIN_SPREAD, GRADIENT + forwards * FORWARD, "critical", loss, uneven)


def _unevenness(run: Run) -> float | None:
    """Of the gradient of the first step, over weight matrices."""
    tables = {
        id(module.weight)
        for module in run.model.modules()
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag))
    }
    sizes = [
        float(real(copy.grad).double().square().mean().sqrt())
        for copy in run.copies.values()
        if copy.grad is not None and copy.ndim > 1 and id(copy) not in tables
    ]
    sizes = [size for size in sizes if size > 0]
    return max(sizes) / min(sizes) if len(sizes) > 1 else None


def _alike(run: Run, way: Named, loss: float) -> float:
    """The rate of a step that is as long as Adam's first to the end of the linear model."""
    length, count = 0.0, 0
    for name, copy in run.copies.items():
        if copy.grad is not None:
            length += float(real(way[name]).double().square().sum())
            count += real(copy).numel()
    return loss / _sizes(run) * math.sqrt(count / length)


def _sizes(run: Run) -> float:
    """``|g|_1`` of the first step."""
    grads = [copy.grad for copy in run.copies.values() if copy.grad is not None]
    return sum(float(real(grad).double().abs().sum()) for grad in grads)


def _critical(
    rehearsal: Rehearsal, run: Run, before: Named, way: Named, loss: float, first: float
) -> tuple[float, int]:
    """About where the loss of the first batch rises along a step, within a factor of 2."""
    forwards = 0

    def rises(rate: float) -> bool:
        nonlocal forwards
        forwards += 1
        for name, copy in run.copies.items():
            copy.copy_(before[name] - rate * way[name])
        with random_states_kept(rehearsal.live.device, rehearsal.seed):
            return not float(rehearsal.live(run.model, 0)) < loss

    with torch.no_grad():
        low, high = crossing(rises, TRIED * first, WIDTH)
    known = low > 0 and math.isfinite(high)
    return math.sqrt(low * high) if known else first, forwards
