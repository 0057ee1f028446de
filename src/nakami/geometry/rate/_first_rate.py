"""A rate from one gradient: where the linear model of the loss along a step ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from ...operators import random_states_kept
from ._critical import crossing
from ._kinds import dense, kind_of, real
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
# Where the least value of the loss is not known its size may say nothing: times the critical rate,
# of normalised steps where the rate by the size lies further from that than known losses' do.
CURVED, CURVED_SPREAD, APART = 0.095, 0.67, 20.0
CURVED_PLAIN = 0.19  # over the momentum's memory; it scatters no more than the mean of two figures
WIDTH = 1.4  # of a bracket, in the logarithm: a factor of 4
TRIED = 2.0  # times the end of the linear model, where the search for the critical rate begins


@dataclass(frozen=True)
class FirstRate:
    """A first guess of the best rate of a short training.

    Attributes:
        rate: Of the fastest group. spread: standard error of its logarithm to base 10.
        cost: In gradients. way: which figure was read. loss: of the first batch.
        by_size: Whether it rests on the size of the loss, as far as that says something.
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
    by_size: bool = True


def first_rate(rehearsal: Rehearsal, rule: Rule) -> FirstRate:
    """By one gradient on the first batch; where steps are as long as gradients by losses, too.

    Along a step ``r d`` the linear model of the loss is 0 at ``r = L / (g . d)``: of Adam's first
    step ``L / |g|_1``. Optimizers whose steps have a size of their own train best near 0.30 of it.
    Where steps are as long as gradients, the geometric mean of two figures counts: the critical
    rate, where the loss along the step first rises, and the rate at which a step is as long as
    Adam's to that end, ``L sqrt(P) / (|g|_1 |g|_2)`` for ``P`` parameters. All this takes 0 for
    the least loss. Where that is not known, as of a function of one's own, the critical rate counts
    alone: for steps as long as gradients always, else where the loss is below 0, or the end of the
    linear model more than ``APART`` times from what it says.
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
        float((real(dense(copy.grad)).double() * real(way[name]).double()).sum())
        for name, copy in run.copies.items()
        if copy.grad is not None
    )
    uneven, known = _unevenness(run), loss >= 0 and bool(rehearsal.live.judged.key)
    size = abs(loss) if known or loss else 1.0  # of a function at 0: where its search begins
    polyak = size / slope if slope > 0 else 0.0
    if not (polyak and math.isfinite(polyak)):
        return FirstRate(fastest_group(start)[0], PLAIN_SPREAD, GRADIENT, "none", loss, uneven)
    kind = kind_of(start)
    if kind is None or kind.divisor is not None:
        share = warmed(start, 1)  # of its own warm-up; RAdam's first steps divide by nothing
        end = polyak * share if share else abs(loss) / _sizes(run)
        rate = NORMALISED * end / warmed(start, STEPS)
        if known or not share:
            return FirstRate(rate, NORMALISED_SPREAD, GRADIENT, "polyak", loss, uneven, known)
        critical, forwards = _critical(rehearsal, run, before, way, loss, polyak)
        curved, cost = CURVED * critical * share / warmed(start, STEPS), forwards * FORWARD
        if loss > 0 and 1 / APART < rate / curved < APART:
            return FirstRate(rate, NORMALISED_SPREAD, GRADIENT + cost, "polyak", loss, uneven)
        by = ("curved", loss, uneven, False)
        return FirstRate(curved, CURVED_SPREAD, GRADIENT + cost, *by)
    critical, forwards = _critical(rehearsal, run, before, way, loss, polyak)
    rate = CURVED_PLAIN * critical
    if known:
        rate = PLAIN * math.sqrt(critical * _alike(run, way, abs(loss)))
    rate = min(rate / rule.memory, MOST * critical)
    by = ("critical", loss, uneven, known)
    return FirstRate(rate / rule.weight, PLAIN_SPREAD, GRADIENT + forwards * FORWARD, *by)


def _unevenness(run: Run) -> float | None:
    """Of the gradient of the first step, over weight matrices."""
    tables = {
        id(module.weight)
        for module in run.model.modules()
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag))
    }
    sizes = [
        float(real(dense(copy.grad)).double().square().mean().sqrt())
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
    return sum(float(real(dense(grad)).double().abs().sum()) for grad in grads)


def _critical(
    rehearsal: Rehearsal, run: Run, before: Named, way: Named, loss: float, first: float
) -> tuple[float, int]:
    """About where the loss of the first batch rises along a step, within a factor of 2.

    Twice the rate with the least loss where it rises nowhere, as of outputs whose length says
    nothing: of a parabola that is the same.
    """
    tried = dict[float, float]()

    def rises(rate: float) -> bool:
        for name, copy in run.copies.items():
            copy.copy_(before[name] - rate * way[name])
        with random_states_kept(rehearsal.live.device, rehearsal.seed):
            tried[rate] = float(rehearsal.live(run.model, 0))
        return not tried[rate] < loss

    with torch.no_grad():
        low, high = crossing(rises, TRIED * first, WIDTH)
    if low > 0 and math.isfinite(high):
        return math.sqrt(low * high), len(tried)
    return 2 * min(tried, key=tried.__getitem__) if low > 0 else first, len(tried)
