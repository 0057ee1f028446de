"""State evolution of a student whose margin is not the teacher's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...results import check_at_least, check_fraction, is_number, stepped, told, wrong
from ._channel import Array, Counts, Flags, labelled, log_density, log_tail, unlabelled
from ._checks import load, margin, together
from ._evolution import SMALL, STARTS
from ._generalisation import of_angle
from ._grid import Grid

REACH = 10.0  # of xi
EMPTY = 1e-12  # 1 - q at which no student is left
LADDER = 0.5 * 2.0 ** np.arange(10)  # distances of a panel's ends from a bend, in its widths
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(10)


@dataclass(frozen=True, repr=False)
class MismatchedEvolution(Grid):
    """Where the state evolution of another margin ended; arrays have the shape of the parameters.

    Attributes:
        kappa, student_kappa: Margins of teacher and student. alpha, beta: Patterns over N.
        overlap: ``R``, of the student's posterior mean with the teacher.
        q: Overlap of two students; not equal to R. gap: ``1 - q``.
        error: ``arccos(R / sqrt(q)) / pi``, of the posterior mean on Gaussian patterns.
            gibbs_error: ``arccos(R) / pi``, of one student. margin_error: As ``error``, on patterns
            that keep the teacher's margin.
        replicon: ``(1 - q)^2 (alpha E[Gamma_l^2] + beta E[Gamma_u^2])``; below 1 the solution is
            stable and message passing converges to it; above 1 replica symmetry is broken, and the
            numbers are approximate.
        residual: Largest change that one undamped step would make to R and q, over ``1 - q`` (or
            1e-5, if that is larger).
        converged: Whether it fell below the tolerance. steps: Steps taken.
    """

    kappa: Array
    student_kappa: Array
    alpha: Array
    beta: Array
    overlap: Array
    q: Array
    gap: Array
    error: Array
    gibbs_error: Array
    margin_error: Array
    replicon: Array
    residual: Array
    converged: Flags
    steps: Counts

    def __repr__(self) -> str:
        if self.q.ndim == 0:
            return f"MismatchedEvolution(R {self.overlap:.6g}, q {self.q:.6g})"
        return f"MismatchedEvolution({self.converged.sum()} of {self.q.size} converged)"


@told
def mismatched_evolution(
    kappa: ArrayLike,
    student_kappa: ArrayLike,
    alpha: ArrayLike = 0.0,
    beta: ArrayLike = 0.0,
    start: str = "uninformed",
    *,
    damping: float = 0.5,
    tolerance: float = 1e-10,
    max_steps: int = 2000,
) -> MismatchedEvolution:
    """Iterate overlaps R and q of a student with margin ``student_kappa``.

    With ``omega = sqrt(q) xi``, ``V = 1 - q``, the teacher's channel at ``(R omega / q, 1 - R^2 /
    q)`` and the student's at ``(omega, V)``: ``m_hat = sum_k alpha_k / (2 H(kappa)) int D xi Z_0
    g_0 g_s``, ``q_hat`` the same of ``Z_0 g_s^2``; ``a = m_hat^2 + q_hat``, ``V = 2 / (1 + sqrt(1 +
    4 a))``, ``q = 1 - V``, ``R = V m_hat``. At equal margins ``R = q`` (``state_evolution``).

    Args:
        kappa: The teacher's margin, 0 to 5.
        student_kappa: The student's, 0 to 5. Above the teacher's, no student may agree with many
            patterns: an entry that gets to ``1 - q < 1e-12`` ends there, ``converged`` False.
        alpha: Labelled patterns over N, 0 to 1e5.
        beta: Unlabelled patterns over N. All four broadcast.
        start: ``"uninformed"`` (R = q = 1e-6) or ``"informed"`` (R = q = 1 - 1e-6).
        damping: Share of the old values in the new ones, 0 to below 1.
        tolerance: Of ``residual``.
        max_steps: After which an entry is given up, ``converged`` False.

    Returns:
        See ``MismatchedEvolution``.

    Raises:
        UsageError: Arguments out of range.

    Cost: 0.5 ms an entry and step; integrals by Gauss-Legendre on panels that narrow towards every
    bend of the integrand. Source: replica-symmetric state evolution of a mismatched likelihood, as
    in Barbier et al., PNAS 116 (2019), section on GAMP.
    """
    loads = load("alpha", alpha), load("beta", beta)
    margins = margin("kappa", kappa), margin("student_kappa", student_kappa)
    parameters = together(kappa=margins[0], student_kappa=margins[1], alpha=loads[0], beta=loads[1])
    if not isinstance(start, str) or start not in STARTS:
        way_out = 'pass "uninformed" or "informed"'
        raise wrong("start", f"be one of {', '.join(STARTS)}", repr(start), way_out)
    if not is_number(damping) or not 0 <= damping < 1:
        raise wrong("damping", "lie from 0 to below 1", repr(damping), "0.5 is the default")
    check_fraction("tolerance", tolerance, "1e-10 is the default")
    check_at_least("max_steps", max_steps, 1, "2000 is the default")
    first = SMALL if start == "uninformed" else 1 - SMALL
    flat = np.stack([p.ravel() for p in parameters])
    overlap, gap, replicon, residual, steps = _iterate(first, flat, damping, tolerance, max_steps)
    psi = np.arccos(np.clip(overlap / np.sqrt(1 - gap), -1, 1))
    gibbs = np.arccos(np.clip(overlap, -1, 1)) / np.pi
    converged = (residual <= tolerance) & (gap > EMPTY)
    columns = (
        overlap, 1 - gap, gap, psi / np.pi, gibbs, of_angle(psi, flat[0]), replicon, residual,
        converged, steps,
    )  # fmt: skip
    shape = parameters[0].shape
    return MismatchedEvolution(*parameters, *(c.reshape(shape) for c in columns))


def _iterate(
    first: float, flat: Array, damping: float, tolerance: float, max_steps: int
) -> tuple[Array, Array, Array, Array, Counts]:
    """R, ``1 - q``, replicon, residual and steps of every column of parameters."""
    n = flat.shape[1]
    overlap, gap, steps = np.full(n, first), np.full(n, 1 - first), np.zeros(n, np.int64)
    residual, replicon, running = np.full(n, np.inf), np.full(n, np.nan), np.arange(n)
    for _ in range(max_steps):
        here = overlap[running], gap[running]
        new_overlap, new_gap, replicon[running] = _step(*here, *flat[:, running])
        left = np.maximum(np.abs(new_overlap - here[0]), np.abs(new_gap - here[1]))
        left /= np.maximum(here[1], 1e-5)
        overlap[running] = damping * here[0] + (1 - damping) * new_overlap
        gap[running] = damping * here[1] + (1 - damping) * new_gap
        residual[running] = left
        steps[running] += 1
        stepped(int(steps.max()), residual.max)
        running = running[(left > tolerance) & (new_gap > EMPTY)]
        if not running.size:
            break
    return overlap, gap, replicon, residual, steps


def _step(
    overlap: Array, gap: Array, kappa: Array, student: Array, alpha: Array, beta: Array
) -> tuple[Array, Array, Array]:
    """R and ``1 - q`` of the next step, and the replicon of this one."""
    q = 1 - gap
    rho = np.minimum(overlap / np.sqrt(q), 1 - 1e-15)
    rest = 1 - rho**2
    xi, weights = _nodes(q, gap, rho, rest, kappa, student)
    column = (x[:, None] for x in (np.sqrt(q), gap, rho, rest, kappa, student))
    root, v, turn, v_0, k, k_s = column
    m_hat, q_hat, squares = (np.zeros_like(q) for _ in range(3))
    # one label stands for both: the average over xi of the other is its mirror image
    for channel, size, share in ((labelled, alpha, 1.0), (unlabelled, beta, 0.5)):
        teacher, pupil = channel(turn * xi, v_0, k), channel(root * xi, v, k_s)
        law = weights * np.exp(teacher.log_z - log_tail(k))
        m_hat += share * size * (law * teacher.g * pupil.g).sum(-1)
        q_hat += share * size * (law * pupil.g**2).sum(-1)
        squares += share * size * (law * pupil.gamma**2).sum(-1)
    new = 2 / (1 + np.sqrt(1 + 4 * (m_hat**2 + q_hat)))
    return new * m_hat, new, gap**2 * squares


def _nodes(
    q: Array, gap: Array, rho: Array, rest: Array, kappa: Array, student: Array
) -> tuple[Array, Array]:
    """Nodes over xi and weights times ``phi(xi)``, each ``(entries, nodes)``.

    Bends of the student's channel lie at ``±kappa_s / sqrt(q)`` and 0, of the teacher's at ``±kappa
    / rho`` and 0; widths are those of the Gaussian tail, or of ``tanh(kappa omega / V)``.
    """
    root = np.sqrt(q)
    tiny = 1e-12
    places = [student / root, -student / root, kappa / rho, -kappa / rho, 0 * q, 0 * q]
    wide = [np.sqrt(gap) / root, np.sqrt(rest) / rho]
    middle = [gap / (root * student + tiny), rest / (rho * kappa + tiny)]
    widths = [wide[0], wide[0], wide[1], wide[1], *middle]
    steps = np.concatenate([-LADDER[::-1], [0.0], LADDER])
    edges = [
        p[:, None] + np.minimum(w, 1.0)[:, None] * steps
        for p, w in zip(places, widths, strict=True)
    ]
    ends = np.array([[-REACH, REACH]] * len(q))
    grid = np.sort(np.clip(np.concatenate([*edges, ends], axis=1), -REACH, REACH), axis=1)
    half, mid = np.diff(grid) / 2, (grid[:, 1:] + grid[:, :-1]) / 2
    xi = (mid[..., None] + half[..., None] * POINTS).reshape(len(q), -1)
    weights = (half[..., None] * WEIGHTS).reshape(len(q), -1)
    return xi, weights * np.exp(log_density(xi))
