"""The number of values above 1 as the start vectors of a Krylov run show it, at no product.

The vectors are random, and the shares that they have in the singular vectors found are known. What
is left of each is a random vector orthogonal to these, like a probe. Its bounds are those of the
whole vector less that share. They have to hold the values found too, which probes need not, so a
run far longer may be no better; the rule of Gauss that belongs to it foretells what probes would
show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ._step_bounds import lanczos, mass_above, quadrature
from .krylov._start_moments import StartMoments


class Bounds(NamedTuple):
    """Lower and upper bound of a number of values."""

    low: float
    high: float

    def open_share(self, found: int) -> float:
        """What they leave open, of the count with ``found`` values more."""
        return (self.high - self.low) / (found + (self.low + self.high) / 2)


@dataclass(frozen=True)
class Levels:
    """Squares in the unit of the moments: ``below`` and ``beyond`` 1, ends of the values.

    Attributes:
        below, beyond: 1, less and more what rounding may have moved a square by.
        rest: No square that was left out is larger.
        top: No square at all is.
    """

    below: float
    beyond: float
    rest: float
    top: float


def count_of_starts(moments: StartMoments, levels: Levels, size: int, rounding: float) -> Bounds:
    """Bounds of the number above 1 among ``size`` values left, means over the vectors."""
    pairs = []
    for (alpha, beta), known in zip(moments.runs, moments.known, strict=True):
        low = mass_above(alpha, beta, levels.beyond, levels.top)[0] - rounding * len(alpha)
        high = mass_above(alpha, beta, levels.below, levels.top)[1] + rounding * len(alpha)
        pairs.append([(share - known) / (1 - known) for share in (low, high)])
    low, high = np.clip(np.mean(pairs, axis=0), 0.0, 1.0)
    return Bounds(size * float(low), size * float(high))


def foretold(moments: StartMoments, levels: Levels, size: int) -> Callable[[int], Bounds | None]:
    """By steps: what so many of probes would show; None where the run is too short to tell."""
    runs = [_left(alpha, beta, levels.rest) for alpha, beta in moments.runs]

    def after(steps: int) -> Bounds | None:
        if any(len(alpha) <= steps for alpha, _ in runs):
            return None
        shares = [_shares(alpha[:steps], beta[:steps], levels) for alpha, beta in runs]
        low, high = np.mean(shares, axis=0)
        return Bounds(size * float(low), size * float(high))

    return after


def _shares(alpha: np.ndarray, beta: np.ndarray, levels: Levels) -> Sequence[float]:
    low = mass_above(alpha, beta, levels.beyond, levels.rest)[0]
    return low, mass_above(alpha, beta, levels.below, levels.rest)[1]


def _left(alpha: np.ndarray, beta: np.ndarray, end: float) -> tuple[np.ndarray, np.ndarray]:
    """The Lanczos run of the measure up to ``end``, as far as this run's rule of Gauss shows it."""
    points, masses = quadrature(alpha, beta[:-1])
    inside = points <= end
    masses = masses[inside]
    if not masses.sum():
        return alpha[:0], beta[:0]
    return lanczos(points[inside], masses / masses.sum())
