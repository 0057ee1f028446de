"""The activations that have a name here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
from scipy import special

from ...results import is_number, unknown, wrong, wrong_type
from ._activations import Activation, Array, Erf, PiecewiseLinear
from ._smooth import Function, Smooth


def _normal_density(x: Array) -> Array:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _sigmoid_slope(x: Array) -> Array:
    return np.asarray(special.expit(x) * special.expit(-x))


SMOOTH: dict[str, tuple[Function, Function | None]] = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sigmoid": (special.expit, _sigmoid_slope),
    "gelu": (lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * _normal_density(x)),
    "gelu-tanh": (
        lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        None,
    ),
    "silu": (lambda x: x * special.expit(x), lambda x: special.expit(x) + x * _sigmoid_slope(x)),
    "softplus": (lambda x: np.logaddexp(0, x), special.expit),
    "sin": (np.sin, np.cos),
}
CLOSED: dict[str, Callable[[], Activation]] = {
    "linear": lambda: PiecewiseLinear(1.0, "linear"),
    "relu": lambda: PiecewiseLinear(0.0, "relu"),
    "leaky_relu": lambda: PiecewiseLinear(0.01, "leaky_relu"),
    "erf": lambda: Erf(1.0, "erf"),
    "erf-sqrt2": lambda: Erf(0.5**0.5, "erf-sqrt2"),
}
ACTIVATIONS = (*CLOSED, *SMOOTH)

ActivationLike: TypeAlias = str | Activation | Function


def activation(
    phi: ActivationLike, derivative: Function | None = None, *, slope: float | None = None
) -> Activation:
    """An activation with its Gaussian averages.

    Args:
        phi: One of ``ACTIVATIONS``, an ``Activation`` (returned as it is), or a smooth NumPy
            function, elementwise. ``"erf"`` is ``erf(x)``, ``"erf-sqrt2"`` is ``erf(x/sqrt(2))``,
            ``"leaky_relu"`` has slope 0.01 below 0 unless ``slope`` says another.
        derivative: That of a function ``phi``; None: five-point differences, step 1e-3.
        slope: Below 0, for ``"leaky_relu"`` alone.

    Returns:
        ``linear``, ``relu``, ``leaky_relu`` and the two ``erf`` in closed form; the others by a
        product rule, to about 1e-13 (pairs: 1e-6 for more than 64 at once, for variances up to
        800; beyond 13,000 a NakamiWarning says that they are rough).

    Raises:
        UsageError: Unknown name (the nearest are offered), or a function that is not smooth.
    """
    if slope is not None:
        if phi != "leaky_relu":
            raise wrong("slope", "come with 'leaky_relu'", f"it with {phi!r}", "leave slope out")
        if not is_number(slope) or not np.isfinite(float(slope)):
            way_out = "ReLU has 0, torch's LeakyReLU 0.01"
            raise wrong("slope", "be a finite number", repr(slope), way_out)
        return PiecewiseLinear(float(slope), f"leaky_relu({float(slope):g})")
    if derivative is not None and isinstance(phi, str | Activation):
        way_out = "leave derivative out"
        raise wrong("derivative", "come with a function", f"it with {phi!r}", way_out)
    if isinstance(phi, Activation):
        return phi
    if isinstance(phi, str):
        return _named(phi)
    if not callable(phi):
        raise wrong_type("activation", "be a name or a function", repr(phi), "try 'tanh'")
    return Smooth(phi, derivative, getattr(phi, "__name__", type(phi).__name__))


@cache
def _named(name: str) -> Activation:
    if name in CLOSED:
        return CLOSED[name]()
    if name in SMOOTH:
        return Smooth(*SMOOTH[name], name)
    raise unknown("activation", name, ACTIVATIONS)
