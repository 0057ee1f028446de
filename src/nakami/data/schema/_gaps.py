"""Columns of numbers in which some may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from nakami.results import wrong

from ._columns import AsStored, Standardise, Unit
from ._vector import Check, Values, one_of

GAPS = "number, or nothing"  # type of a column of which some may be missing; they stand as NaN
MEAN, FLAG = "mean", "mean+flag"


class Gaps(AsStored):
    """Numbers; with ``missing = "mean"`` a missing one is the mean of the training rows.

    With ``"mean+flag"`` a second component says which were: 1 where the number is missing.
    """

    counts = "missing, taken as the mean"

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.missing: str = self.chosen.get("missing", "")
        self.mean, self._given = 0.0, 0

    @classmethod
    def options(cls) -> Mapping[str, Check]:
        """What a missing number is taken as; not given: rows without are wrong."""
        return {"missing": one_of(MEAN, FLAG)}

    @property
    def kind(self) -> str:
        """The type of the column, as sources take it."""
        return GAPS if self.missing else super().kind

    def learn(self, values: Values) -> None:
        """As without gaps, of the numbers that are there; and their mean."""
        if not self.missing:
            super().learn(values)
            return
        x = np.asarray(values, dtype=np.float64)
        x = x[~np.isnan(x)]
        super().learn(x)
        if len(x):
            self._given += len(x)
            with np.errstate(over="ignore"):  # finish refuses what is infinite then
                self.mean += (float(x.mean()) - self.mean) * len(x) / self._given

    def finish(self) -> None:
        """Refuse a column without any number."""
        super().finish()
        if self.missing and not self._given:
            way_out = 'write use = "ignored" below it'
            raise wrong(f"column {self.column}", "hold a number to train on", "none", way_out)
        if not np.isfinite(self.mean):
            rule, got = "hold smaller numbers for a mean", "some whose sum is beyond 64 bits"
            raise wrong(f"column {self.column}", rule, got, 'leave "missing" out')

    def apply(self, values: Values) -> Tensor:
        """``(n, 1)``, with a flag ``(n, 2)``."""
        if not self.missing:
            return super().apply(values)
        x = np.asarray(values, dtype=np.float64)
        gaps = np.isnan(x)
        self.counted += int(gaps.sum())
        found = super().apply(np.where(gaps, self.mean, x))
        if self.missing == MEAN:
            return found
        return torch.cat([found, torch.from_numpy(gaps[:, None]).float()], 1)

    def learned(self) -> dict[str, Any]:
        """The mean too, where one may be missing."""
        return {**super().learned(), **({"mean": self.mean} if self.missing else {})}

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Take it."""
        super().restore(learned)
        self.mean = float(learned.get("mean", 0.0))

    @property
    def components(self) -> tuple[str, ...]:
        """The column, and its flag."""
        return (self.column, *([f"{self.column} missing"] if self.missing == FLAG else []))


@final
class StoredNumbers(Gaps):
    """As they are."""


@final
class StandardisedNumbers(Gaps, Standardise):
    """Mean 0 and deviation 1 over the training rows."""


@final
class UnitNumbers(Gaps, Unit):
    """From 0 to 1 over the training rows."""
