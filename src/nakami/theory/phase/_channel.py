"""Output channels of the margin perceptron, in the log domain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]
Real = float | Array
LOG_ROOT = 0.5 * np.log(2 * np.pi)


class Channel(NamedTuple):
    """What one pattern says of the student's field, of the cavity law ``N(omega, V)``.

    Attributes:
        log_z: ``log Z``, the log probability that the margin (and label) is met.
        g: ``d log Z / d omega``.
        gamma: ``- d g / d omega``; may be below 0 for patterns without a label.
    """

    log_z: Array
    g: Array
    gamma: Array


def log_density(x: ArrayLike) -> Array:
    """``log phi(x)``, of the standard normal density."""
    return np.asarray(-0.5 * np.square(x) - LOG_ROOT)


def log_tail(x: ArrayLike) -> Array:
    """``log H(x)``, ``H(x) = P(z > x)`` of a standard normal ``z``."""
    return np.asarray(log_ndtr(-np.asarray(x, np.float64)))


def unlabelled(omega: ArrayLike, variance: ArrayLike, kappa: ArrayLike) -> Channel:
    """Channel of a pattern without a label: ``|w . x| / sqrt(N) >= kappa``.

    ``Z = H(a) + H(b)``, ``a = (kappa - omega) / sqrt(V)``, ``b = (kappa + omega) / sqrt(V)``; ``g =
    (p_a - p_b) / sqrt(V)``, ``Gamma = g^2 - (a p_a + b p_b) / V``, ``p = phi / Z``.

    Args:
        omega: Mean of the field.
        variance: ``V > 0``.
        kappa: Margin, from 0 on. All broadcast.

    Returns:
        ``log Z``, ``g``, ``Gamma``; finite for arguments up to 1e150, rounding apart: ``1 - p_b /
        p_a`` is taken as a whole, so that ``g`` near ``omega = 0`` keeps its digits.

    Source: GAMP's output functions, Rangan, ISIT 2011 (arXiv 1010.5141), for this step function.
    """
    mean, v, k = (np.asarray(x, np.float64) for x in (omega, variance, kappa))
    root = np.sqrt(v)
    a, b = (k - mean) / root, (k + mean) / root
    log_z = np.logaddexp(log_tail(a), log_tail(b))
    p_a, p_b = np.exp(log_density(a) - log_z), np.exp(log_density(b) - log_z)
    g = np.tanh(k * mean / v) * (p_a + p_b) / root
    return Channel(log_z, g, g**2 - (a * p_a + b * p_b) / v)


def labelled(
    omega: ArrayLike, variance: ArrayLike, kappa: ArrayLike, label: ArrayLike = 1.0
) -> Channel:
    """Channel of a pattern with a label ``y``: ``y w . x / sqrt(N) >= kappa``.

    ``Z = H(a)``, ``a = (kappa - y omega) / sqrt(V)``; ``g = y p_a / sqrt(V)``, ``Gamma = g^2 - a
    p_a / V``, ``p_a = phi(a) / Z``.

    Args:
        omega: Mean of the field.
        variance: ``V > 0``.
        kappa: Margin, from 0 on.
        label: -1 or 1. All broadcast.

    Returns:
        ``log Z``, ``g``, ``Gamma``.

    Source: as ``unlabelled``.
    """
    mean, v, k, y = (np.asarray(x, np.float64) for x in (omega, variance, kappa, label))
    root = np.sqrt(v)
    a = (k - y * mean) / root
    log_z = log_tail(a)
    p_a = np.exp(log_density(a) - log_z)
    return Channel(log_z, y * p_a / root, p_a * (p_a - a) / v)
