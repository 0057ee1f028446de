"""The curve of steps against batch (McCandlish et al. 2018, arXiv 1812.06162)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

BEYOND = 64.0  # how far outside the batches that were run the fit may look for a critical one
SEEN = 4.0  # how far outside them it may lie and count as known


@dataclass(frozen=True)
class Fit:
    """``S = S_min (1 + B_crit / B)`` by least squares of log S.

    Attributes:
        s_min: Steps. b_crit: examples. factor: one standard error of B_crit, as a factor; inf where
            there are no residuals to tell.
        at_least: The least B_crit whose sum of squares, S_min fitted anew, exceeds the smallest one
            by four times its share of a degree of freedom (two standard errors).
        residual: Root mean square of log S less the curve.
        inside: Whether B_crit lies where the batches can tell it.
    """

    s_min: float
    b_crit: float
    factor: float
    at_least: float
    residual: float
    inside: bool

    def steps(self, batch: float) -> float:
        """Of the curve at a batch."""
        return self.s_min * (1 + self.b_crit / batch)


def fit(batches: np.ndarray, steps: np.ndarray) -> Fit:
    """The curve through steps to a loss at some batches, at least two of them different."""
    batches, logs = np.asarray(batches, float), np.log(np.asarray(steps, float))
    low, high = np.log(batches.min() / BEYOND), np.log(batches.max() * BEYOND)

    def away(of: np.ndarray) -> np.ndarray:
        return of[0] + np.log1p(np.exp(of[1]) / batches) - logs

    begun = np.log([np.exp(logs.min()), np.exp(np.log(batches).mean())])
    found = least_squares(away, begun, bounds=([-np.inf, low], [np.inf, high]))
    degrees = max(1, len(logs) - 2)
    square, error = float((found.fun**2).sum()), np.inf
    if len(logs) > 2 and np.linalg.cond(found.jac) < 1e8:
        error = float(np.sqrt(np.linalg.inv(found.jac.T @ found.jac)[1, 1] * square / degrees))
    tried = np.linspace(low, found.x[1], 400)
    left = logs - np.log1p(np.exp(tried)[:, None] / batches)
    allowed = left.var(1) * len(logs) <= square * (1 + 4 / degrees) + 1e-12
    return Fit(
        float(np.exp(found.x[0])), float(np.exp(found.x[1])), float(np.exp(min(error, 700.0))),
        float(np.exp(tried[allowed].min(initial=found.x[1]))), float(np.sqrt(square / len(logs))),
        bool(np.log(batches.min() / SEEN) < found.x[1] < np.log(batches.max() * SEEN)),
    )  # fmt: skip
