"""Loss of two-layer networks over all Gaussian inputs, its derivatives and Fisher matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from ...results import wrong
from ._integrals import TWO_OVER_PI, Array
from ._order import order_parameters, weights

Any2D = npt.NDArray[Any]
STEP = 1e-30  # of the complex step: its error is of second order


def population_loss(J: ArrayLike, B: ArrayLike, w: ArrayLike, v: ArrayLike) -> Array:
    """``<|teacher - student|^2> / 2`` over ``xi ~ N(0, 1)``: the generalisation error.

    Args:
        J: First layer of the student, ``(..., K, N)``, ``x_i = J_i . xi / sqrt(N)``.
        B: First layer of the teacher, ``(..., M, N)``.
        w: Readouts of the student, ``(..., K, O)``.
        v: Readouts of the teacher, ``(..., M, O)``.

    Returns:
        ``(...)``.

    Raises:
        UsageError: Shapes that do not fit, numbers that are not finite.
    """
    return order_parameters(J, B, w, v).generalisation_error


def population_gradient(
    J: ArrayLike, B: ArrayLike, w: ArrayLike, v: ArrayLike
) -> tuple[Array, Array]:
    """Derivatives of ``population_loss``: by ``J / sqrt(N)``, ``(K, N)``, and by ``w``, ``(K, O)``.

    First layers are measured in ``J / sqrt(N)``, the vectors that inputs are multiplied with.
    """
    j, b, w, v, root = _one(J, B, w, v)
    first, second = gradient(j / root, b / root, w, v)
    return np.asarray(first), np.asarray(second)


def population_hessian(J: ArrayLike, B: ArrayLike, w: ArrayLike, v: ArrayLike) -> Array:
    """Second derivatives of ``population_loss`` by ``(J / sqrt(N), w)`` as one vector, row by row.

    The gradient is a closed form; it is differentiated by complex steps, exact to rounding.

    Returns:
        ``(P, P)``, ``P = K (N + O)``, symmetric.

    Raises:
        UsageError: As ``population_loss``.

    Cost: P gradients.
    """
    j, b, w, v, root = _one(J, B, w, v)
    theta, split = np.append(j / root, w), j.size
    found = np.empty((theta.size, theta.size))
    for i in range(theta.size):
        moved = theta.astype(np.complex128)
        moved[i] += 1j * STEP
        at = gradient(moved[:split].reshape(j.shape), b / root, moved[split:].reshape(w.shape), v)
        found[i] = np.append(*(x.imag for x in at)) / STEP
    return (found + found.T) / 2


def population_fisher(J: ArrayLike, w: ArrayLike) -> Array:
    """``sum_o <d f_o / d theta  (d f_o / d theta)^T>`` by ``(J / sqrt(N), w)``, row by row.

    Fisher matrix of a network with Gaussian noise of variance 1 at each output; summed over
    outputs, averaged over ``xi ~ N(0, 1)``. Singular where two rows of ``J`` are equal, or a row of
    ``w`` is 0.

    Args:
        J: First layer, ``(K, N)``.
        w: Readouts, ``(K, O)``.

    Returns:
        ``(P, P)``, ``P = K (N + O)``, positive semidefinite.

    Raises:
        UsageError: As ``population_loss``.

    Cost: ``K^2 N^2``; closed form, from ``<g' g' xi xi^T>``, a Gaussian integral.
    """
    j, _, w, _, root = _one(J, np.asarray(J)[..., :1, :], w, np.asarray(w)[..., :1, :])
    z = j / root
    (k, n), o = z.shape, w.shape[1]
    c = z @ z.T
    d = 1 + np.diagonal(c)
    found = np.zeros((k * (n + o), k * (n + o)))
    first = found[: k * n, : k * n].reshape(k, n, k, n)
    cross = found[: k * n, k * n :].reshape(k, n, k, o)
    second = found[k * n :, k * n :].reshape(k, o, k, o)
    i2 = TWO_OVER_PI * np.arcsin(c / np.sqrt(d[:, None] * d))
    for a in range(k):
        for b in range(k):
            both = d[a] * d[b] - c[a, b] ** 2
            pair = z[[a, b]]
            inner = np.linalg.inv(np.eye(2) + pair @ pair.T)
            weighted = np.eye(n) - pair.T @ inner @ pair
            first[a, :, b] = (w[a] @ w[b]) * TWO_OVER_PI / np.sqrt(both) * weighted
            along = TWO_OVER_PI / np.sqrt(both) * (z[b] - z[a] * c[a, b] / d[a])
            cross[a, :, b] = along[:, None] * w[a]
            second[a, :, b] = i2[a, b] * np.eye(o)
    found[k * n :, : k * n] = found[: k * n, k * n :].T
    return found


def gradient(j: Any2D, b: Array, w: Any2D, v: Array) -> tuple[Any2D, Any2D]:
    """By ``j`` and ``w``, of weights that inputs are multiplied with; complex ones, too."""
    k = len(j)
    z, u = np.concatenate([j, b]), np.concatenate([w, -v])
    c = z @ z.T
    d = 1 + np.diagonal(c)
    scale = np.sqrt(d[:, None] * d)
    ratio = c / scale
    pull = TWO_OVER_PI * (u @ u.T) / np.sqrt(1 - ratio**2)
    of_c = pull / scale
    of_c = of_c - np.diag((pull * ratio).sum(1) / d)
    return (of_c @ z)[:k], (TWO_OVER_PI * np.arcsin(ratio) @ u)[:k]


def _one(*given: ArrayLike) -> tuple[Array, Array, Array, Array, float]:
    found = weights(*given)
    if any(x.ndim != 2 for x in found):
        got = f"shapes {', '.join(str(x.shape) for x in found)}"
        raise wrong("J, B, w and v", "have two axes", got, "call it for each network")
    return (*found, found[0].shape[1] ** 0.5)
