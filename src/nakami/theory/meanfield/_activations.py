"""Activations as the theory sees them: Gaussian averages of products, in closed form or by rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ...results import is_number, wrong, wrong_type

Array: TypeAlias = NDArray[np.float64]


class Activation(ABC):
    """An activation ``phi`` and its averages over a Gaussian pair ``(x_s, x_t)``.

    The pair has mean 0, variances ``q_s``, ``q_t`` and covariance ``q_st``; arrays broadcast. With
    ``q_s`` alone the pair is one and the same variable (index 1 of the theory).

    Attributes:
        name: How it is called in results.
        scale_free: Whether ``phi(a x) = a phi(x)`` for ``a > 0``.
    """

    name: str
    scale_free: bool = False

    @abstractmethod
    def __call__(self, x: ArrayLike) -> Array:
        """``phi(x)``, elementwise."""

    @abstractmethod
    def derivative(self, x: ArrayLike) -> Array:
        """``phi'(x)``, elementwise."""

    @abstractmethod
    def second_moment_rate(self, q: float) -> float:
        """``d/dq E[phi(sqrt(q) z)^2]``, ``z ~ N(0, 1)``."""

    def second_moment(
        self, q_s: ArrayLike, q_t: ArrayLike | None = None, q_st: ArrayLike | None = None
    ) -> Array:
        """``E[phi(x_s) phi(x_t)]``; one argument: ``E[phi(x_s)^2]``.

        Raises:
            UsageError: Negative variances, or a covariance that no Gaussian pair has.
        """
        if q_t is None or q_st is None:
            return self._square(_variance("q_s", q_s), slopes=False)
        return self._pair(*covariances(q_s, q_t, q_st), slopes=False)

    def derivative_moment(
        self, q_s: ArrayLike, q_t: ArrayLike | None = None, q_st: ArrayLike | None = None
    ) -> Array:
        """``E[phi'(x_s) phi'(x_t)]``; one argument: ``E[phi'(x_s)^2]``. Raises as above."""
        if q_t is None or q_st is None:
            return self._square(_variance("q_s", q_s), slopes=True)
        return self._pair(*covariances(q_s, q_t, q_st), slopes=True)

    @abstractmethod
    def _square(self, q: Array, slopes: bool) -> Array:
        """Average of the square at variance ``q``, of ``phi'`` where ``slopes``."""

    @abstractmethod
    def _pair(self, q_s: Array, q_t: Array, c: Array, slopes: bool) -> Array:
        """Average of the product at correlation ``c``, of ``phi'`` where ``slopes``."""

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


class PiecewiseLinear(Activation):
    """``x`` above 0, ``slope x`` below: ReLU (slope 0), leaky ReLU, linear (slope 1).

    With ``phi = slope x + (1 - slope) relu(x)`` and ``E[x_s relu(x_t)] = q_st / 2`` the averages
    are ``slope q_st + (1 - slope)^2 E[relu relu]`` and, for the derivatives, ``slope + (1 -
    slope)^2 E[step step]``. Source: Cho & Saul 2009, the arc-cosine kernels of order 1 and 0.
    """

    scale_free = True

    def __init__(self, slope: float, name: str) -> None:
        self.slope, self.name = slope, name

    def __call__(self, x: ArrayLike) -> Array:
        x = np.asarray(x, np.float64)
        return np.where(x > 0, x, self.slope * x)

    def derivative(self, x: ArrayLike) -> Array:
        return np.where(np.asarray(x) > 0, 1.0, self.slope)

    def second_moment_rate(self, q: float) -> float:
        return (1 + self.slope**2) / 2

    def _square(self, q: Array, slopes: bool) -> Array:
        return (1 + self.slope**2) / 2 * (np.ones_like(q) if slopes else q)

    def _pair(self, q_s: Array, q_t: Array, c: Array, slopes: bool) -> Array:
        angle = np.pi / 2 + np.arcsin(c)
        kept = (1 - self.slope) ** 2
        if slopes:
            return self.slope + kept * angle / (2 * np.pi)
        relu = (np.sqrt((1 - c) * (1 + c)) + c * angle) / (2 * np.pi)
        return np.sqrt(q_s * q_t) * (self.slope * c + kept * relu)


class Erf(Activation):
    """``erf(gain x)``. Source: Williams 1997, "Computing with infinite networks"."""

    def __init__(self, gain: float, name: str) -> None:
        self.gain, self.name = float(gain), name

    def __call__(self, x: ArrayLike) -> Array:
        return np.asarray(special.erf(self.gain * np.asarray(x, np.float64)))

    def derivative(self, x: ArrayLike) -> Array:
        x = self.gain * np.asarray(x, np.float64)
        return 2 / np.sqrt(np.pi) * self.gain * np.exp(-(x**2))

    def second_moment_rate(self, q: float) -> float:
        a = 2 * self.gain**2
        return float(2 / np.pi * a / ((1 + a * q) * np.sqrt(1 + 2 * a * q)))

    def _square(self, q: Array, slopes: bool) -> Array:
        return self._pair(q, q, np.ones_like(q), slopes)

    def _pair(self, q_s: Array, q_t: Array, c: Array, slopes: bool) -> Array:
        a_s, a_t = 2 * self.gain**2 * q_s, 2 * self.gain**2 * q_t
        a_st = c * np.sqrt(a_s * a_t)
        both = (1 + a_s) * (1 + a_t)
        if slopes:
            return 4 / np.pi * self.gain**2 / np.sqrt(both - a_st**2)
        return 2 / np.pi * np.arcsin(a_st / np.sqrt(both))


def real_array(argument: str, value: Any) -> Array:
    """A number, list, array or tensor of real numbers as float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double().numpy() if value.is_floating_point() else value.numpy()
    found = np.asarray(value)
    if found.dtype.kind not in "biuf":
        raise wrong_type(argument, "be real numbers", repr(value), "pass floats")
    return np.asarray(found, np.float64)


def positive(argument: str, value: object, rule: str, way_out: str) -> float:
    """A finite number above 0."""
    if not is_number(value) or not 0 < value < np.inf:
        raise wrong(argument, rule, repr(value), way_out)
    return float(value)


def covariances(q_s: ArrayLike, q_t: ArrayLike, q_st: ArrayLike) -> tuple[Array, Array, Array]:
    """Variances and correlation, broadcast; the correlation is 0 where a variance is 0."""
    v_s, v_t = _variance("q_s", q_s), _variance("q_t", q_t)
    v_s, v_t, v_st = np.broadcast_arrays(v_s, v_t, np.asarray(q_st, np.float64))
    scale = np.sqrt(v_s * v_t)
    if not np.all(np.abs(v_st) <= scale * (1 + 1e-6) + 1e-12):  # NaN fails here too
        rule, way_out = "lie between -sqrt(q_s q_t) and sqrt(q_s q_t)", "pass a smaller covariance"
        raise wrong("q_st", rule, _short(q_st), way_out)
    c = np.divide(v_st, scale, out=np.zeros(scale.shape), where=scale > 0)
    return v_s, v_t, np.clip(c, -1, 1)


def _variance(argument: str, q: ArrayLike) -> Array:
    values = np.asarray(q, np.float64)
    if not (np.all(values >= 0) and np.all(np.isfinite(values))):
        rule, way_out = "be variances, finite and at least 0", "pass numbers from 0 on"
        raise wrong(argument, rule, _short(q), way_out)
    return values


def _short(value: Any) -> object:
    return value if np.ndim(value) == 0 else f"values from {np.min(value)} to {np.max(value)}"
