"""Every fixed point of the state evolution at one margin and one number of patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...results import Shown
from ._branches import Branches, gap_of
from ._channel import Array, Flags
from ._checks import one_load, one_margin
from ._information import gains
from ._point import point


@dataclass(frozen=True, repr=False)
class PhaseFixedPoints(Shown):
    """Fixed points by overlap, the smallest first; arrays are ``(count,)``.

    Attributes:
        kappa, alpha, beta: The parameters.
        q: Overlaps. gap: ``1 - q``. stable: Whether the state evolution stays near.
        free_entropy: ``Phi(q)``, nats per N. slope: ``dq_next / dq``.
        bayes_error, gibbs_error, margin_error: See ``StateEvolution``.
        residual: ``|q_hat / (1 + q_hat) - q|``.
        equilibrium: Index of the largest free entropy: what a sample of the posterior shows.
    """

    columns: ClassVar[tuple[str, ...]] = (
        *("q", "stable", "free_entropy", "slope"),
        *("bayes_error", "gibbs_error", "margin_error", "residual"),
    )
    kappa: float
    alpha: float
    beta: float
    q: Array
    gap: Array
    stable: Flags
    free_entropy: Array
    slope: Array
    bayes_error: Array
    gibbs_error: Array
    margin_error: Array
    residual: Array
    equilibrium: int

    def __repr__(self) -> str:
        states = ", ".join(
            f"{q:.4g}{'' if s else ' (unstable)'}" for q, s in zip(self.q, self.stable, strict=True)
        )
        return f"PhaseFixedPoints(q {states}; equilibrium {self.q[self.equilibrium]:.4g})"


def fixed_points(kappa: float, alpha: float, beta: float) -> PhaseFixedPoints:
    """All solutions of ``q / (1 - q) = beta A(q) + alpha B(q)``, unstable ones too.

    Args:
        kappa: Margin, 0.0001 to 5.
        alpha: Labelled patterns over N, 0 to 1e5.
        beta: Unlabelled ones, 0 to 1e5.

    Returns:
        One, two or three of them. At ``alpha = 0`` the first is ``q = 0``, where nothing is known.

    Raises:
        UsageError: Arguments out of range, or more than one value.

    Cost: 0.1 s. Source: roots between the turning points of ``beta(q)``.
    """
    k, a, b = one_margin("kappa", kappa), one_load("alpha", alpha), one_load("beta", beta)
    branches = Branches(k, a)
    found = np.array([float(gap_of(x)) for x in branches.all(b)])
    gap = found if a > 0 and b > branches.betas[0] else np.append(1.0, found)
    at = point(gap, k, a, b)
    stable = at.slope < 1
    return PhaseFixedPoints(
        k, a, b, 1 - gap, gap, stable, at.free_entropy, at.slope, at.bayes_error, at.gibbs_error,
        at.margin_error, _residual(gap, k, a, b), int(np.argmax(at.free_entropy)),
    )  # fmt: skip


def _residual(gap: Array, kappa: float, alpha: float, beta: float) -> Array:
    of_u, of_l, _, _ = gains(gap, kappa)
    return np.asarray(np.abs(1 / (1 + beta * of_u + alpha * of_l) - gap))
