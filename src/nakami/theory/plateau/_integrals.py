"""Gaussian averages of products of ``g(x) = erf(x / sqrt 2)`` and its derivative."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from ...results import wrong

Array = npt.NDArray[np.float64]
TWO_OVER_PI = 2 / np.pi


def I2(C: ArrayLike) -> Array:
    """``<g(x_i) g(x_j)> = (2 / pi) arcsin(C_ij / sqrt(d_i d_j))``, ``d_i = 1 + C_ii``.

    Args:
        C: Covariances of the zero-mean Gaussian ``x``, symmetric, positive semidefinite,
            ``(..., A, A)``.

    Returns:
        ``(..., A, A)``, values from -1 to 1. Indices may coincide, here and in ``I3`` and ``I4``.

    Raises:
        UsageError: ``C`` is not of that kind.

    Cost: one arcsine for each value. Source: D. Saad, S. Solla, Phys. Rev. E 52, 4225 (1995).
    """
    return averages(covariance("C", C))


def I3(C: ArrayLike) -> Array:
    """``<g'(x_i) x_j g(x_k)>``, all combinations, ``(..., A, A, A)``; as ``I2``.

    ``(2 / pi) (C_jk d_i - C_ij C_ik) / (d_i sqrt(d_i d_k - C_ik^2))``.
    """
    c = covariance("C", C)
    d = 1 + _diagonal(c)
    over = TWO_OVER_PI / (np.sqrt(_pair(c, d)) * d[..., :, None])  # i, k
    first = c[..., None, :, :] * d[..., :, None, None]
    return (first - c[..., :, :, None] * c[..., :, None, :]) * over[..., :, None, :]


def I4(C: ArrayLike) -> Array:
    """``<g'(x_i) g'(x_j) g(x_k) g(x_l)>``, all combinations, ``(..., A, A, A, A)``; as ``I2``.

    ``(4 / pi^2) arcsin(L0 / sqrt(L1 L2)) / sqrt(L4)``, ``L4 = d_i d_j - C_ij^2``; ``L1`` and ``L2``
    are the determinants of one plus the covariance of (i, j, k) and of (i, j, l), ``L0`` that of
    rows (i, j, k) and columns (i, j, l).
    """
    c = covariance("C", C)
    n = c.shape[-1]
    i, j = np.divmod(np.arange(n * n), n)
    return fourth(c, i, j).reshape(*c.shape[:-2], n, n, n, n)


def averages(c: Array) -> Array:
    """``I2`` of arguments that were checked; the arcsine's is at most ``C / (1 + C)``."""
    root = np.sqrt(1 + c.diagonal(axis1=-2, axis2=-1))
    return np.asarray(TWO_OVER_PI * np.arcsin(c / (root[..., :, None] * root[..., None, :])))


def fourth(c: Array, i: npt.NDArray[np.int64], j: npt.NDArray[np.int64]) -> Array:
    """``I4`` at pairs ``(i, j)`` and all ``k, l``: ``(..., pairs, A, A)``."""
    d = 1 + c.diagonal(axis1=-2, axis2=-1)
    ci, cj = c.take(i, -2), c.take(j, -2)
    di, dj = d.take(i, -1)[..., None], d.take(j, -1)[..., None]
    cij = c.reshape(*c.shape[:-2], -1).take(i * c.shape[-1] + j, -1)[..., None]
    four = di * dj - cij * cij
    left, right = cij * cj - ci * dj, cij * ci - cj * di
    root = np.sqrt(four * d[..., None, :] + left * ci + right * cj)
    ratio = four[..., None] * c[..., None, :, :]
    ratio += left[..., :, None] * ci[..., None, :]
    ratio += right[..., :, None] * cj[..., None, :]
    ratio /= root[..., :, None] * root[..., None, :]
    return np.asarray(np.arcsin(ratio) * (TWO_OVER_PI**2 / np.sqrt(four))[..., None])


def covariance(argument: str, values: ArrayLike) -> Array:
    """Symmetric positive semidefinite matrices ``(..., A, A)``, to 1e-8 of the largest entry."""
    c = real(argument, values, "pass covariances (..., A, A)")
    if c.ndim < 2 or c.shape[-1] != c.shape[-2]:
        rule = "be square in its last two axes"
        raise wrong(argument, rule, f"shape {c.shape}", "pass covariances (..., A, A)")
    scale = np.abs(c).max(axis=(-1, -2), initial=0.0)
    skew = np.abs(c - c.swapaxes(-1, -2)).max(axis=(-1, -2))
    if (skew > 1e-8 * scale).any():
        way_out = f"pass ({argument} + {argument}.T) / 2 if that is meant"
        raise wrong(argument, "be symmetric", f"a difference of {skew.max():.3g}", way_out)
    c = (c + c.swapaxes(-1, -2)) / 2
    least = np.linalg.eigvalsh(c)[..., 0]
    if (least < -1e-8 * scale).any():
        rule, got = "be positive semidefinite", f"an eigenvalue of {least.min():.3g}"
        raise wrong(argument, rule, got, "take it from vectors, as order_parameters() does")
    return c


def real(argument: str, values: ArrayLike, way_out: str) -> Array:
    """Finite real numbers of any shape, as float64."""
    try:
        found = np.asarray(values)
    except ValueError:  # ragged
        found = np.asarray(None)
    if found.dtype.kind not in "iuf" or found.size == 0:
        raise wrong(argument, "hold real numbers", repr(values), way_out)
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        bad = f"{found[~np.isfinite(found)].flat[0]}"
        raise wrong(argument, "be finite", bad, way_out)
    return found


def _diagonal(c: Array) -> Array:
    return np.diagonal(c, axis1=-2, axis2=-1)


def _pair(c: Array, d: Array) -> Array:
    """``d_i d_k - C_ik^2``."""
    return np.asarray(d[..., :, None] * d[..., None, :] - c**2)
