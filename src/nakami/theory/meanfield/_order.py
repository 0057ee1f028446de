"""Order parameters of a wide random fully connected network, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ...results import Shown, counted, is_number, is_whole, wrong
from ._activations import Activation, Array, real_array
from ._named import ActivationLike, activation

Variances = float | Sequence[float] | Array


@dataclass(frozen=True)
class StartValues:
    """What the theory knows of the inputs.

    Attributes:
        same: ``q_hat_1^0``, mean over inputs of ``|x|^2 / d``.
        other: ``q_hat_2^0``, mean over pairs of two different inputs of ``x_s . x_t / d``.
        samples: Inputs they were measured on; None where they were given.
    """

    same: float = 1.0
    other: float = 0.0
    samples: int | None = None


@dataclass(frozen=True, repr=False)
class OrderParameters(Shown):
    """Order parameters by layer. Index 1: one input twice; index 2: two different inputs.

    Attributes:
        widths: ``(M_0, ..., M_{L-1}, C)``, inputs, hidden layers, outputs.
        activations: Those of the hidden layers, ``L - 1``.
        weight_variance: ``sigma_w^2`` of layers 1..L, ``(L,)``: variance of a weight times fan-in.
        bias_variance: ``sigma_b^2`` of layers 1..L, ``(L,)``.
        q1: Mean square of a unit's input ``u^l``, l = 1..L, ``(L,)``. q2: its covariance between
            two inputs.
        q_hat1: ``|h^l|^2 / M_l``, l = 0..L-1, ``(L,)``. q_hat2: ``h^l(s) . h^l(t) / M_l``.
        q_tilde1: ``|d f_k / d u^l|^2``, l = 1..L, ``(L,)``. q_tilde2: the same between two inputs.
        layer_gain: Mean squared singular value of each layer, l = 1..L, ``(L,)``: ``sigma_w^2
            E[phi'(u^l)^2]`` (chi_1 at the layer's own variance), the last ``sigma_w^2``.
        reference_width: ``M``, the largest hidden width; ``M_l = alpha_l M``.
    """

    columns: ClassVar[tuple[str, ...]] = (
        *("q1", "q2", "q_hat1", "q_hat2", "q_tilde1", "q_tilde2"),
        "layer_gain",
    )
    widths: tuple[int, ...]
    activations: tuple[Activation, ...]
    weight_variance: Array
    bias_variance: Array
    q1: Array
    q2: Array
    q_hat1: Array
    q_hat2: Array
    q_tilde1: Array
    q_tilde2: Array
    layer_gain: Array

    def __repr__(self) -> str:
        widths = ", ".join(map(str, self.widths))
        return f"OrderParameters(widths {widths}, end-to-end gain {self.end_to_end_gain:.4g})"

    @property
    def outputs(self) -> int:
        """``C``."""
        return self.widths[-1]

    @property
    def reference_width(self) -> int:
        """``M``, the largest hidden width."""
        return max(self.widths[1:-1])

    @property
    def alpha(self) -> float:
        """``sum_{l=1}^{L-1} alpha_l alpha_{l-1}``: parameters over ``M^2`` in the limit."""
        m = np.asarray(self.widths[:-1], np.float64) / self.reference_width
        return float(m[1:] @ m[:-1])

    @property
    def kappa1(self) -> float:
        """``sum_l alpha_{l-1} q_tilde_1^l q_hat_1^{l-1} / alpha``."""
        return self._kappa(self.q_tilde1 * self.q_hat1)

    @property
    def kappa2(self) -> float:
        """``sum_l alpha_{l-1} q_tilde_2^l q_hat_2^{l-1} / alpha``."""
        return self._kappa(self.q_tilde2 * self.q_hat2)

    @property
    def kernel(self) -> tuple[float, float]:
        """Tangent kernel of one output, of an input with itself and with another one."""
        size = self.alpha * self.reference_width
        return size * self.kappa1, size * self.kappa2

    @property
    def end_to_end_gain(self) -> float:
        """Squared singular values of ``df/dx``, sum over them divided by the outputs ``C``."""
        return float(np.prod(self.layer_gain))

    def _kappa(self, products: Array) -> float:
        shares = np.asarray(self.widths[:-1], np.float64) / self.reference_width
        return float(shares @ products) / self.alpha


def start_values(inputs: ArrayLike) -> StartValues:
    """Start values ``q_hat_1^0, q_hat_2^0`` of data, as averages over inputs and pairs.

    Args:
        inputs: ``(N, d)`` with N at least 2; more axes are flattened. What the first layer sees,
            in its unit.

    Raises:
        UsageError: Fewer than two inputs, or values that are not finite.

    Source: with ``S = sum_t x_t``: ``q_hat_1 = sum |x_t|^2 / (N d)`` and ``q_hat_2 = (|S|^2 - sum
    |x_t|^2) / (N (N - 1) d)``. Cost: one pass over the data.
    """
    x = np.asarray(inputs.detach().cpu() if hasattr(inputs, "detach") else inputs)
    if x.ndim < 2 or len(x) < 2 or x.dtype.kind not in "biuf":
        rule, got = "hold at least two examples (N, d) of real numbers", f"{x.shape} of {x.dtype}"
        raise wrong("inputs", rule, got, "pass two examples or more")
    x = x.reshape(len(x), -1)
    squares = float(np.einsum("td,td->", x, x, dtype=np.float64))
    total = x.sum(axis=0, dtype=np.float64)
    n, d = x.shape
    if not np.isfinite(squares):
        way_out = "pass inputs[np.isfinite(inputs).all(1)]"
        raise wrong("inputs", "be finite", "NaN or infinite values", way_out)
    other = (float(total @ total) - squares) / (d * n * (n - 1))
    return StartValues(squares / (d * n), other, n)


def order_parameters(
    widths: Sequence[int],
    phi: ActivationLike | Sequence[ActivationLike],
    weight_variance: Variances,
    bias_variance: Variances = 0.0,
    start: StartValues | tuple[float, float] = (1.0, 0.0),
) -> OrderParameters:
    """Order parameters of ``u^l = W^l h^{l-1} + b^l``, ``h^l = phi(u^l)``, linear output ``u^L``.

    Args:
        widths: ``(M_0, ..., M_{L-1}, C)``, with at least one hidden layer.
        phi: Activation (see ``activation``), or one for each hidden layer.
        weight_variance: ``sigma_w^2``: weights are ``N(0, sigma_w^2 / fan-in)``. One number, or one
            for each of the L layers.
        bias_variance: ``sigma_b^2``, likewise.
        start: ``(q_hat_1^0, q_hat_2^0)``; the default is inputs i.i.d. ``N(0, 1)``. For data:
            ``start_values(inputs)``.

    Raises:
        UsageError: Sizes, variances or start values that no network has.

    Source: Karakida, Akaho, Amari 2019 (AISTATS; arXiv 1806.01316), for infinite width. Layers may
    differ in width, variance and activation. Cost: milliseconds.
    """
    sizes, phis, w, b = check_network(widths, phi, weight_variance, bias_variance)
    q1, q2, h1, h2 = forward(phis, w, b, *check_start(start))
    slopes1 = np.array([f.derivative_moment(q) for f, q in zip(phis, q1[:-1], strict=True)])
    slopes2 = np.array(
        [f.derivative_moment(q, q, c) for f, q, c in zip(phis, q1[:-1], q2[:-1], strict=True)]
    )
    gain = w * np.append(slopes1, 1.0)
    return OrderParameters(
        sizes, phis, w, b, q1, q2, h1, h2, _back(w, slopes1), _back(w, slopes2), gain
    )


def forward(
    phis: Sequence[Activation], w: Array, b: Array, same: float, other: float
) -> tuple[Array, Array, Array, Array]:
    """``q_1^l, q_2^l`` for l = 1..L and ``q_hat_1^l, q_hat_2^l`` for l = 0..L-1, each ``(L,)``."""
    q1, q2, h1, h2 = [], [], [float(same)], [float(other)]
    for layer in range(len(w)):
        q1.append(float(w[layer] * h1[-1] + b[layer]))
        q2.append(float(np.clip(w[layer] * h2[-1] + b[layer], -q1[-1], q1[-1])))
        if layer < len(phis):
            h1.append(float(phis[layer].second_moment(q1[-1])))
            h2.append(float(phis[layer].second_moment(q1[-1], q1[-1], q2[-1])))
    return np.array(q1), np.array(q2), np.array(h1[: len(w)]), np.array(h2[: len(w)])


def per_layer(argument: str, values: Variances, depth: int) -> Array:
    """One number, or one for each layer, as ``(depth,)``."""
    array = real_array(argument, values)
    if array.ndim > 1 or (array.ndim == 1 and len(array) != depth):
        way_out = "pass one number for each layer"
        raise wrong(argument, f"be one number or {depth}", array.shape, way_out)
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise wrong(argument, "be finite and at least 0", values, "pass variances from 0 on")
    return np.array(np.broadcast_to(array, (depth,)))


def _back(w: Array, slopes: Array) -> Array:
    """``q_tilde^l``, l = 1..L, from the last layer, where it is 1."""
    factors = (w[1:] * slopes)[::-1]
    return np.concatenate([[1.0], np.cumprod(factors)])[::-1]


def check_network(
    widths: Sequence[int],
    phi: ActivationLike | Sequence[ActivationLike],
    weight_variance: Variances,
    bias_variance: Variances,
) -> tuple[tuple[int, ...], tuple[Activation, ...], Array, Array]:
    """Widths, an activation for each hidden layer, and variances for each layer."""
    sizes = tuple(widths) if isinstance(widths, Iterable) else (widths,)
    if len(sizes) < 3 or not all(is_whole(m) and m >= 1 for m in sizes):
        rule = "name inputs, hidden layers and outputs, whole numbers from 1 on"
        raise wrong("widths", rule, repr(widths), "for example (784, 500, 10)")
    depth = len(sizes) - 1
    given: Any = phi
    each = isinstance(given, (list, tuple))
    phis = [activation(f) for f in (given if each else [given])]
    if each and len(phis) != depth - 1:
        way_out = "pass one for each hidden layer"
        raise wrong("phi", f"name {counted(depth - 1, 'activation')}", len(phis), way_out)
    w = per_layer("weight_variance", weight_variance, depth)
    b = per_layer("bias_variance", bias_variance, depth)
    return tuple(map(int, sizes)), tuple(phis if each else phis * (depth - 1)), w, b


def check_start(start: object) -> tuple[float, float]:
    """The two start values, finite, of inputs that exist."""
    pair = (start.same, start.other) if isinstance(start, StartValues) else start
    pair = tuple(pair) if isinstance(pair, Iterable) else pair
    found = [float(x) if is_number(x) else np.nan for x in pair] if isinstance(pair, tuple) else []
    if len(found) == 2 and 0 < found[0] < np.inf and abs(found[1]) <= found[0] * (1 + 1e-9):
        return found[0], found[1]
    rule = "hold q_hat_1 > 0 and |q_hat_2| <= q_hat_1"
    raise wrong("start", rule, repr(pair), "pass (1, 0) for independent inputs of unit variance")
