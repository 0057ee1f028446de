"""Shares of decisions over inputs, with an interval that is open where all inputs agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._locality import wilson

BEYOND = 0.32  # as often a value lies beyond one standard error


@dataclass(frozen=True)
class Share:
    """A share of what is yes or no, over inputs.

    Attributes:
        mean: The share, from 0 to 1.
        low, high: 95 % interval of the share over inputs of this kind, by Wilson's score: 16 of 16
            is 0.81 to 1. Several draws at one input count as one, since they are not independent,
            so the interval is then rather too wide.
        n: Number of inputs.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """``0.94 (0.72 to 0.99)``."""
        return share_text(self.mean, self.low, self.high)

    def named(self, name: str) -> dict[str, Any]:
        """The numbers by name, as rows have them: ``name``, ``name_low``, ``name_high``."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


def share_of(samples: np.ndarray) -> Share:
    """From the share of each input, (N,)."""
    mean, n = float(np.mean(samples)), len(samples)
    low, high = wilson(n * mean, n) if math.isfinite(mean) else (math.nan, math.nan)
    return Share(mean, low, high, n)


def binomial_error(share: npt.ArrayLike, n: npt.ArrayLike) -> npt.NDArray[Any]:
    """The standard error of shares of ``n`` that were counted; a bound where all are alike.

    A share of 0 or 1 has a binomial standard error of 0, which says nothing; there it is the
    one-sided 68 % bound of how far the true share lies from it, ``1 - 0.32^(1/n)``.

    Args:
        share: In 0..1, NaN stays.
        n: How many were counted, from 1 on; broadcast with ``share``.

    Source: Clopper & Pearson, Biometrika 1934, for the bound.
    """
    share, n = np.asarray(share, dtype=float), np.asarray(n, dtype=float)
    alike = (share == 0) | (share == 1)
    return np.where(alike, 1 - BEYOND ** (1 / n), np.sqrt(share * (1 - share) / n))


def share_text(mean: float, low: float, high: float) -> str:
    """A share with its interval: ``1 (0.81 to 1)``; empty where nothing is known."""
    return f"{mean:.2g} ({low:.2g} to {high:.2g})" if math.isfinite(mean) else ""
