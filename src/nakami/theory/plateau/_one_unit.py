"""The best student with one hidden unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from ...results import Shown, check_at_least, check_seed, wrong
from ._integrals import TWO_OVER_PI, Array, averages, covariance
from ._order import joint

FLAT, APART = 1e-9, 1e-6  # gradient of a minimum; errors that count as different minima


@dataclass(frozen=True, repr=False)
class OneUnit(Shown):
    """Student ``w g(J . xi / sqrt N)`` of least error.

    Attributes:
        first: ``J = sum_n first_n B_n``, ``(M,)``. second: ``w = sum_n second_n v_n``, ``(M,)``.
            The signs of both together are free; the sum of ``first`` is not negative.
        error: Generalisation error. gradient: Norm of its derivative by ``first``.
        minima: Errors of all minima found, increasing.
        T, F: Of the teacher.
        converged: Whether ``gradient`` is at most 1e-9 of the teacher's own error. Starts do not
            prove that no better minimum exists.
    """

    first: Array
    second: Array
    error: float
    gradient: float
    minima: Array
    T: Array
    F: Array
    converged: bool

    def __repr__(self) -> str:
        return f"OneUnit(error {self.error:.6g}, {'' if self.converged else 'not '}converged)"


def best_one_unit(
    F: ArrayLike, T: ArrayLike | None = None, *, starts: int = 20, seed: int = 0
) -> OneUnit:
    """Best one-unit student of a teacher.

    ``w = sum_n v_n I2(x, y_n) / I2(x, x)`` is best for each J, and a part of J outside the
    teacher's span only adds to ``|J|``, so M numbers are left; they are found by BFGS from the
    teacher's units, their sums and differences, and random directions.

    Args:
        F: Products of the teacher's readouts, ``(M, M)``.
        T: Of its first layer over N, ``(M, M)``, positive definite; None is the identity.
        starts: Random starts besides.
        seed: Of NumPy's generator.

    Returns:
        See ``OneUnit``.

    Raises:
        UsageError: Matrices that are none of that kind, or of different sizes.

    Cost: 10 ms a start.
    """
    f = covariance("F", F)
    t = np.eye(f.shape[-1]) if T is None else covariance("T", T)
    if f.ndim != 2 or t.shape != f.shape:
        got = f"shapes {f.shape} and {t.shape}"
        raise wrong("F and T", "be two matrices (M, M)", got, "call it for each teacher")
    if np.linalg.eigvalsh(t)[0] <= 1e-10 * np.abs(t).max():
        rule = "be positive definite"
        raise wrong("T", rule, "linearly dependent units", "leave out units that others make up")
    check_at_least("starts", starts, 0, "20 is the default")
    total = float((f * averages(t)).sum())
    if total <= 0:
        raise wrong("F", "belong to a teacher with an output", "only zeros", "pass v @ v.T")
    m, rng = len(t), np.random.default_rng(check_seed(seed))
    rows = [
        *np.eye(m),
        np.ones(m),
        *(np.ones(m) - 2 * np.eye(m)),
        *rng.standard_normal((starts, m)),
    ]
    found = [_minimised(np.asarray(a, np.float64), t, f, total) for a in rows]
    found.sort(key=lambda one: one[0])
    errors = np.array([one[0] for one in found if one[1] <= 1e3 * FLAT])
    minima = errors[np.append(True, np.diff(errors) > APART * total)] if len(errors) else errors
    best = min((one for one in found if one[0] <= found[0][0] + 1e-12 * total), key=lambda o: o[1])
    a = best[2] if best[2].sum() >= 0 else -best[2]
    h, own = _overlaps(a, t)
    slope = best[1] * total / 2
    error = best[0] * total / 2
    return OneUnit(a, h / own, error, slope, minima * total / 2, t, f, bool(best[1] <= FLAT))


def _minimised(a: Array, t: Array, f: Array, total: float) -> tuple[float, float, Array]:
    """Share of the teacher's power that is left, its gradient, where; ends with Newton steps."""
    value = minimize(_loss, a, (t, f, total), "BFGS", jac=True, options={"gtol": 1e-7})
    a = value.x
    for _ in range(4):
        slope = _loss(a, t, f, total)[1]
        hessian = _second(a, t, f, total)
        step = np.linalg.lstsq(hessian, slope, rcond=1e-8)[0]
        moved = a - step
        if np.linalg.norm(_loss(moved, t, f, total)[1]) >= np.linalg.norm(slope):
            break
        a = moved
    share, slope = _loss(a, t, f, total)
    return float(share), float(np.linalg.norm(slope)), a


def _second(a: Array, t: Array, f: Array, total: float) -> Array:
    h = 1e-5 * max(1.0, float(np.abs(a).max()))
    rows = [
        (_loss(a + h * e, t, f, total)[1] - _loss(a - h * e, t, f, total)[1]) / (2 * h)
        for e in np.eye(len(a))
    ]
    found = np.array(rows)
    return (found + found.T) / 2


def _overlaps(a: Array, t: Array) -> tuple[Array, float]:
    """``I2`` with the teacher's units, and with itself."""
    r = (t @ a)[None]
    i2 = averages(joint(np.array([[a @ t @ a]]), r, t))
    return i2[0, 1:], float(i2[0, 0])


def _loss(a: Array, t: Array, f: Array, total: float) -> tuple[float, Array]:
    """``1 - h^T F h / (I2(x, x) total)`` and its gradient."""
    r = t @ a
    q = float(a @ r)
    if q < 1e-12:
        return 1.0, np.zeros_like(a)
    both = np.sqrt((1 + q) * (1 + np.diagonal(t)))
    ratio, own = r / both, q / (1 + q)
    h, i = TWO_OVER_PI * np.arcsin(ratio), TWO_OVER_PI * np.arcsin(own)
    power = h @ f @ h
    of_h = 2 * TWO_OVER_PI * (f @ h) / np.sqrt(1 - ratio**2)
    grad = t @ (of_h / both) - (of_h @ ratio) * r / (1 + q)
    of_i = TWO_OVER_PI / np.sqrt(1 - own**2) / (1 + q) ** 2 * 2 * r
    return float(1 - power / (i * total)), -(grad - power / i * of_i) / (i * total)
