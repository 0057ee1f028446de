"""The curve ``beta(q)`` at one margin and alpha, cut where it turns."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

from ._channel import Array
from ._curve import other_load

LOWEST, HIGHEST, SCAN = -23.0, 32.0, 600  # of log(q / (1 - q)): q from 1e-10 to 1 - 1e-14


NEAR = 0.05  # below slope 1, where a peak between two nodes may pass it


def gap_of(x: Any) -> Array:
    """``1 - q`` of ``x = log(q / (1 - q))``."""
    return np.asarray(expit(-np.asarray(x)))


class Branches:
    """Fixed points of one margin and alpha.

    Attributes:
        ends: ``log(q / (1 - q))`` at the ends of monotone pieces of ``beta(q)``, increasing. Pieces
            0, 2, ... rise and are stable, pieces 1, 3, ... fall and are not.
        betas: ``beta`` there.
    """

    def __init__(self, kappa: float, alpha: float):
        self.kappa, self.alpha = kappa, alpha
        grid = np.linspace(LOWEST, HIGHEST, SCAN)
        excess = other_load(gap_of(grid), kappa, alpha)[1] - 1
        grid, excess = self._with_peak(grid, excess)
        turns = np.flatnonzero(excess[1:] * excess[:-1] < 0)
        inner = [float(brentq(self._excess, grid[i], grid[i + 1], xtol=1e-12)) for i in turns]
        first = [LOWEST - 1] if excess[0] > 0 else []  # falls at once
        self.ends = [*first, LOWEST, *inner, HIGHEST]
        self.betas = [self.beta(x) for x in self.ends]

    def beta(self, x: float) -> float:
        """``beta`` at ``log(q / (1 - q))``."""
        return float(other_load(gap_of(x), self.kappa, self.alpha)[0])

    def on(self, piece: int, beta: float) -> float:
        """The fixed point of ``beta`` on a piece, as ``log(q / (1 - q))``; beyond it the end."""
        low, high = self.ends[piece], self.ends[piece + 1]
        ends = self.betas[piece], self.betas[piece + 1]
        if not min(ends) < beta < max(ends):
            return low if (beta <= ends[0]) == (ends[0] <= ends[1]) else high
        return float(brentq(lambda x: self.beta(x) - beta, low, high, xtol=1e-12))

    def all(self, beta: float) -> list[float]:
        """Every fixed point of ``beta`` above q = 0, increasing."""
        pieces = enumerate(pairwise(self.betas))
        return [self.on(i, beta) for i, (a, b) in pieces if min(a, b) < beta <= max(a, b)]

    def _with_peak(self, grid: Array, excess: Array) -> tuple[Array, Array]:
        """Both with the peak between two nodes, where only that may be above 0."""
        i = 1 + int(np.argmax(excess[1:-1]))
        if not -NEAR < excess[i] < 0 or excess[i] < max(excess[i - 1], excess[i + 1]):
            return grid, excess
        bounds, rule = (grid[i - 1], grid[i + 1]), {"xatol": 1e-10}
        peak = minimize_scalar(
            lambda x: -self._excess(x), bounds=bounds, method="bounded", options=rule
        )
        at = i + (peak.x > grid[i])
        return np.insert(grid, at, peak.x), np.insert(excess, at, -peak.fun)

    def _excess(self, x: float) -> float:
        return float(other_load(gap_of(x), self.kappa, self.alpha)[1]) - 1
