"""What holds at one overlap: free entropy, slope of the state evolution, errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ._channel import Array, Real
from ._checks import load, margin, overlap, together
from ._generalisation import angle, gibbs_angle, of_angle
from ._information import Information, of_gap


class Point(NamedTuple):
    """Numbers at overlaps, each of their shape.

    Attributes:
        free_entropy: ``Phi``. slope: Of the state evolution, ``dq_next / dq``. bayes_error,
            gibbs_error: On Gaussian test patterns. margin_error: Bayes, under the margin.
    """

    free_entropy: Array
    slope: Array
    bayes_error: Array
    gibbs_error: Array
    margin_error: Array


def free_entropy(q: ArrayLike, kappa: ArrayLike, alpha: ArrayLike, beta: ArrayLike) -> Array:
    """Replica-symmetric free entropy, per dimension N, in nats.

    ``Phi(q) = (q + log(1 - q)) / 2 + beta E[log Z_u] + alpha E[log Z_l]``: the log share of the
    sphere that is left to students which agree with all patterns. Its stationary points are the
    fixed points of the state evolution, its largest maximum is the state of equilibrium.

    Args:
        q: Overlap, 0 to below 1.
        kappa: Margin, 0 to 5.
        alpha: Labelled patterns over N, 0 to 1e5.
        beta: Unlabelled patterns over N, 0 to 1e5. All broadcast.

    Raises:
        UsageError: Arguments out of range.

    Source: replica method for the margin perceptron; tested against its stationary points and
    against instances (``gamp``).
    """
    found, k, a, b = together(
        q=overlap("q", q), kappa=margin("kappa", kappa), alpha=load("alpha", alpha),
        beta=load("beta", beta),
    )  # fmt: skip
    return entropy(found, 1 - found, a, b, of_gap(1 - found, k))


def entropy(q: Array, gap: Array, alpha: Real, beta: Real, at: Information) -> Array:
    """``Phi`` from averages that are there."""
    given = beta * at.unlabelled_entropy + alpha * at.labelled_entropy
    return np.asarray(0.5 * (q + np.log(gap)) + given)


def point(gap: Array, kappa: Real, alpha: Real, beta: Real) -> Point:
    """All of it at ``1 - q``."""
    q, at = 1 - gap, of_gap(gap, kappa)
    slope = gap**2 * (alpha * at.labelled_slope + beta * at.unlabelled_slope)
    psi = angle(q, gap)
    errors = psi / np.pi, gibbs_angle(gap) / np.pi, of_angle(psi, kappa)
    return Point(entropy(q, gap, alpha, beta, at), np.asarray(slope), *map(np.asarray, errors))
