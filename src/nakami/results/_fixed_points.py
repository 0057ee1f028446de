"""Fixed points of a recurrent net at one constant input, and how their search ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._outcome import Ended, Ending, Outcome

Array = npt.NDArray[Any]
DISTINCT = "{distinct} distinct fixed {distinct:point|points}, from {reached} of {starts} starts"
MORE = "{given:|; pass states= of real trajectories as starts}"
LOST = "; the others did not settle in {steps} Newton steps" + MORE

MISSED = "none of {starts} starts settled in {steps} Newton steps"
STOPPED = "came to a = {a:.4g} of 1 with {jacobians} Jacobians"


class FixedPointEnding(Ending):
    """How a search ended.

    Numbers: ``distinct, reached, starts, steps, given``; of a continuation ``a`` and ``jacobians``.
    """

    FOUND = True, DISTINCT
    SOME_LOST = True, DISTINCT + LOST
    CONTINUED = True, "1 fixed point, by continuation ({jacobians} Jacobians); " + MISSED
    NOT_REACHED = False, MISSED + ", and the continuation " + STOPPED + MORE
    NONE = False, MISSED + MORE


@dataclass(frozen=True)
class FixedPoints(Ended):
    """Fixed points for one constant input, the most stable first; made by ``fixed_points``.

    Attributes:
        points: Shape (n, S).
        residuals: ``|F(h) - h|``, shape (n,).
        errors: Distance to the true point to first order, ``|(J - I)^-1 (F(h) - h)|``, shape (n,).
        eigenvalues: Of the Jacobian there, by falling modulus, shape (n, S), complex.
        starts: How many starts each was reached from, shape (n,). Not the size of its basin:
            Newton's method reaches saddles too. 0 for a point found by continuation.
        seed: Of the random starts.
        outcome: How the search ended, a ``FixedPointEnding``; gives ``converged`` and ``reason``.
            No search proves that there are no others.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "radii", "errors", "unstable_directions", "starts",
    )  # fmt: skip
    points: Array
    residuals: Array
    errors: Array
    eigenvalues: Array
    starts: Array
    seed: int
    outcome: Outcome

    @property
    def radii(self) -> Array:
        """Spectral radius of the Jacobian at each point."""
        return np.asarray(np.abs(self.eigenvalues).max(axis=1, initial=0.0))

    @property
    def stable(self) -> Array:
        """Whether small deviations die out at each point: spectral radius below 1."""
        return np.asarray(self.radii < 1)

    @property
    def unstable_directions(self) -> Array:
        """Eigenvalues of modulus above 1 at each point: 0 is a stable point, others saddles."""
        return np.asarray((np.abs(self.eigenvalues) > 1).sum(axis=1))

    @property
    def margins(self) -> Array:
        """Distance of each point's spectral radius from 1, above 0 where stable."""
        return np.asarray(1 - self.radii)

    @property
    def crossings(self) -> tuple[str, ...]:
        """The bifurcation that each point's leading eigenvalue would make or has made at modulus 1.

        ``real`` (at 1: points appear, vanish or branch), ``flip`` (at -1: period doubling) or
        ``rotation`` (a pair: a circle, Neimark-Sacker).
        """
        leading = self.eigenvalues[:, 0] if self.eigenvalues.size else np.zeros(0)
        turned = np.abs(leading.imag) > 1e-9 * np.abs(leading)
        named = zip(turned, leading.real, strict=True)
        return tuple("rotation" if t else "real" if real >= 0 else "flip" for t, real in named)
