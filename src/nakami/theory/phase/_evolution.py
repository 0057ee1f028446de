"""State evolution of the margin perceptron: what GAMP does at infinite dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...results import check_at_least, check_fraction, stepped, told, wrong
from ._channel import Array, Counts, Flags
from ._checks import load, margin, overlap, together
from ._grid import Grid
from ._information import gains
from ._point import point

SMALL, CLOSE = 1e-6, 1e-12  # q of an uninformed start, 1 - q of an informed one
STARTS = ("uninformed", "informed")


@dataclass(frozen=True, repr=False)
class StateEvolution(Grid):
    """Where the state evolution ended; every array has the shape of the parameters.

    Attributes:
        kappa, alpha, beta: The parameters, broadcast.
        q: Overlap of student and teacher, and of two students. gap: ``1 - q``, with digits of its
            own near ``q = 1``.
        bayes_error, gibbs_error: ``arccos(sqrt(q)) / pi`` and ``arccos(q) / pi``, on Gaussian
            patterns. margin_error: Of the posterior mean on patterns that keep the margin.
        free_entropy: ``Phi(q)``, nats per N. slope: ``dq_next / dq``; below 1 where it is stable.
        doubt: Estimated distance to the fixed point, in units of ``q / (1 - q)``: last change over
            ``1 - slope``.
        converged: Whether ``doubt`` fell below the tolerance. steps: Steps taken.
    """

    kappa: Array
    alpha: Array
    beta: Array
    q: Array
    gap: Array
    bayes_error: Array
    gibbs_error: Array
    margin_error: Array
    free_entropy: Array
    slope: Array
    doubt: Array
    converged: Flags
    steps: Counts

    def __repr__(self) -> str:
        if self.q.ndim == 0:
            return f"StateEvolution(q {self.q:.6g}, error {self.bayes_error:.6g})"
        return f"StateEvolution({self.converged.sum()} of {self.q.size} converged)"


@told
def state_evolution(
    kappa: ArrayLike,
    alpha: ArrayLike = 0.0,
    beta: ArrayLike = 0.0,
    start: str | ArrayLike = "uninformed",
    *,
    tolerance: float = 1e-10,
    max_steps: int = 5000,
) -> StateEvolution:
    """Iterate ``q_hat = beta A(q) + alpha B(q)``, ``q = q_hat / (1 + q_hat)``.

    The step grows with q, so that a start below all fixed points rises to the smallest one that is
    stable (high error), a start near 1 falls to the largest (low error).

    Args:
        kappa: Margin of teacher and student, 0 to 5.
        alpha: Labelled patterns over N, 0 to 1e5.
        beta: Unlabelled ones. All three broadcast, all entries run at once.
        start: ``"uninformed"`` (q = 1e-6), ``"informed"`` (1 - q = 1e-12), or overlaps.
        tolerance: Of ``doubt``, relative where ``q / (1 - q)`` is above 1.
        max_steps: After which an entry is given up, ``converged`` False. Beside a spinodal a run
            needs about ``pi / sqrt(distance)`` steps.

    Returns:
        See ``StateEvolution``.

    Raises:
        UsageError: Arguments out of range.

    Cost: 60 microseconds an entry and step. Source: Bayes-optimal state evolution of GAMP with the
    spherical prior; Rangan 2011 (arXiv 1010.5141), Barbier et al., PNAS 116 (2019).
    """
    parameters = margin("kappa", kappa), load("alpha", alpha), load("beta", beta)
    k, a, b = together(kappa=parameters[0], alpha=parameters[1], beta=parameters[2])
    check_fraction("tolerance", tolerance, "1e-10 is the default")
    check_at_least("max_steps", max_steps, 1, "5000 is the default")
    gap = np.array(together(start=_start(start), parameters=k)[0])
    gap, doubt, steps = iterate(gap, k, a, b, tolerance, max_steps)
    at = point(gap, k, a, b)
    converged = doubt <= tolerance * np.maximum((1 - gap) / gap, 1)
    return StateEvolution(
        k, a, b, 1 - gap, gap, at.bayes_error, at.gibbs_error, at.margin_error, at.free_entropy,
        at.slope, doubt, converged, steps,
    )  # fmt: skip


def iterate(
    gap: Array, kappa: Array, alpha: Array, beta: Array, tolerance: float, max_steps: int
) -> tuple[Array, Array, Counts]:
    """``1 - q``, estimated distance and steps; entries that have settled are left alone."""
    shape = gap.shape
    v, k, a, b = (np.ravel(x) for x in (gap.copy(), kappa, alpha, beta))
    doubt, steps = np.full(v.size, np.inf), np.zeros(v.size, np.int64)
    running = np.arange(v.size)
    for _ in range(max_steps):
        here, a_here, b_here = v[running], a[running], b[running]
        of_u, of_l, slope_u, slope_l = gains(here, k[running])
        q_hat = b_here * of_u + a_here * of_l
        slope = here**2 * (b_here * slope_u + a_here * slope_l)
        left = np.where(slope < 1, np.abs(q_hat - (1 - here) / here) / np.abs(1 - slope), np.inf)
        v[running], doubt[running] = 1 / (1 + q_hat), left
        steps[running] += 1
        stepped(int(steps.max()), doubt.max)
        running = running[left > tolerance * np.maximum(q_hat, 1)]
        if not running.size:
            break
    return v.reshape(shape), doubt.reshape(shape), steps.reshape(shape)


def _start(start: str | ArrayLike) -> Array:
    """``1 - q`` of the start."""
    if isinstance(start, str):
        if start not in STARTS:
            way_out = 'pass "uninformed", "informed" or overlaps such as 0.9'
            raise wrong("start", f"be one of {', '.join(STARTS)} or numbers", repr(start), way_out)
        return np.asarray(1 - SMALL if start == "uninformed" else CLOSE)
    return 1 - overlap("start", start)
