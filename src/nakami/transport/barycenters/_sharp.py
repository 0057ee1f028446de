"""Barycenters of the lambda-divergence, by exponentiated gradient.

``D[p : q] = C(p, K~ q) - C(p, K~ p)`` is convex in ``q`` with gradient ``K~ g``, ``g`` the
potential of the plan between ``p`` and ``K~ q`` (Amari, Karakida, Oizumi and Cuturi 2019). So the
barycenter is a deconvolution of the entropic one under ``q >= 0``, and begins there. As in any,
what is large is found in few steps and fine detail in many.

To each step of ``q`` belongs one of Sinkhorn's. With the potentials of ``p`` fixed the loss is
linear in ``q`` plus ``reg KL(K~ q | .)``, which a step of ``1 / reg`` never overshoots, for a blur
brings distributions nearer. Potentials are taken a part of a step ahead, without which mass between
far parts would swing for ever. (With plans brought to convergence in between, steps diverge.)
"""

from __future__ import annotations

import torch

from .._gradients import mean
from ._problem import Ends, Found, Problem, l1, normalised, total
from ._projections import Report, blurred_first

EVERY = 10  # steps between two looks
AHEAD = 0.5  # of the last change of potentials, taken once more


def sharp(problem: Problem, ends: Ends, report: Report) -> Found:
    """Until neither a step of the barycenter nor of the plans changes more than the tolerance.

    Both are taken over the share of the coarsest detail that a step undoes.
    """
    log_p, kernel, own = problem.log_p, problem.kernel, problem.own
    blunt = blurred_first(problem, ends, report)
    log_q, g, step = blunt.log_q, blunt.g, blunt.steps
    rows = own.sum(torch.zeros_like(log_q))
    while True:
        step += 1
        blurred = problem.each(own.back(log_q - rows))
        sums = kernel.back(log_p - kernel.sum(g))
        marginals, last, g = g + sums, g, blurred - sums
        slope = mean(own, rows, problem.mean(g + AHEAD * (g - last)))
        if ends.looks(step, EVERY, log_q):
            q = log_q.exp()
            change = q * (slope - total(q * slope))
            error = ends.left(torch.maximum(l1(change), problem.apart(marginals, blurred)))
            report(step, log_q, error)
            if reason := ends.reason(step, error, log_q):
                return Found(log_q, g, error, step, reason)
        log_q = normalised(log_q - slope)
