"""The Fisher matrix of a softmax output, bounded by the order parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...results import Shown, wrong
from ._activations import real_array
from ._order import OrderParameters
from ._spectrum import over


@dataclass(frozen=True)
class CrossEntropyStatistics(Shown):
    """Eigenvalues of ``F = (1/T) sum_t sum_kk' grad f_k Q_t[k,k'] grad f_k'^T`` in the wide limit.

    ``Q_t = diag(g_t) - g_t g_t^T`` of the softmax outputs ``g_t``. Mean over samples; it is the
    Gauss-Newton matrix of the mean cross-entropy, the Hessian where predictions equal targets.

    Attributes:
        mean: ``tr F / P``. second_moment: ``tr F^2 / P``, with ``P = alpha M^2``.
        lower: Bound on ``lambda_max`` from below. upper: from above.
        limit_low: ``2 / upper``: gradient descent below it is stable. limit_high: ``2 / lower``.
    """

    mean: float
    second_moment: float
    lower: float
    upper: float
    limit_low: float
    limit_high: float


def cross_entropy_bounds(
    order: OrderParameters, probabilities: ArrayLike
) -> CrossEntropyStatistics:
    """Statistics and bounds for the mean cross-entropy, given the softmax outputs.

    Args:
        order: Order parameters of the network up to its logits.
        probabilities: ``(T, C)``, softmax outputs of the T samples.

    Raises:
        UsageError: Another number of outputs, or rows that are no probabilities.

    The bounds hold for the kernel of the wide limit; at finite width one network scatters by about
    20 %. Derived from Karakida, Akaho, Amari 2021 (arXiv 1910.05992). Cost: ``O(T C^2 + C^3)``.
    """
    g, way_out = real_array("probabilities", probabilities), "pass the softmax of the outputs"
    if g.ndim != 2 or g.shape[1] != order.outputs or len(g) < 1:
        raise wrong("probabilities", f"have shape (T, {order.outputs})", g.shape, way_out)
    if not (np.all(g >= 0) and np.allclose(g.sum(axis=1), 1, atol=1e-3)):
        raise wrong("probabilities", "be at least 0 with rows of sum 1", "others", way_out)
    t = len(g)
    k1, k2 = order.kernel
    parameters = order.alpha * order.reference_width * order.reference_width
    mean_q = np.diag(g.mean(axis=0)) - g.T @ g / t
    squares = (g**2).sum(axis=1)
    own = float((squares - 2 * (g**3).sum(axis=1) + squares**2).sum()) / t**2
    between = float((mean_q**2).sum()) - own  # tr Q_s Q_t over pairs s != t, over T^2
    largest_q = float(np.linalg.eigvalsh(mean_q)[-1])
    sharpest = max(float(np.linalg.eigvalsh(np.diag(row) - np.outer(row, row))[-1]) for row in g)
    lower = k2 * largest_q
    upper = lower + (k1 - k2) / t * sharpest
    return CrossEntropyStatistics(
        mean=k1 * float(1 - squares.mean()) / parameters,
        second_moment=(k2**2 * between + k1**2 * own) / parameters,
        lower=lower,
        upper=upper,
        limit_low=over(2, upper),
        limit_high=over(2, lower),
    )
