"""How order parameters move under online gradient descent, at infinite dimension."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ...results import Shown, is_number, wrong
from ._integrals import TWO_OVER_PI, Array, averages, fourth
from ._order import OrderParameters, check_order, joint


@dataclass(frozen=True, repr=False)
class Velocity(Shown):
    """Time derivatives; the teacher does not move. Time is steps over N.

    Attributes:
        Q, R, D, E: Of the order parameters of these names. error: Of the generalisation error.
    """

    Q: Array
    R: Array
    D: Array
    E: Array
    error: Array


def velocity(
    order: OrderParameters, rate: float = 0.2, readout_rate: float | None = None
) -> Velocity:
    """Right-hand side of the equations for the order parameters.

    With ``c = [-D, E]``, indices a, b over students, then teachers, S students and T teachers::

        R' = rate sum_a c_ia I3(i, n, a)
        Q' = rate sum_a (c_ia I3(i, j, a) + c_ja I3(j, i, a))
           + rate^2 sum_ab c_ia c_jb I4(i, j, a, b)
        E' = readout_rate (G_S E + G_T F),   D' = X + X^T,   X = readout_rate (G_S D + G_T E^T)

    where ``G = -I2`` between students and ``I2`` between student and teacher.

    Args:
        order: Where.
        rate: ``eta``: ``J_i += eta / sqrt(N) (w_i . e) g'(x_i) xi``; 0 to 100. Where it is
            large the noise, the ``rate^2`` term, keeps the student from the teacher: with K = M = 2
            and unit weights from 2 to 2.5 on with one output, from 4 to 5 with two orthogonal ones.
        readout_rate: ``eta_2``: ``w_i += eta_2 / N e g(x_i)``; None is ``rate``.

    Returns:
        See ``Velocity``; leading axes of ``order``.

    Raises:
        UsageError: A rate out of range.

    Cost: ``K (K + 1) (K + M)^2 / 2`` arcsines a row. Source: Saad, Solla 1995; with readouts that
    learn and any number of outputs after Yoshida et al., J. Phys. A 52, 184002 (2019).
    """
    check_order("order", order)
    rate, readout_rate = check_rates(rate, readout_rate)
    q, r, d, e = moved(order.covariance, order.D, order.E, order.F, rate, readout_rate)
    return Velocity(q, r, d, e, _slope(order, q, r, d, e))


def moved(
    c: Array, d: Array, e: Array, f: Array, rate: float, readout_rate: float
) -> tuple[Array, Array, Array, Array]:
    """Derivatives of Q, R, D and E."""
    k = d.shape[-1]
    of = 1 + c.diagonal(axis1=-2, axis2=-1)
    of_s, c_s = of[..., :k, None], c[..., :k, :]
    error = np.concatenate([-d, e], axis=-1)  # w_i . e = sum_a error_ia g_a
    both = of_s * of[..., None, :]
    pull = TWO_OVER_PI * error / np.sqrt(both - c_s * c_s)
    drift = pull @ c - c_s * ((pull * c_s).sum(-1, keepdims=True) / of_s)
    i, j = _pairs(k)
    noise = fourth(c, i, j) @ error.take(j, -2)[..., None]
    noise = (noise[..., 0] * error.take(i, -2)).sum(-1)
    q = rate * drift[..., :k]
    q = q + q.swapaxes(-1, -2)
    noise = rate**2 * noise
    q[..., i, j] += noise
    q[..., j, i] = q[..., i, j]
    g = readout_rate * TWO_OVER_PI * np.arcsin(c_s / np.sqrt(both))
    to_s, to_t = g[..., :k], g[..., k:]
    x = to_t @ e.swapaxes(-1, -2) - to_s @ d
    return q, rate * drift[..., k:], x + x.swapaxes(-1, -2), to_t @ f - to_s @ e


@cache
def _pairs(k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return np.triu_indices(k)


def slope(order: OrderParameters, rate: float, readout_rate: float) -> tuple[Array, Array]:
    """Generalisation error and its time derivative."""
    at = moved(order.covariance, order.D, order.E, order.F, rate, readout_rate)
    return order.generalisation_error, _slope(order, *at)


def _slope(order: OrderParameters, q: Array, r: Array, d: Array, e: Array) -> Array:
    c = order.covariance
    s = 1 + np.diagonal(c, axis1=-2, axis2=-1)
    both = s[..., :, None] * s[..., None, :]
    zero = np.zeros_like(order.T)
    change = joint(q, r, zero)
    of_s = np.diagonal(change, axis1=-2, axis2=-1) / s
    ratio = change - c / 2 * (of_s[..., :, None] + of_s[..., None, :])
    of_i2 = TWO_OVER_PI * ratio / np.sqrt(both - c**2)
    u, du = joint(order.D, -order.E, order.F), joint(d, -e, zero)
    return np.asarray(0.5 * (du * averages(c) + u * of_i2).sum(axis=(-1, -2)))


def check_rates(rate: float, readout_rate: float | None) -> tuple[float, float]:
    """Both rates."""
    second = rate if readout_rate is None else readout_rate
    for name, value in (("rate", rate), ("readout_rate", second)):
        if not is_number(value) or not 0 <= value <= 100:
            raise wrong(name, "be a number from 0 to 100", repr(value), "0.2 is the default")
    return float(rate), float(second)
