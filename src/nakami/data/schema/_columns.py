"""Numbers and arrays as they are, or scaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nakami.results import wrong

from ._vector import Values, Vector

MOST = float(np.finfo(np.float32).max)
MOST_SQUARED = 1e15  # whose squares 32 bits can sum
ROUNDING = 1e-12  # of a number's size: what rounding may do to a mean


class AsStored(Vector):
    """Numbers as they are; rounded to float32.

    Attributes:
        squared: Whether a squared error is made of them, so that their squares must fit as well.
    """

    name, for_targets = "as stored", True
    squared = False

    def quick(self, values: Values) -> Mapping[int, str]:
        """Numbers that float32 has no place for."""
        return self._too_large(np.asarray(values), values)

    def _too_large(self, x: np.ndarray, values: Values) -> Mapping[int, str]:
        """Which values have too large numbers ``x``, by place."""
        most = MOST_SQUARED if self.squared else MOST
        if x.dtype.kind != "f" or not x.size or (-most <= x.min() and x.max() <= most):
            return {}
        away = (np.abs(x) > most).reshape(len(x), -1)
        why = "is too large for 32 bits"
        if self.squared:
            why = f"{why} once it is squared"
        told = np.asarray(values).reshape(away.shape)
        places = np.flatnonzero(away.any(1)).tolist()
        return {i: f"{told[i, away[i].argmax()]:g} {why}{self._way_out}" for i in places}

    @property
    def _way_out(self) -> str:
        return ' as stored (vector = "standardise" fits)' if self.squared else ""

    def apply(self, values: Values) -> Tensor:
        """``(n, 1)``, or rows as they are."""
        x = np.asarray(values)
        if x.dtype == np.uint8:
            return torch.from_numpy(x.astype(np.float32) / 255)
        x = x[:, None] if x.ndim == 1 else x
        return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))

    @property
    def components(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)


class Scaled(AsStored):
    """Numbers less ``shift``, divided by ``scale``."""

    def quick(self, values: Values) -> Mapping[int, str]:
        """None, as long as shift and scale are being learned."""
        return {}

    def wrong(self, values: Values) -> Mapping[int, str]:
        """Numbers that float32 has no place for once they are scaled."""
        return self._too_large(self._scaled(values), values)

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.shift, self.scale = np.zeros(()), np.ones(())

    def apply(self, values: Values) -> Tensor:
        """``(n, 1)``, or rows.

        Raises:
            UsageError: A number is too large, as ``wrong`` tells.
        """
        x = self._scaled(values)
        if self._too_large(x, values):
            raise wrong(f"column {self.column}", "fit 32 bits", "larger numbers", "leave them out")
        return super().apply(x)

    def _scaled(self, values: Values) -> np.ndarray:
        """In float64, in which they are divided before they are rounded."""
        with np.errstate(over="ignore"):  # what is infinite then is too large
            x: np.ndarray = (np.asarray(values, dtype=np.float64) - self.shift) / self.scale
        return x

    def finish(self) -> None:
        """Refuse numbers that 64 bits have no scale for."""
        super().finish()
        if not np.isfinite(self.scale).all():
            rule = f"hold smaller numbers for vector {self.name}"
            got = "some whose squares are beyond 64 bits"
            raise wrong(f"column {self.column}", rule, got, self._others)

    @property
    def _others(self) -> str:
        return 'divide them by their size, or write use = "ignored"'

    def learned(self) -> dict[str, Any]:
        """Shift and scale."""
        return {"shift": self.shift.tolist(), "scale": self.scale.tolist()}

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Take them."""
        self.shift = np.asarray(learned["shift"], dtype=np.float64)
        self.scale = np.asarray(learned["scale"], dtype=np.float64)


class Standardise(Scaled):
    """Mean 0 and deviation 1 over the training rows; a constant becomes 0."""

    name = "standardise"

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._n, self._squares = 0, np.zeros(())
        self._first, self._varies = np.zeros(()), np.zeros((), dtype=bool)
        self._told = self._varies  # where deviations are more than rounding

    @np.errstate(over="ignore", invalid="ignore")  # finish refuses what is infinite then
    def learn(self, values: Values) -> None:
        """Mean and deviation, by parts (Chan et al. 1979)."""
        x = np.asarray(values, dtype=np.float64)
        if not len(x):
            return
        self._first = self._first if self._n else x[0]
        if not self._varies.all():
            self._varies = self._varies | (x != self._first).any(0)
        n, mean = self._n + len(x), x.mean(0)
        step = mean - self.shift if self._n else np.zeros_like(mean)
        off = x - mean
        off *= off
        self._squares = self._squares + off.sum(0) + step**2 * self._n * len(x) / n
        self.shift = self.shift + step * len(x) / n if self._n else mean
        self._n = n
        spread = np.sqrt(self._squares / n)
        size = np.abs(self.shift)
        self._told = self._varies & ~(spread <= ROUNDING * size)
        constant = np.where(self._varies, np.maximum(size, 1.0), 1.0)
        self.scale = np.where(self._told, spread, constant)

    def finish(self) -> None:
        """Refuse also numbers that differ by what rounding does."""
        super().finish()
        if self._varies.any() and not self._told.any():
            rule = f"differ by more than {ROUNDING:g} of their size for vector {self.name}"
            got = f"numbers about {float(np.ravel(self.shift)[0]):g}"
            raise wrong(f"column {self.column}", rule, got, self._others)

    @property
    def _others(self) -> str:
        return 'write vector = "unit" or use = "ignored" below it'


class Unit(Scaled):
    """From 0 to 1 over the training rows; cut there beyond them."""

    name = "unit"

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._ends: tuple[Any, Any] | None = None

    @np.errstate(over="ignore")  # finish refuses what is infinite then
    def learn(self, values: Values) -> None:
        """Least and largest."""
        x = np.asarray(values, dtype=np.float64)
        if not len(x):
            return
        least, most = x.min(0), x.max(0)
        if self._ends is not None:
            least, most = np.minimum(least, self._ends[0]), np.maximum(most, self._ends[1])
        self._ends = least, most
        self.shift, self.scale = least, np.where(most > least, most - least, 1.0)

    def _scaled(self, values: Values) -> np.ndarray:
        """In 0..1."""
        return super()._scaled(values).clip(0, 1)
