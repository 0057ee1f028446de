"""What is known of the singular values that were not computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DOUBT = 0.025  # chance left out at each end of an interval


@dataclass(frozen=True)
class Remainder:
    """Sums over the singular values that were not computed, and how many of them lie above 1.

    Attributes:
        size: Number of values not computed, ``min(m, n) - k``.
        squares: Sum of their ``s^2``. fourths: sum of their ``s^4``.
        covariance: Of these two as means over the probes: variance of ``squares``, covariance,
            variance of ``fourths``. Zeros where ``exact``.
        above: Lower and upper bound of the number of them above 1, each a mean over the probes:
            no spectrum with the moments that were measured lies outside. The chance in the probes
            is not in them; ``above_interval`` adds it.
        exact: Whether all of it was computed, or bounded by the floor of the arithmetic, so that
            no chance is left.
        n_probes: Random probes behind the sums. n_deep: those behind ``above``; 0 where no count
            was open.
        steps: Lanczos steps of each deep probe.
        n_products: Columns multiplied by the matrix or its transpose.
        seed: Seed of the probes.
    """

    size: int
    squares: float = 0.0
    fourths: float = 0.0
    covariance: tuple[float, float, float] = (0.0, 0.0, 0.0)
    above: tuple[float, float] = (0.0, 0.0)
    exact: bool = True
    n_probes: int = 0
    n_deep: int = 0
    steps: int = 0
    n_products: int = 0
    seed: int = 0

    @property
    def above_interval(self) -> tuple[float, float]:
        """95 % interval of the number of values above 1, bounds and chance together.

        The share of a random direction in a space of ``c`` of ``d`` dimensions has a beta
        distribution of parameters ``c/2`` and ``(d - c)/2``; the interval holds each ``c`` for
        which what was seen is not too improbable.
        """
        if self.exact or not self.n_deep:
            return self.above
        low, high = (share / self.size for share in self.above)
        return (
            _count_at(self.size, self.n_deep, low, 1 - DOUBT),
            _count_at(self.size, self.n_deep, high, DOUBT),
        )

    def rank_interval(self, squares: float, fourths: float) -> tuple[float, float]:
        """95 % interval of ``(sum s^2)^2 / sum s^4``, given both sums over the computed values.

        By the first order of its logarithm, with Student's t of ``n_probes - 1`` degrees of
        freedom.
        """
        one, two = squares + self.squares, fourths + self.fourths
        if two <= 0:
            return 0.0, 0.0
        rank = one**2 / two
        if self.exact:
            return rank, rank
        from scipy.special import stdtrit

        x, y = 2 / one, -1 / two
        variance = x**2 * self.covariance[0] + 2 * x * y * self.covariance[1]
        variance += y**2 * self.covariance[2]
        half = float(stdtrit(self.n_probes - 1, 1 - DOUBT)) * max(0.0, variance) ** 0.5
        return rank * float(np.exp(-half)), rank * float(np.exp(half))

    def record(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def restore(cls, record: Mapping[str, Any]) -> Remainder:
        """The inverse of ``record``."""
        pairs = {name: tuple(record[name]) for name in ("covariance", "above")}
        return cls(**{**record, **pairs})


def _count_at(size: int, probes: int, share: float, level: float) -> float:
    """The dimension for which a share below the one seen has the chance ``level``."""
    from scipy.special import betainc

    if share <= 0:
        return 0.0
    if share >= 1:
        return float(size)
    low, high = 0.0, float(size)
    for _ in range(60):
        middle = (low + high) / 2
        below = betainc(probes * middle / 2, probes * (size - middle) / 2, share)
        low, high = (middle, high) if below > level else (low, middle)
    return (low + high) / 2
