"""Means over pairs of inputs: of one class, of different classes, and what lies between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

ROUNDING = 1e-6


@dataclass(frozen=True)
class PairMean:
    """A mean over pairs of inputs.

    Attributes:
        mean: NaN where there is no pair.
        se: Its standard error by the jackknife over inputs, since pairs share inputs; NaN where a
            single input is in all pairs.
        pairs: How many.
    """

    mean: float
    se: float
    pairs: int


@dataclass(frozen=True)
class PairContrast:
    """A number of pairs, within classes and between them.

    Attributes:
        same, different: Means over pairs of one class, and of different classes.
        difference: Same minus different, with its own jackknife error.
        n: Number of inputs.
        chance: What random subspaces would give.
    """

    same: PairMean
    different: PairMean
    difference: PairMean
    n: int
    chance: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference, Student's t with n - 1 degrees of freedom."""
        half = float(stdtrit(max(self.n - 1, 1), 0.975)) * self.difference.se
        return self.difference.mean - half, self.difference.mean + half

    @property
    def verdict(self) -> str:
        """Within classes: ``"higher"`` or ``"lower"``, else ``"not distinguishable"``.

        So is a difference below 1e-6 of the means, the rounding of float32 vectors. ``"not known"``
        where one of the two has no pair, or no error.
        """
        low, high = self.interval
        if not np.isfinite(low):
            return "not known"
        size = max(abs(self.same.mean), abs(self.different.mean))
        if abs(self.difference.mean) <= ROUNDING * size:
            return "not distinguishable"
        return "higher" if low > 0 else "lower" if high < 0 else "not distinguishable"


def pair_contrast(values: np.ndarray, classes: Sequence[int], chance: float) -> PairContrast:
    """Means of a symmetric matrix over pairs of one class and of different ones.

    Args:
        values: ``(N, N)``; a pair that is NaN is left out.
        classes: Class of each input, ``(N,)``.
        chance: What random subspaces would give.

    Source: Efron & Stein, The jackknife estimate of variance, Ann. Statist. 9 (1981).
    """
    n, own = len(values), np.asarray(classes)
    alike = own[:, None] == own
    known = np.isfinite(values) & ~np.eye(n, dtype=bool)
    masks = known & alike, known & ~alike
    filled = np.where(known, values, 0.0)
    sums = np.array([_without_each(filled * mask) for mask in masks])
    counts = np.array([_without_each(mask.astype(float)) for mask in masks])
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(
            counts > 0, sums / counts, np.nan
        )  # (2, N + 1): of all, then without each input
    pairs = (counts[:, 0] / 2).round().astype(int).tolist()
    same, different = (_jackknifed(m, p) for m, p in zip(means, pairs, strict=True))
    return PairContrast(same, different, _jackknifed(means[0] - means[1], sum(pairs)), n, chance)


def _without_each(matrix: np.ndarray) -> np.ndarray:
    """The sum of a symmetric matrix without diagonal, and without row and column i for each i."""
    total = matrix.sum()
    return np.array([total, *(total - 2 * matrix.sum(1))])


def _jackknifed(means: np.ndarray, pairs: int) -> PairMean:
    n, without = len(means) - 1, means[1:]
    se = float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
    return PairMean(float(means[0]), se, pairs)
