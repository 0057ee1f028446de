"""Whether directions of large singular values are local, and those of small ones spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from ._summary import Estimate, estimate


@dataclass(frozen=True)
class Locality:
    """The area of right singular vectors against their index, over inputs.

    Attributes:
        first, last: Area of the vector of the largest, and of the smallest computed value above
            the floor.
        holds: Inputs where the first covers less than the last. n: Inputs.
        interval: 95 % interval of the share of inputs where it holds (Wilson's score).
        correlation: Spearman's rank correlation of area and index, over inputs: 1 where each vector
            covers more than the one before.
    """

    first: Estimate
    last: Estimate
    holds: int
    n: int
    interval: tuple[float, float]
    correlation: Estimate

    @property
    def share(self) -> float:
        """Share of inputs where the first covers less than the last."""
        return self.holds / self.n


def locality(areas: Sequence[np.ndarray]) -> Locality:
    """From the areas at each input, in order of falling value."""
    first, last = (np.array([float(a[at]) for a in areas]) for at in (0, -1))
    holds, n = int((first < last).sum()), len(areas)
    correlations = np.array([_spearman(a) for a in areas])
    interval = wilson(holds, n)
    return Locality(estimate(first), estimate(last), holds, n, interval, estimate(correlations))


def wilson(count: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share of which ``count`` of ``n`` were seen.

    ``count`` may be broken: the sum of the shares of n groups, each counted as one.

    Source: Wilson, JASA 1927.
    """
    z = float(ndtri(0.5 + level / 2))
    middle = (count + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * (count * (n - count) / n + z**2 / 4) ** 0.5
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return (low if count > 0 else 0.0), (high if count < n else 1.0)  # without rounding


def _spearman(values: np.ndarray) -> float:
    """Rank correlation of values with their index; NaN where all are equal."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    if len(count) < 2:
        return float("nan")
    ranks = (np.cumsum(count) - count / 2)[place]  # equal values share the mean of their ranks
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])
