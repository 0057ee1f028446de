"""All that the theory says of one network before it is built, and how its rates go with width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import softmax

from ...results import Plotted, check_seed, counted, unknown
from ._activations import Array
from ._criticality import Criticality, criticality
from ._named import ActivationLike
from ._order import OrderParameters, StartValues, Variances, check_start, order_parameters
from ._softmax import CrossEntropyStatistics, cross_entropy_bounds
from ._spectrum import FisherStatistics, fisher_statistics, learning_rate, over

LOSSES = {"half": "half", "mse": "mean", "mse_sum": "sum", "cross_entropy": ""}
SCALES = 2.0 ** np.arange(-3, 3.5, 0.5)  # hidden widths of the map over those given
LEAST = 10  # narrowest network of the map
DRAWS, MOST = 20, 2**24  # draws of the outputs; numbers drawn in all


@dataclass(frozen=True)
class Rates:
    """Learning rates of plain gradient descent on all samples.

    Attributes:
        limit: Above it the sharpest direction grows for infinite width: ``2 / (a lambda_max)``; for
            cross-entropy ``2`` over the lower bound of ``lambda_max``.
        safe: The same with the upper end of ``lambda_max``: ``largest_edge``, at the widths given;
            for cross-entropy the upper bound.
        advised: 0.75 of ``safe``.
        fastest: ``2 / (a (lambda_max + lambda_b))``; None for cross-entropy.
    """

    limit: float
    safe: float
    advised: float
    fastest: float | None


@dataclass(frozen=True, repr=False)
class Prediction(Plotted):
    """Made by ``predict``.

    Attributes:
        order: Order parameters by layer.
        activation: Name. loss: one of ``LOSSES``. samples: T, all in one batch.
        start: What is known of the inputs.
        statistics: Eigenvalues of the Fisher matrix for squared error.
        softmax: The same for cross-entropy, means over ``draws`` of the outputs; None for squared
            error. softmax_sd: their standard deviations over the draws.
        draws: Draws of the outputs; 0 for squared error.
        rates: Learning rates at the widths given.
        widths: Largest hidden width of each network of the map, ``(W,)``.
        by_width: Learning rates of these networks, ``(W,)``, all hidden widths scaled alike.
        criticality: Where a deep network of such layers drives signals, or None where the weight
            variances of the hidden layers differ or are 0.
    """

    order: OrderParameters
    activation: str
    loss: str
    samples: int
    start: StartValues
    statistics: FisherStatistics
    softmax: CrossEntropyStatistics | None
    softmax_sd: CrossEntropyStatistics | None
    draws: int
    rates: Rates
    widths: tuple[int, ...]
    by_width: tuple[Rates, ...]
    criticality: Criticality | None

    def __repr__(self) -> str:
        widths = ", ".join(map(str, self.order.widths))
        return (
            f"Prediction({self.activation}, widths {widths}, {self.loss}, "
            f"{counted(self.samples, 'sample')}: limit {self.rates.limit:.4g}, "
            f"advised {self.rates.advised:.4g})"
        )

    def rows(self) -> list[dict[str, Any]]:
        """The order parameters, one flat dict for each layer."""
        return self.order.rows()

    @property
    def correlation(self) -> Array:
        """Correlation of two inputs' states, layers 0 to L, the outputs last, ``(L + 1,)``."""
        o = self.order
        same, other = np.append(o.q_hat1, o.q1[-1]), np.append(o.q_hat2, o.q2[-1])
        return np.divide(other, same, out=np.zeros_like(other), where=same > 0)


def predict(
    widths: Sequence[int],
    phi: ActivationLike,
    weight_variance: Variances,
    bias_variance: Variances = 0.0,
    *,
    samples: int,
    loss: str = "mse",
    start: StartValues | tuple[float, float] = (1.0, 0.0),
    seed: int = 0,
) -> Prediction:
    """Order parameters, Fisher eigenvalues and learning rates of a wide random network.

    Args:
        widths: ``(M_0, ..., M_{L-1}, C)``.
        phi: Activation of the hidden layers.
        weight_variance: ``sigma_w^2``.
        bias_variance: ``sigma_b^2``.
        samples: T, all in one batch.
        loss: ``"mse"`` and ``"mse_sum"``: torch's ``MSELoss``; ``"half"``: half the squared error,
            sum over outputs, mean over samples; ``"cross_entropy"``: mean, between two bounds.
        start: As for ``order_parameters``.
        seed: Of the outputs drawn for cross-entropy: Gaussian, with the variance and the covariance
            between inputs that the order parameters give.

    Raises:
        UsageError: As ``order_parameters`` and ``fisher_statistics``; an unknown loss.

    Source: as these, and ``cross_entropy_bounds``. Cost: milliseconds; for cross-entropy twenty
    times that of the bounds.
    """
    if not isinstance(loss, str) or loss not in LOSSES:
        raise unknown("loss", str(loss), LOSSES)
    seed = check_seed(seed)
    order = order_parameters(widths, phi, weight_variance, bias_variance, start)
    statistics = fisher_statistics(order, samples)
    drawn = _outputs(order, statistics.samples, seed) if loss == "cross_entropy" else []
    bounds = [cross_entropy_bounds(order, g) for g in drawn]
    wide = [replace(order, widths=sizes) for sizes in _map_widths(order)]
    mean = _over(bounds, np.mean) if bounds else None

    def rates(of: OrderParameters) -> Rates:
        if mean is None:
            return _rates(of, statistics.samples, loss)
        return _softmax_rates(of, order, mean)

    return Prediction(
        order=order,
        activation=order.activations[0].name,
        loss=loss,
        samples=statistics.samples,
        start=start if isinstance(start, StartValues) else StartValues(*check_start(start)),
        statistics=statistics,
        softmax=mean,
        softmax_sd=_over(bounds, np.std) if bounds else None,
        draws=len(bounds),
        rates=rates(order),
        widths=tuple(o.reference_width for o in wide),
        by_width=tuple(rates(o) for o in wide),
        criticality=_depth(order),
    )


def _rates(order: OrderParameters, samples: int, loss: str) -> Rates:
    found = learning_rate(order, samples, LOSSES[loss])
    largest, edge = found.statistics.largest, found.statistics.largest_edge
    safe = found.limit * largest / edge if edge else found.limit
    return Rates(found.limit, safe, found.advised, found.fastest)


def _softmax_rates(
    wide: OrderParameters, order: OrderParameters, at: CrossEntropyStatistics
) -> Rates:
    """Rates between the bounds, which are linear in the kernel's two values."""
    (own, other), (k1, k2) = wide.kernel, order.kernel
    lower = at.lower * other / k2 if k2 else 0.0
    upper = lower + ((at.upper - at.lower) * (own - other) / (k1 - k2) if k1 > k2 else 0.0)
    safe = over(2, upper)
    return Rates(over(2, lower), safe, 0.75 * safe, None)


def _outputs(order: OrderParameters, samples: int, seed: int) -> list[Array]:
    """Softmax outputs of random networks, each ``(T, C)``."""
    rng = np.random.default_rng(seed)
    shared = float(np.clip(order.q2[-1], 0.0, order.q1[-1]))
    draws = max(1, min(DRAWS, MOST // (samples * order.outputs)))
    own = (order.q1[-1] - shared) ** 0.5
    out = []
    for _ in range(draws):
        f = shared**0.5 * rng.standard_normal(order.outputs)
        f = f + own * rng.standard_normal((samples, order.outputs))
        out.append(np.asarray(softmax(f, axis=1)))
    return out


def _over(
    found: Sequence[CrossEntropyStatistics], how: Callable[[Any], Any]
) -> CrossEntropyStatistics:
    with np.errstate(invalid="ignore"):  # the deviation of limits that are all infinite
        columns = {k: float(how([vars(f)[k] for f in found])) for k in vars(found[0])}
    return replace(found[0], **columns)


def _map_widths(order: OrderParameters) -> list[tuple[int, ...]]:
    """The network's widths with the hidden ones scaled, the given ones among them."""
    first, *hidden, last = order.widths
    scaled = {(first, *(max(1, round(s * m)) for m in hidden), last) for s in SCALES}
    kept = [w for w in scaled if min(w[1:-1]) >= min(LEAST, *hidden)]
    return sorted(kept, key=lambda w: max(w[1:-1]))


def _depth(order: OrderParameters) -> Criticality | None:
    w, b = order.weight_variance[1:-1], order.bias_variance[1:-1]
    if len(w) == 0:
        w, b = order.weight_variance[:1], order.bias_variance[:1]
    phis = order.activations
    if np.ptp(w) or np.ptp(b) or len({f.name for f in phis}) > 1 or not w[0] > 0:
        return None
    return criticality(phis[0], float(w[0]), float(b[0]), start=max(float(order.q1[0]), 1e-12))
