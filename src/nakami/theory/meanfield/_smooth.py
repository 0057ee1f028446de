"""Activations without a closed form: Gaussian averages by the trapezoidal rule, axis by axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ...results import warn, wrong
from ._activations import Activation, Array

REACH = 8.6  # standard deviations: the Gaussian outside is below 1e-16
STEP = 0.25  # poles at i pi/2, as tanh has: exp(-pi^2 / STEP) = 7e-18, times 1e3 for high orders
COARSE = 0.5  # for many pairs at once: 3e-9, times 1e2
MOST = 2001  # nodes an axis of a pair: enough for variances up to 800
ROUGH = 1.0  # a step in the function's unit beyond which averages of tanh' are off by 1e-4 and more
PIECE = 1 << 20  # values at a time; nodes of one axis alone

Function = Callable[[Array], Array]


class Smooth(Activation):
    """Any smooth activation, averaged by the trapezoidal rule on both axes (a product rule).

    The rule converges exponentially for functions that are analytic near the real line, with a
    rate that does not fall with the variance as the step follows ``1 / sqrt(q)``. Gauss-Hermite
    with as many nodes is the poorer the larger the variance (tanh at variance 3.64, 101 nodes:
    error 4e-5 in ``E[phi'^2]``, here 1e-14).
    Source: Trefethen & Weideman 2014, "The exponentially convergent trapezoidal rule", section 5.

    Args:
        function: NumPy function, elementwise.
        derivative: Its derivative; None: five-point differences, step 1e-3 (error about 1e-12).
        name: How it is called in results.

    Raises:
        UsageError: Not elementwise or not finite, ``derivative`` is not its derivative, or not
            smooth: the average changes with the rule's step.
    """

    def __init__(self, function: Function, derivative: Function | None, name: str) -> None:
        self._function, self.name = function, name
        self._derivative = derivative or _differences(function)
        if derivative is not None:
            self._check_derivative()
        self._check_smooth()

    def __call__(self, x: ArrayLike) -> Array:
        return np.asarray(self._function(np.asarray(x, np.float64)), np.float64)

    def derivative(self, x: ArrayLike) -> Array:
        return np.asarray(self._derivative(np.asarray(x, np.float64)), np.float64)

    def second_moment_rate(self, q: float) -> float:
        root = max(float(np.sqrt(q)), 1e-5)  # at 0 the limit
        z, weights = _rule(root, STEP, PIECE)
        return float(weights @ (self(root * z) * self.derivative(root * z) * z)) / root

    def _square(self, q: Array, slopes: bool, step: float = STEP) -> Array:
        f = self.derivative if slopes else self
        roots = np.sqrt(q).ravel()
        z, weights = _rule(float(roots.max(initial=0.0)), step, PIECE)
        size = max(1, PIECE // len(z))
        pieces = [
            f(roots[i : i + size, None] * z) ** 2 @ weights for i in range(0, len(roots), size)
        ]
        return np.concatenate(pieces or [roots]).reshape(q.shape)

    def _pair(self, q_s: Array, q_t: Array, c: Array, slopes: bool) -> Array:
        f = self.derivative if slopes else self
        a, b, c_flat = np.sqrt(q_s).ravel(), np.sqrt(q_t).ravel(), c.ravel()
        step = STEP if len(a) <= 64 else COARSE
        out = np.empty(len(a))
        root = float(max(a.max(initial=0.0), b.max(initial=0.0)))
        z, weights = _rule(root, step, MOST)
        if root * (z[1] - z[0]) > ROUGH:
            warn(
                f"averages of {self.name} over two inputs are rough at variance {root**2:.3g}; "
                "scale the inputs down."
            )
        size = max(1, PIECE // len(z) ** 2)
        for i in range(0, len(a), size):
            part = slice(i, i + size)
            first = f(a[part, None] * z) * weights
            along = (b * c_flat)[part, None, None] * z[:, None]
            across = (b * np.sqrt((1 - c_flat) * (1 + c_flat)))[part, None, None] * z
            out[part] = np.einsum("pi,pi->p", first, f(along + across) @ weights)
        return out.reshape(c.shape)

    def _check_derivative(self) -> None:
        x = np.linspace(-2.9, 3.1, 41)
        given, found = self.derivative(x), _differences(self._function)(x)
        worst = int(np.argmax(np.abs(given - found)))
        if not np.allclose(given, found, rtol=1e-5, atol=1e-6):
            got = f"{given[worst]:.6g} at {x[worst]:.3g} where differences give {found[worst]:.6g}"
            way_out = ["correct it", "leave {derivative} out"]
            raise wrong("derivative", f"be the derivative of {self.name}", got, way_out)

    def _check_smooth(self) -> None:
        x = np.linspace(-3, 3, 7).reshape(7, 1)
        y = np.asarray(self._function(x))
        if y.shape != x.shape or not np.isfinite(y).all():
            rule = "map arrays elementwise to finite values"
            got = f"shape {y.shape} from {x.shape} by {self.name}"
            raise wrong("activation", rule, got, "write it with NumPy's functions")
        one = np.ones(1)
        for slopes in (False, True):
            fine, other = (float(self._square(one, slopes, s)[0]) for s in (0.217, 0.25))
            if not abs(fine - other) <= 1e-7 * max(1.0, abs(fine)):
                moves = (
                    f"an average that moves by {abs(fine - other):.1g} with the step of the rule"
                )
                way_out = "piecewise linear ones have names: 'relu', 'leaky_relu', 'linear'"
                raise wrong("activation", "be smooth", f"{moves} for {self.name}", way_out)


def _rule(root: float, step: float, most: int) -> tuple[Array, Array]:
    """Nodes, ``most`` at most, and weights for averages of functions of ``root z``, Gaussian."""
    half = int(np.ceil(REACH * max(1.0, root) / step))
    z = np.linspace(-REACH, REACH, min(2 * half + 1, most))
    weights = np.exp(-(z**2) / 2)
    return z, weights / weights.sum()


def _differences(f: Function, h: float = 1e-3) -> Function:
    """Five-point central differences: error ``h^4 |f^(5)| / 30`` and rounding ``eps / h``."""
    return lambda x: (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)
