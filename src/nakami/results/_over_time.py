"""Singular values of a recurrent net's state by time steps: time read as depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._errors import unknown
from ._shown import Shown
from ._summary import Estimate, estimate

Array = npt.NDArray[Any]
SOURCES = ("state", "first input", "inputs")
LEFT = 0.1  # share of a difference that counts as surviving
BOUNDED = ("above_1", "above_0.1", "effective_rank")  # by values that were not computed


@dataclass(frozen=True, repr=False)
class SpectraOverTime(Shown):
    """Spectra of the state after t steps; made by ``spectra_over_time``.

    The Jacobians of the state ``h_t``: by the state before the first step (``"state"``), by the
    first input (``"first input"``) and by all inputs up to t (``"inputs"``).

    Attributes:
        steps: The times t, shape (T,), rising.
        sizes: Smaller side of each Jacobian, shape (3, T): how many values there are.
        values: Shape (3, n, T, k), float64, largest first: sources in the order of ``SOURCES``,
            sequences, times. NaN where there are fewer.
        errors: Relative error of each, likewise.
        floors: Smallest value told from zero, shape (3, n, T).
        converged: Whether all values above 1e-8 of the largest are right to 1e-4, shape (3, n, T).
    """

    columns: ClassVar[tuple[str, ...]] = ()
    steps: Array
    sizes: Array
    values: Array
    errors: Array
    floors: Array
    converged: Array

    def __repr__(self) -> str:
        n, times = self.values.shape[1], ", ".join(map(str, self.steps))
        return f"SpectraOverTime({n} sequences, after {times} steps)"

    def of(self, source: str = "state") -> Array:
        """Values of one source, (n, T, k)."""
        found: Array = self.values[self._source(source)]
        return found

    def above(self, level: float = LEFT, source: str = "state") -> list[Estimate]:
        """How many values lie above a level, by time: mean over sequences with its error.

        With the default, of how many directions more than a tenth of a difference is left. A lower
        bound where not all values were computed and the last one is above the level.
        """
        values, sizes = self.of(source), self.sizes[self._source(source)]
        counts = (values > level).sum(-1)
        out = []
        for t, size in enumerate(sizes):
            known = self._known(t, source)
            open_ = known < size and bool((counts[:, t] >= known).any())
            out.append(estimate(counts[:, t], lower_bound=bool(open_)))
        return out

    def effective_rank(self, source: str = "state") -> list[Estimate]:
        """``(sum s^2)^2 / sum s^4`` of the values by time; NaN where all are 0.

        A lower bound where not all values were computed: further ones, none of them larger, can
        only raise it.
        """
        squares = np.nan_to_num(self.of(source)) ** 2
        top = np.maximum(squares.max(-1, keepdims=True), np.finfo(float).tiny)
        scaled = squares / top
        with np.errstate(invalid="ignore"):
            ranks = scaled.sum(-1) ** 2 / (scaled**2).sum(-1)
        return [
            estimate(ranks[:, t], lower_bound=bool(self._known(t, source) < size))
            for t, size in enumerate(self.sizes[self._source(source)])
        ]

    def exponents(self, index: int = 0, source: str = "state") -> list[Estimate]:
        """Finite-time Lyapunov exponents ``ln s / t`` by time, nats a step; NaN below the floor.

        Args:
            index: Of the value, 0 the largest.
            source: Of the state they are Lyapunov exponents; of inputs rates of the same kind.
        """
        where = self._source(source)
        values, floors = self.values[where, :, :, index], self.floors[where]
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = np.where(values > floors, np.log(values) / self.steps, np.nan)
        return [estimate(rates[:, t]) for t in range(len(self.steps))]

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each source and time: means over sequences with standard errors.

        ``_lower_bound`` of counts and effective rank: whether values that were not computed may
        raise them.
        """
        out = []
        for source in SOURCES:
            reads = {
                "largest": [estimate(self.of(source)[:, t, 0]) for t in range(len(self.steps))],
                "above_1": self.above(1, source),
                "above_0.1": self.above(LEFT, source),
                "effective_rank": self.effective_rank(source),
                "exponent": self.exponents(0, source),
            }
            for t, step in enumerate(self.steps.tolist()):
                row: dict[str, Any] = {"source": source, "steps": step}
                for name, each in reads.items():
                    row |= {name: each[t].mean, f"{name}_se": each[t].se}
                    if name in BOUNDED:
                        row[f"{name}_lower_bound"] = each[t].lower_bound
                out.append(row)
        return out

    def _known(self, t: int, source: str) -> int:
        """How many values every sequence has at a time."""
        return int(np.isfinite(self.of(source)[:, t]).sum(-1).min())

    def _source(self, name: str) -> int:
        if name not in SOURCES:
            raise unknown("source", name, SOURCES)
        return SOURCES.index(name)
