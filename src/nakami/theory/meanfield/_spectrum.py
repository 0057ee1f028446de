"""Eigenvalues of the Fisher matrix of a wide random network, and the learning rates they allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...results import Shown, check_at_least, is_number, wrong
from ._activations import positive
from ._order import OrderParameters

INPUTS = "pass the number of inputs"


@dataclass(frozen=True)
class FisherStatistics(Shown):
    """Eigenvalues of ``F = (1/T) sum_t sum_k grad f_k(t) grad f_k(t)^T`` in the wide limit.

    Sum over outputs, mean over samples; parameters are the weights and biases themselves. Linear
    output, squared error. The nonzero eigenvalues are those of the tangent kernel over T.

    Attributes:
        mean: ``m_lambda = tr F / P``, with ``P = alpha M^2`` parameters.
        second_moment: ``s_lambda = tr F^2 / P``.
        largest: ``lambda_max``, where all C outliers meet for infinite width.
        largest_edge: Upper end of the outliers at the widths given. C gradients over M units are
            not quite orthogonal: each layer's share of ``largest`` is spread by ``(1 + sqrt(C sum_j
            1 / M_j))^2``, hidden layers j from that layer on. Derived for independent Gaussian
            factors, not proven; measured maxima lie at 0.85 to 1.2 of it on average, up to 1.4 for
            narrow ReLU networks (width 100).
        bulk: Mean of the eigenvalues that are neither outliers nor zero.
        n_outliers: Eigenvalues near ``largest``: one for each output, C.
        n_bulk: ``C (T - 1)``; the rest is zero.
        trace: ``tr F``; free of the count of parameters. trace_of_square: ``tr F^2``.
        samples: T. parameters: ``alpha M^2``, hidden layers' weights alone.
    """

    mean: float
    second_moment: float
    largest: float
    largest_edge: float
    bulk: float
    n_outliers: int
    n_bulk: int
    trace: float
    trace_of_square: float
    samples: int
    parameters: float


@dataclass(frozen=True)
class LearningRate(Shown):
    """Learning rates for ``a E``, ``E = (1/2T) sum_t |y_t - f_t|^2``, near zero residual.

    Attributes:
        limit: Stability limit: ``2 / (a lambda_max)`` for gradient descent, ``2 (1 + mu) / (a
            lambda_max)`` with momentum, ``2 (1 + mu) / ((1 + 2 mu) a lambda_max)`` for Nesterov's.
            It is local: with a finite residual training above it may still settle.
        advised: 0.75 of the limit at ``largest_edge``, which single networks exceed by up to a
            third (narrow ReLU networks by more: measure ``lambda_max`` there).
        fastest: ``2 / (a (lambda_max + lambda_b))``; None with momentum.
        factor: ``a``.
        statistics: Those of ``F`` for the batch.
    """

    limit: float
    advised: float
    fastest: float | None
    factor: float
    statistics: FisherStatistics


@dataclass(frozen=True)
class NormalisedOutput(Shown):
    """Largest eigenvalue of ``F`` with the last layer's outputs normalised over the samples.

    Attributes:
        largest: ``alpha M (kappa_1 - kappa_2) / T``, over ``output_variance``.
        edge: ``largest (1 + sqrt(T / M_0))^2``, where the bulk ends for Gaussian inputs.
            Derived for one random layer, not proven: measured values lie at 0.8 to 0.9 of it for
            tanh, 0.8 to 1.1 for ReLU, but at 1.1 to 1.6 for linear networks (L = 4), where every
            layer spreads the bulk again.
        output_variance: ``q_1^L - q_2^L`` without bias; 1 where only the mean is subtracted.
    """

    largest: float
    edge: float
    output_variance: float


def fisher_statistics(order: OrderParameters, samples: int) -> FisherStatistics:
    """Mean, second moment, maximum and bulk of the Fisher matrix' eigenvalues for T samples.

    In the limit the dual matrix has C equal blocks ``(alpha M / T) [(kappa_1 - kappa_2) I +
    kappa_2 1 1^T]``: C outliers and a bulk. Terms of relative order 1/M, the biases' gradients
    among them, are left out.

    Raises:
        UsageError: ``samples`` below 1.

    Source: Karakida, Akaho, Amari 2019, theorems 1 to 4 (finite T).
    """
    t = check_at_least("samples", samples, 1, INPUTS)
    (k1, k2), c = order.kernel, order.outputs
    parameters = order.alpha * order.reference_width * order.reference_width
    square = ((t - 1) / t * k2**2 + k1**2 / t) * c
    return FisherStatistics(
        mean=k1 * c / parameters,
        second_moment=square / parameters,
        largest=(t - 1) / t * k2 + k1 / t,
        largest_edge=_edge(order, t),
        bulk=(k1 - k2) / t,
        n_outliers=c,
        n_bulk=c * (t - 1),
        trace=k1 * c,
        trace_of_square=square,
        samples=t,
        parameters=parameters,
    )


def learning_rate(
    order: OrderParameters,
    batch: int,
    reduction: str | float = "half",
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> LearningRate:
    """The stability limit that the order parameters predict for a squared-error loss.

    Args:
        order: Order parameters.
        batch: Samples of a step: T for full batches, B for mini-batches (lambda_max of a batch).
        reduction: ``"half"``: half the squared error, sum over outputs, mean over samples (a =
            1). ``"mean"`` and ``"sum"``: torch's ``MSELoss`` (a = 2 / C and 2 B). A number: a.
        momentum: mu of ``v <- mu v + g, theta <- theta - eta v``, 0 to 1, 1 excluded.
        nesterov: With torch's Nesterov momentum.

    Raises:
        UsageError: Unknown reduction, momentum out of range.

    Source: Karakida, Akaho, Amari 2019, section 4, and the stability of the linear recurrence.
    """
    statistics = fisher_statistics(order, check_at_least("batch", batch, 1, INPUTS))
    factor = loss_factor(reduction, order.outputs, statistics.samples)
    if not is_number(momentum) or not 0 <= momentum < 1:
        raise wrong("momentum", "lie in [0, 1)", repr(momentum), "torch's usual value is 0.9")
    momentum = float(momentum)
    gain = (1 + momentum) / (1 + 2 * momentum if nesterov else 1)
    limit, edge = over(2 * gain, factor * statistics.largest), statistics.largest_edge
    advised = 0.75 * limit * statistics.largest / edge if edge else limit
    fastest = over(2, factor * (statistics.largest + statistics.bulk))
    return LearningRate(limit, advised, None if momentum else fastest, factor, statistics)


def loss_factor(reduction: str | float, outputs: int, batch: int) -> float:
    """``a`` where the loss is ``a E``, ``E = (1/2T) sum_t |y_t - f_t|^2``."""
    if isinstance(reduction, str):
        factors = {"half": 1.0, "mean": 2 / outputs, "sum": 2.0 * batch}
        if reduction not in factors:
            way_out = "pass one of them, or a number"
            raise wrong("reduction", f"be one of {tuple(factors)}", repr(reduction), way_out)
        return factors[reduction]
    return positive("reduction", reduction, "be above 0", "give the loss's factor a")


def over(above: float, below: float) -> float:
    """A rate as a quotient: inf where nothing curves."""
    return above / below if below > 0 else np.inf


def mean_subtracted(order: OrderParameters, samples: int) -> NormalisedOutput:
    """``lambda_max`` where each output's mean over the samples is subtracted.

    The outliers, whose eigenvectors are the average gradients, are projected out. The gradient
    must pass through the mean (training mode), else nothing changes.

    Source: Karakida, Akaho, Amari 2019 (NeurIPS; arXiv 1906.02926).
    """
    return _normalised(order, samples, 1.0)


def batch_normalised(order: OrderParameters, samples: int) -> NormalisedOutput:
    """``lambda_max`` with batch normalisation (scale 1, shift 0) behind the last layer.

    As ``mean_subtracted``, over the outputs' variance; that is one random number an output, which
    scatters by about 30 %. Gradients pass through mean and deviation (training mode).

    Raises:
        UsageError: The outputs do not differ between inputs in the limit.

    Source: Karakida, Akaho, Amari 2019 (NeurIPS; arXiv 1906.02926).
    """
    variance = float(order.weight_variance[-1] * (order.q_hat1[-1] - order.q_hat2[-1]))
    if not variance > 0:
        rule, way_out = "give outputs that differ between inputs", "give the weights some variance"
        raise wrong("order", rule, f"variance {variance:g}", way_out)
    return _normalised(order, samples, variance)


def _normalised(order: OrderParameters, samples: int, variance: float) -> NormalisedOutput:
    t = check_at_least("samples", samples, 1, INPUTS)
    largest = fisher_statistics(order, t).bulk / variance
    return NormalisedOutput(largest, largest * (1 + (t / order.widths[0]) ** 0.5) ** 2, variance)


def _edge(order: OrderParameters, t: int) -> float:
    """``lambda_max`` with each layer's share widened by the overlap of the C gradients."""
    widths = np.asarray(order.widths[:-1], np.float64)
    other, same = order.q_tilde2 * order.q_hat2, order.q_tilde1 * order.q_hat1
    shares = widths * ((t - 1) / t * other + same / t)
    behind = np.cumsum(np.append(0.0, 1 / widths[:0:-1]))[::-1]  # sum of 1 / M_j, j = l..L-1
    return float(shares @ (1 + np.sqrt(order.outputs * behind)) ** 2)
