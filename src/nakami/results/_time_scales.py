"""For how many steps a changed input is seen in the states of recurrent layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._shown import Shown

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TimeScales(Shown):
    """What one changed input leaves in each layer, step by step; made by ``time_scales``.

    Attributes:
        names: Of the layers, L of them.
        fraction: Below this share of its largest value a difference counts as gone.
        shares: Length of the difference of the state over its largest, at the step of the change
            and after, ``(L, N, T)``; NaN behind the end of a sequence.
        steps: After how many steps it stays below ``fraction``, ``(L, N)``; where it does not, the
            steps that there are.
        cut: Whether it does not, ``(L, N)``.
    """

    names: tuple[str, ...]
    fraction: float
    shares: Array
    steps: Array
    cut: Array

    columns: ClassVar[tuple[str, ...]] = ("mean", "standard_error", "cut_share")

    @property
    def mean(self) -> Array:
        """Mean steps of each layer, ``(L,)``; too low where some are ``cut``."""
        return np.asarray(self.steps.mean(1))

    @property
    def standard_error(self) -> Array:
        """Of the mean over examples, ``(L,)``; NaN of one alone."""
        n = self.steps.shape[1]
        if n < 2:
            return np.full(len(self.names), np.nan)
        return np.asarray(self.steps.std(1, ddof=1) / n**0.5)

    @property
    def cut_share(self) -> Array:
        """Share of the examples that outlast their sequence, ``(L,)``."""
        return np.asarray(self.cut.mean(1))

    @property
    def curve(self) -> Array:
        """Mean share of the difference that is left after t steps, ``(L, T)``."""
        there = ~np.isnan(self.shares)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nansum(self.shares, axis=1) / there.sum(1))
