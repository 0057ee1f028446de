"""Entropic and debiased barycenters by iterative Bregman projections, in the log domain.

All plans are scaled to the inputs on one side, and on the other to the geometric mean of their
marginals (Benamou, Carlier, Cuturi, Nenna and Peyre 2015). Debiased (Janati, Cuturi and Gramfort
2020, algorithm 1), that mean is multiplied by ``d``, where ``d K d = q``: the scaling of the plan
between the barycenter and itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from .._loop import EVERY, Pace
from ._momentum import Momentum
from ._problem import Ends, Found, Problem, l1, normalised

Report = Callable[[int, Tensor, Tensor], None]

START = 1e-3  # residual of the entropic barycenter from which sharper ones begin


def entropic(problem: Problem, ends: Ends, report: Report) -> Found:
    """Until the marginals of the plans, averaged, are within the tolerance of the barycenter.

    Both sides are blocks of a smooth concave dual, so that steps are over-relaxed as Sinkhorn's.
    """
    log_p, kernel = problem.log_p, problem.kernel
    f, g = torch.zeros_like(log_p), torch.zeros_like(kernel.back(log_p))
    pace, step = Pace(f), 0
    while True:
        step += 1
        looks = ends.looks(step, EVERY, None)
        total = kernel.sum(g)
        f = -total if looks else pace.moved(f, total)  # at a look the inputs' side is exact
        sums = kernel.back(log_p + f)
        log_q = normalised(problem.mean(sums))
        if looks:
            error = problem.apart(g + sums, log_q)
            report(step, log_q, error)
            if reason := ends.reason(step, error, log_q):
                return Found(log_q, g, error, step, reason)
            pace.look(problem.each(error), step)
        g = torch.where(sums == -torch.inf, sums, pace.moved(g, sums - problem.each(log_q)))


def debiased(problem: Problem, ends: Ends, report: Report) -> Found:
    """Likewise; also ``d K d`` must be within it. There is no such dual: steps have momentum.

    Two updates of ``d`` in a step keep it near ``q``, without which momentum would overshoot.
    """
    log_p, kernel = problem.log_p, problem.kernel
    blunt = blurred_first(problem, ends, report)
    g, step, momentum = blunt.g, blunt.steps, Momentum(blunt.log_q)
    log_d = torch.zeros_like(blunt.log_q)
    for _ in range(10):
        log_d = (log_d + blunt.log_q - problem.own.sum(log_d)) / 2
    while True:
        step += 1
        sums = kernel.back(log_p - kernel.sum(g))
        log_q = normalised(problem.mean(sums) + log_d)
        own = problem.own.sum(log_d)
        if ends.looks(step, EVERY, log_q):
            itself = l1((log_d + own).exp() - log_q.exp())
            error = ends.left(problem.apart(g + sums, log_q) + itself)
            report(step, log_q, error)
            if reason := ends.reason(step, error, log_q):
                return Found(log_q, g, error, step, reason)
        log_q = momentum.ahead(log_q)
        g = problem.each(log_q) - sums
        log_d = (log_d + log_q - own) / 2
        log_d = (log_d + log_q - problem.own.sum(log_d)) / 2


def blurred_first(problem: Problem, ends: Ends, report: Report) -> Found:
    """The entropic barycenter, roughly, from which sharper ones begin; leaves them a step."""
    found = entropic(problem, Ends(START, max(1, ends.most // 2)), report)
    return replace(found, steps=min(found.steps, ends.most - 1))
