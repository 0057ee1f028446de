"""Order and chaos in deep random networks: fixed points, their slopes, depth scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from ...results import Shown, check_at_least, is_number, wrong
from ._activations import Activation, Array, positive
from ._named import ActivationLike, activation
from ._order import forward, per_layer

GROWTH = 1.2  # step of the search for a sign change, as a ratio
HUGE, TINY = 1e8, 1e-12  # variances beyond which the search for a fixed point ends
EDGE_MOST = 1e4  # the same for the edge of chaos
SAME = 1e-9  # slopes this close to 1 count as 1


@dataclass(frozen=True)
class Criticality(Shown):
    """Where a deep network of equal wide layers drives variance and correlation.

    Attributes:
        activation: Name. weight_variance: ``sigma_w^2``. bias_variance: ``sigma_b^2``.
        q_star: Fixed point of the variance map ``q -> sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2``
            that the start leads to; inf where the variance grows without bound.
        variance_slope: Slope of the variance map there.
        chi_1: Slope of the correlation map at correlation 1, ``sigma_w^2 E[phi'(sqrt(q_star)
            z)^2]``: also the mean squared singular value of a layer, and the factor of squared
            gradients per layer. Below 1 ordered, above 1 chaotic.
        c_star: Stable fixed point of the correlation map: 1 where ``chi_1 <= 1``.
        correlation_slope: Slope of the correlation map at ``c_star``.
        xi_q, xi_c: Depth scales in layers, ``-1 / ln(slope)``, over which variance and correlation
            settle; inf where the slope is 1 (slower than any exponential) or above (never).
        phase: ``"ordered"``, ``"critical"``, ``"chaotic"``, or ``"unbounded"`` where the variance
            has no fixed point at which to take ``chi_1``.
        reason: Which numbers are NaN and why; empty where none is.
    """

    activation: str
    weight_variance: float
    bias_variance: float
    q_star: float
    variance_slope: float
    chi_1: float
    c_star: float
    correlation_slope: float
    xi_q: float
    xi_c: float
    phase: str
    reason: str = ""

    def mean_squared_singular_value(self, depth: int = 1) -> float:
        """Of the Jacobian of ``depth`` layers at the fixed point: ``chi_1^depth``.

        The mean is over the outputs of the last: ``tr(J J^T) / M``, J = df/dx.
        """
        return float(self.chi_1**depth)


@dataclass(frozen=True)
class EdgeOfChaos(Shown):
    """The weight variance at which ``chi_1 = 1``.

    Attributes:
        weight_variance: ``sigma_w^2``. bias_variance: ``sigma_b^2``.
        q_star: Fixed point of the variance there; 0 for tanh-like activations without biases;
            inf where ``chi_1`` does not depend on the variance, which then has no fixed point
            (ReLU with biases); NaN where every variance is one (ReLU without biases).
        variance_slope: Slope of the variance map at ``q_star``.
    """

    weight_variance: float
    bias_variance: float
    q_star: float
    variance_slope: float


def criticality(
    phi: ActivationLike, weight_variance: float, bias_variance: float = 0.0, *, start: float = 1.0
) -> Criticality:
    """Fixed points of the maps of variance and correlation, their slopes and depth scales.

    Args:
        phi: Activation, see ``activation``.
        weight_variance: ``sigma_w^2``, above 0: variance of a weight times fan-in.
        bias_variance: ``sigma_b^2``.
        start: Variance of a unit's input at the first layer. It chooses among several fixed
            points, and is the fixed point itself where all are (ReLU at 2, 0).

    Raises:
        UsageError: Variances that no network has.

    Source: Poole et al. 2016 (arXiv 1606.05340); Schoenholz et al. 2017 (arXiv 1611.01232), depth
    scales; Pennington et al. 2017 (arXiv 1711.04735), singular values. Cost: milliseconds.
    """
    f = activation(phi)
    way_out = "tanh has its edge of chaos from 1 on"
    w = positive("weight_variance", weight_variance, "be above 0", way_out)
    b = float(per_layer("bias_variance", bias_variance, 1)[0])
    start = positive("start", start, "be a variance above 0", "inputs of unit variance: 1")
    q = _fixed_variance(f, w, b, start)
    if np.isinf(q) and not f.scale_free:
        nan = float("nan")
        reason = "the variance grows without bound: no fixed point to take slopes at"
        return Criticality(f.name, w, b, q, nan, nan, nan, nan, nan, nan, "unbounded", reason)
    at = q if np.isfinite(q) else 1.0  # a scale-free map has the same slopes everywhere
    chi = w * float(f.derivative_moment(at))
    growth = w * f.second_moment_rate(at)
    phase = "critical" if abs(chi - 1) <= SAME else "ordered" if chi < 1 else "chaotic"
    c, slope, reason = _fixed_correlation(f, w, b, q, chi)
    return Criticality(
        f.name, w, b, q, growth, chi, c, slope, _scale(growth), _scale(slope), phase, reason
    )


def edge_of_chaos(phi: ActivationLike, bias_variance: float = 0.0) -> EdgeOfChaos:
    """The ``sigma_w^2`` that makes ``chi_1 = 1`` for a given ``sigma_b^2``.

    The least variance ``q`` that solves ``(q - sigma_b^2) E[phi'^2] = E[phi^2]`` at a stable
    fixed point; then ``sigma_w^2 = 1 / E[phi'^2]``.

    Raises:
        UsageError: No such variance between 1e-6 and 1e4.

    Source: Schoenholz et al. 2017, section 3; Hayou et al. 2019 (arXiv 1902.06853).
    """
    f = activation(phi)
    b = float(per_layer("bias_variance", bias_variance, 1)[0])
    if f.scale_free:
        w = 1 / float(f.derivative_moment(1.0))
        return EdgeOfChaos(w, b, np.inf if b else np.nan, w * f.second_moment_rate(1.0))
    at_zero = float(f.derivative_moment(0.0))
    if b == 0 and float(f.second_moment(0.0)) == 0 and at_zero > 0:
        slope = f.second_moment_rate(1e-6) / at_zero  # beside 0: does the variance fall back?
        if slope <= 1:
            return EdgeOfChaos(1 / at_zero, b, 0.0, 1.0)
    excess = 1e-6  # q - sigma_b^2
    while excess < EDGE_MOST:
        if _beyond_edge(f, b, excess) < 0 <= _beyond_edge(f, b, excess * GROWTH):
            root = float(brentq(lambda e: _beyond_edge(f, b, e), excess, excess * GROWTH))
            w = 1 / float(f.derivative_moment(b + root))
            slope = w * f.second_moment_rate(b + root)
            if slope <= 1 + 1e-6:
                return EdgeOfChaos(w, b, b + root, slope)
        excess *= GROWTH
    got = f"none for {f.name} with variances up to {EDGE_MOST:g}"
    way_out = "read chi_1 from criticality at the variances you have"
    raise wrong("phi", f"have an edge of chaos at {{bias_variance}} {b:g}", got, way_out)


def edge_at(phi: ActivationLike, q_star: float) -> EdgeOfChaos:
    """The critical point that holds a given variance: the inverse of ``edge_of_chaos``.

    ``sigma_w^2 = 1 / E[phi'^2]`` and ``sigma_b^2 = q* - sigma_w^2 E[phi^2]`` at variance ``q*``.
    Scale-free activations without biases hold every variance at one and the same point.

    Raises:
        UsageError: No fixed point there, or one that the variance does not return to.

    Source: Schoenholz et al. 2017, section 3; Pennington et al. 2017 (arXiv 1711.04735), for why
    small variances suit deep networks.
    """
    f = activation(phi)
    q_star = positive("q_star", q_star, "be a variance above 0", "0.1 suits deep tanh networks")
    w = 1 / float(f.derivative_moment(q_star))
    b = q_star - w * float(f.second_moment(q_star))
    slope = w * f.second_moment_rate(q_star)
    b = 0.0 if abs(b) <= SAME * q_star else b
    if b < 0 or not slope <= 1 + 1e-6:
        rule = f"have a critical point that holds the variance {q_star:g}"
        got = f"sigma_b^2 = {b:.3g} and slope {slope:.3g} for {f.name}"
        way_out = ["choose another {q_star}", "scale the network on its data"]
        raise wrong("phi", rule, got, way_out)
    return EdgeOfChaos(w, b, q_star, slope)


def propagate(
    phi: ActivationLike,
    weight_variance: float,
    bias_variance: float,
    depth: int,
    *,
    q: float = 1.0,
    c: float = 0.0,
) -> tuple[Array, Array]:
    """Variance and correlation of two inputs' states, layer by layer, in equal wide layers.

    Args:
        phi: Activation.
        weight_variance: ``sigma_w^2``.
        bias_variance: ``sigma_b^2``.
        depth: Layers.
        q: ``|x|^2 / d`` of both inputs.
        c: Correlation of the inputs, -1 to 1.

    Returns:
        ``q_1^l`` and ``q_2^l / q_1^l`` of the layers' inputs ``u^l``, l = 1..depth, ``(depth,)``.

    Raises:
        UsageError: ``c`` out of range, ``depth`` below 1, variances that no network has.
    """
    f = activation(phi)
    depth = check_at_least("depth", depth, 1, "pass the number of layers")
    if not (is_number(q) and is_number(c) and 0 < q < np.inf and -1 <= c <= 1):
        rule, way_out = "be a variance above 0 and a correlation", "pass q > 0 and c from -1 to 1"
        raise wrong("q and c", rule, (q, c), way_out)
    w = per_layer("weight_variance", weight_variance, depth)
    b = per_layer("bias_variance", bias_variance, depth)
    q1, q2, _, _ = forward((f,) * (depth - 1), w, b, q, q * c)
    return q1, np.divide(q2, q1, out=np.zeros(depth), where=q1 > 0)


def _fixed_variance(f: Activation, w: float, b: float, start: float) -> float:
    """Where the variance map leads from ``start``: the nearest fixed point on that side."""

    def rise(q: float) -> float:
        return w * float(f.second_moment(q)) + b - q

    here, first = start, rise(start)
    if abs(first) <= 1e-14 * start:
        return start
    factor = GROWTH if first > 0 else 1 / GROWTH
    while here < HUGE if first > 0 else here > TINY:
        there = here * factor
        if rise(there) * first <= 0:
            return float(brentq(rise, min(here, there), max(here, there), xtol=1e-300, rtol=1e-14))
        here = there
    return float("inf") if first > 0 else 0.0


def _fixed_correlation(
    f: Activation, w: float, b: float, q: float, chi: float
) -> tuple[float, float, str]:
    """Stable fixed point of the correlation map, the slope there, and why if there is none."""
    nan = float("nan")
    if q == 0:
        return nan, nan, "the variance falls to 0: states vanish, their correlation is undefined"
    if np.isinf(q):
        return nan, nan, "the variance grows without bound: correlations are not at a fixed point"
    if chi <= 1 + SAME:
        return 1.0, chi, ""

    def rise(c: float) -> float:  # convex in c, 0 at 1 and falling there when chi > 1
        return (w * float(f.second_moment(q, q, c * q)) + b) / q - c

    gap = 0.5
    while rise(1 - gap) >= 0 and gap > 1e-12:
        gap /= 4
    c = 0.0 if abs(rise(0.0)) < 1e-15 else float(brentq(rise, 0.0, 1 - gap, xtol=1e-15))
    return c, w * float(f.derivative_moment(q, q, c * q)), ""


def _beyond_edge(f: Activation, b: float, excess: float) -> float:
    """Above 0 where the fixed point ``b + excess`` is chaotic."""
    q = b + excess
    return excess * float(f.derivative_moment(q)) / float(f.second_moment(q)) - 1


def _scale(slope: float) -> float:
    """Layers over which a deviation falls by e."""
    if np.isnan(slope):
        return float("nan")
    if slope >= 1 - SAME:
        return float("inf")
    return float(-1 / np.log(abs(slope))) if slope else 0.0
