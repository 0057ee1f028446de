"""The metric of the learning-rate protocol: final losses, the best rate of a grid, regret."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tasks import PROTOCOL

SCORE = PROTOCOL["score"]


def final_losses(losses: np.ndarray) -> np.ndarray:
    """Mean over the last ten steps, ``(..., steps) -> (...)``; infinite where a run diverged.

    Args:
        losses: Loss of each step; not finite from the step on at which a run ended.
    """
    ended = ~np.isfinite(losses).all(-1) | (losses > PROTOCOL["run"]["diverged_above"]).any(-1)
    last = losses[..., -SCORE["last_steps"] :].astype(np.float64)
    return np.where(ended, np.inf, np.where(np.isfinite(last), last, 0.0).mean(-1))


def log_losses(final: np.ndarray) -> np.ndarray:
    """Natural logarithm, at the protocol's floor."""
    return np.log(np.maximum(final, SCORE["floor"]))


def best_rate(final: np.ndarray) -> int:
    """Which rate has the smallest mean over seeds of log final loss, ``(seeds, rates)``."""
    curve = log_losses(final).mean(0)
    if not np.isfinite(curve).any():
        raise ValueError("final must hold a rate at which no seed diverged, got none.")
    return int(np.argmin(curve))  # the lower of two equal rates


@dataclass(frozen=True)
class Regret:
    """How much worse advice did than the best rate of the grid, in one case.

    Attributes:
        differences: Of log final loss, one a seed. mean: the regret.
        error: One standard error over seeds. passed: by the protocol's rule.
    """

    differences: tuple[float, ...]
    mean: float
    error: float
    passed: bool


def regret(advised: np.ndarray, final: np.ndarray) -> Regret:
    """Regret of final losses ``(seeds,)`` against those of the grid ``(seeds, rates)``.

    Advice that is refused, not finite or not positive has the final loss infinity.
    """
    with np.errstate(invalid="ignore"):
        differences = log_losses(advised) - log_losses(final[:, best_rate(final)])
    each = tuple(map(float, differences))
    if not np.isfinite(differences).all():
        return Regret(each, np.inf, np.inf, False)
    mean = float(differences.mean())
    error = float(differences.std(ddof=1) / len(differences) ** 0.5)
    allowed = max(SCORE["regret_passed"], SCORE["standard_errors_passed"] * error)
    return Regret(each, mean, error, mean <= allowed)
