"""Generalisation errors of the margin perceptron."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._channel import Array, log_tail
from ._checks import margin, overlap

NODES, WEIGHTS = np.polynomial.legendre.leggauss(100)


def bayes_error(q: ArrayLike) -> Array:
    """Error of the posterior mean on Gaussian test patterns, ``arccos(sqrt(q)) / pi``.

    Args:
        q: Overlap, 0 to below 1; the cosine between posterior mean and teacher is ``sqrt(q)``.

    Returns:
        Share of wrong labels, 0.5 at ``q = 0``; of the shape of ``q``.

    Raises:
        UsageError: ``q`` out of range.
    """
    found = overlap("q", q)
    return angle(found, 1 - found) / np.pi


def gibbs_error(q: ArrayLike) -> Array:
    """Error of one sample of the posterior on Gaussian test patterns, ``arccos(q) / pi``.

    Arguments, units and errors as ``bayes_error``.
    """
    found = overlap("q", q)
    return gibbs_angle(1 - found) / np.pi


def margin_error(rho: ArrayLike, kappa: ArrayLike) -> Array:
    """Error on test patterns that keep the margin, as those of the training do.

    ``1/H(kappa) int_kappa^inf Dz H(rho z / sqrt(1 - rho^2))``. Taken as ``1/(2 pi H(kappa))
    int_0^psi exp(-kappa^2 / (2 sin^2 u)) du``, ``psi = arccos(rho)``, whose integrand is above 0,
    so that small errors keep their digits.

    Args:
        rho: Cosine between student and teacher, 0 to below 1: ``sqrt(q)`` for the posterior mean,
            ``q`` for one sample.
        kappa: Margin, 0 to 5. Both broadcast.

    Returns:
        Share of wrong labels, 0.5 at ``rho = 0``, ``arccos(rho) / pi`` without margin. Relative
        error below 1e-10 down to 1e-200.

    Raises:
        UsageError: Arguments out of range.
    """
    found = overlap("rho", rho)
    return of_angle(np.arccos(found), margin("kappa", kappa))


def angle(q: Array, gap: Array) -> Array:
    """``arccos(sqrt(q))``, accurate at both ends; ``gap = 1 - q``."""
    return np.asarray(np.arctan2(np.sqrt(gap), np.sqrt(q)))


def gibbs_angle(gap: Array) -> Array:
    """``arccos(q)``, accurate near 1."""
    return np.asarray(2 * np.arcsin(np.sqrt(gap / 2)))


def of_angle(psi: ArrayLike, kappa: ArrayLike) -> Array:
    """The error under the margin at an angle between student and teacher."""
    ends, k = np.broadcast_arrays(np.asarray(psi, np.float64), np.asarray(kappa, np.float64))
    u = ends[..., None] * (NODES + 1) / 2
    log = -0.5 * (k[..., None] / np.maximum(np.sin(u), 1e-300)) ** 2 - log_tail(k)[..., None]
    return np.asarray(ends / (4 * np.pi) * (np.exp(log) * WEIGHTS).sum(-1))
