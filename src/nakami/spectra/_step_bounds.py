"""Bounds of the mass that a measure has above a level, from a few of its moments.

A Lanczos run of ``N`` steps knows the moments up to ``2 N`` of the measure that its start vector
gives to the eigenvalues. Of all measures with these moments, the one on ``N + 1`` points, one of
them the level, has the most mass at the level. So the mass above is at least that of the points
above, and at most that and the mass at the level (Chebyshev, Markov, Stieltjes). Where one of these
points lies outside the range that the eigenvalues can have, the ends of the range take its place,
and the bounds get closer.

Source: Golub & Meurant, Matrices, Moments and Quadrature (2010), chapters 3 and 6; Krein &
Nudelman, The Markov Moment Problem and Extremal Problems (1977), chapter 3.
"""

from __future__ import annotations

import math

import numpy as np

ROUNDING = 1e-9


def mass_above(
    alpha: np.ndarray, beta: np.ndarray, level: float, top: float = math.inf
) -> tuple[float, float]:
    """Lower and upper bound of the mass above ``level``, of a measure of mass 1 on ``[0, top]``.

    Args:
        alpha: Diagonal of the Lanczos matrix, ``(N,)``.
        beta: What couples each step to the next, ``(N,)``; its last is 0 where the run has ended,
            and then the mass is known.
        level: Where.
        top: No eigenvalue is larger; infinity where that is not known.
    """
    if level >= top:
        return 0.0, 0.0
    if level <= 0:
        return 0.0, 1.0
    nodes, weights = quadrature(alpha, beta[:-1])
    if beta[-1] == 0:
        return _within(weights[nodes > level].sum(), weights[nodes >= level].sum())
    points, masses = _with_node(alpha, beta, level)
    if points[0] < 0 or points[-1] > top:
        closer = _with_ends(alpha, beta, level, top) if math.isfinite(top) else None
        if closer is not None:
            return closer
    at = int(np.abs(points - level).argmin())
    above = masses[at + 1 :].sum()
    return _within(above, above + masses[at])


def quadrature(alpha: np.ndarray, off: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points and masses of the rule of Gauss of a Lanczos matrix, of mass 1."""
    points, vectors = np.linalg.eigh(_tridiagonal(alpha, off))
    return points, vectors[0] ** 2


def _with_node(alpha: np.ndarray, beta: np.ndarray, node: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and masses of the measure on ``N + 1`` points, one of them ``node``."""
    values, vectors = np.linalg.eigh(_tridiagonal(alpha, beta[:-1]))
    gaps = values - node
    gaps[gaps == 0] = np.finfo(np.float64).tiny ** 0.5
    last = node + beta[-1] ** 2 * float((vectors[-1] ** 2 / gaps).sum())
    return quadrature(np.append(alpha, last), beta)


def _with_ends(
    alpha: np.ndarray, beta: np.ndarray, level: float, top: float
) -> tuple[float, float] | None:
    """The bounds by the measure on 0, ``top``, the level and ``N - 1`` more points.

    None where rounding leaves no such measure. The measure ``t (top - t) dm`` has no mass at the
    ends, and its moments are known up to ``2 N - 2``.
    """
    points, masses = _with_node(alpha, beta, 0.0)
    inside = points > ROUNDING * top
    points, masses = points[inside], masses[inside]
    if len(points) < len(alpha) or points[-1] >= top:
        return None
    masses = masses * points * (top - points)
    total = masses.sum()
    diagonal, off = lanczos(points, masses / total)
    if len(diagonal) == 1:
        nodes, shares = np.array([level]), np.ones(1)
    else:
        nodes, shares = _with_node(diagonal[:-1], off, level)
    if nodes[0] <= 0 or nodes[-1] >= top:
        return None
    weights = shares * total / (nodes * (top - nodes))
    at_top = (alpha[0] - float(nodes @ weights)) / top
    at_zero = 1 - float(weights.sum()) - at_top
    if min(at_top, at_zero) < -ROUNDING:
        return None
    at = int(np.abs(nodes - level).argmin())
    above = weights[at + 1 :].sum() + at_top
    return _within(above, above + weights[at])


def lanczos(points: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Diagonal and off-diagonal of the Lanczos matrix of a measure on a few points."""
    n = len(points)
    rows, alpha, beta = np.zeros((n, n)), np.zeros(n), np.zeros(n - 1)
    rows[0] = masses**0.5
    for j in range(n):
        image = points * rows[j]
        alpha[j] = image @ rows[j]
        if j + 1 < n:
            for _ in range(2):
                image = image - (rows[: j + 1] @ image) @ rows[: j + 1]
            beta[j] = float(np.linalg.norm(image))
            rows[j + 1] = image / max(beta[j], 1e-300)
    return alpha, beta


def _tridiagonal(alpha: np.ndarray, off: np.ndarray) -> np.ndarray:
    return np.diag(alpha) + np.diag(off, 1) + np.diag(off, -1)


def _within(low: float, high: float) -> tuple[float, float]:
    return min(max(float(low), 0.0), 1.0), min(max(float(high), float(low), 0.0), 1.0)
