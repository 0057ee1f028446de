"""Lyapunov exponents of a recurrent net along sequences, and how their average ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._outcome import Ended, Ending, Outcome
from ._plotted import Plotted

Array = npt.NDArray[Any]
AVERAGED = "averaged over {steps} steps"
LONGER = (
    " in {blocks} blocks of {length}, which depend on each other (correlation {correlation:z.2f})"
)


class LyapunovEnding(Ending):
    """How an average along trajectories ended; numbers: ``steps, blocks, length, correlation``."""

    STEADY = True, AVERAGED + " in {blocks} blocks of {length}"
    CORRELATED = False, AVERAGED + LONGER + ": take longer sequences"
    SHORT = False, AVERAGED + ", too few for a standard error"


@dataclass(frozen=True)
class LyapunovSpectrum(Plotted, Ended):
    """Exponents in nats a step, largest first; made by ``lyapunov``.

    Attributes:
        exponents: Shape (k,). ``-inf`` where a direction is erased.
        standard_errors: Of the averages, from blocks of steps; NaN with fewer than two blocks.
        steps: Steps averaged, over all sequences. state_size: S.
        seed: Of the first directions.
        outcome: A ``LyapunovEnding``; gives ``converged`` and ``reason``.
    """

    columns: ClassVar[tuple[str, ...]] = ("exponents", "standard_errors")
    exponents: Array
    standard_errors: Array
    steps: int
    state_size: int
    seed: int
    outcome: Outcome

    @property
    def sum(self) -> float:
        """Of the exponents here; of all of them: the mean log volume change of a step."""
        return float(self.exponents.sum())

    @property
    def kaplan_yorke(self) -> float:
        """Kaplan-Yorke dimension of the attractor; NaN where the k exponents do not reach it."""
        sums = np.cumsum(self.exponents)
        if self.exponents[0] < 0:
            return 0.0
        if sums[-1] >= 0:
            whole = len(self.exponents) == self.state_size
            return float(self.state_size) if whole else math.nan
        n = int(np.argmax(sums < 0))
        return n + float(sums[n - 1] / -self.exponents[n])
