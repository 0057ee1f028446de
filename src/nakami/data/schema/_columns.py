"""Numbers, categories and arrays as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nakami.results import counted, wrong

from ._texts import Texts
from ._vector import Values, Vector

MOST = float(np.finfo(np.float32).max)


class AsStored(Vector):
    """Numbers as they are; rounded to float32."""

    name, for_targets = "as stored", True

    def quick(self, values: Values) -> Mapping[int, str]:
        """Numbers that float32 has no place for."""
        x = np.asarray(values)
        if x.ndim != 1 or not len(x) or float(np.abs(x).max()) <= MOST:
            return {}
        away = np.flatnonzero(np.abs(x) > MOST)
        return {int(i): f"{x[i]:g} is too large for 32 bits" for i in away}

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

    for_targets = False

    def quick(self, values: Values) -> Mapping[int, str]:
        """None: they are scaled in 64 bits."""
        return {}

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.shift, self.scale = np.zeros(()), np.ones(())

    def apply(self, values: Values) -> Tensor:
        """``(n, 1)``, or rows."""
        return super().apply((np.asarray(values, dtype=np.float64) - self.shift) / self.scale)

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

    def learn(self, values: Values) -> None:
        """Mean and deviation, by parts (Chan et al. 1979)."""
        x = np.asarray(values, dtype=np.float64)
        if not len(x):
            return
        n, mean = self._n + len(x), x.mean(0)
        step = mean - self.shift if self._n else np.zeros_like(mean)
        off = x - mean
        off *= off
        self._squares = self._squares + off.sum(0) + step**2 * self._n * len(x) / n
        self.shift = self.shift + step * len(x) / n if self._n else mean
        self._n = n
        spread = np.sqrt(self._squares / n)
        small = 1e-12 * np.maximum(np.abs(self.shift), 1.0)  # rounding of a constant
        self.scale = np.where(spread > small, spread, 1.0)


class Unit(Scaled):
    """From 0 to 1 over the training rows; cut there beyond them."""

    name = "unit"

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._ends: tuple[Any, Any] | None = None

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

    def apply(self, values: Values) -> Tensor:
        """``(n, 1)``, or rows, in 0..1."""
        return super().apply(values).clamp(0, 1)


class Kinds(Vector):
    """Texts of which there are a few."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._often = Counter[str]()
        self.listed = bool(self.classes)

    def learn(self, values: Values) -> None:
        """Which there are."""
        if not self.listed:
            self._often.update(values.counts() if isinstance(values, Texts) else values)

    def finish(self) -> None:
        """In order of name, numbers by their size."""
        if not self.listed:
            self.classes = tuple(sorted(self._often, key=in_order))

    def learned(self) -> dict[str, Any]:
        """The classes."""
        return {"classes": [*self.classes]}

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Take them."""
        self.classes = tuple(learned["classes"])

    def places(self, values: Values) -> np.ndarray:
        """Which class each is, -1 for none of them, ``(n,)`` int64."""
        place = {name: i for i, name in enumerate(self.classes)}
        if isinstance(values, Texts):
            return values.by_kind(lambda kind: place.get(kind, -1), np.int64)
        return np.array([place.get(value, -1) for value in values], dtype=np.int64)


class OneHot(Kinds):
    """A component for each class: 1 there, 0 elsewhere; all 0 for one that is none of them."""

    name, counts = "one-hot", "of a kind that training never saw, taken as none"

    def apply(self, values: Values) -> Tensor:
        """``(n, classes)``."""
        places = torch.from_numpy(self.places(values))
        self.counted += int((places < 0).sum())
        if len(self.classes) > 1000:
            rule, got = "hold 1,000 kinds at most", counted(len(self.classes), "kind")
            way_out = 'write use = "ignored", or type = "text"'
            raise wrong(f"column {self.column}", rule, got, way_out)
        return (places[:, None] == torch.arange(len(self.classes))).float()

    @property
    def components(self) -> tuple[str, ...]:
        """The classes, each behind the column's name."""
        return tuple(f"{self.column}={each}" for each in self.classes)


class Classes(Kinds):
    """The place of each among the classes."""

    name, for_targets = "classes", True

    def quick(self, values: Values) -> Mapping[int, str]:
        """Those that are none of them, once they are known."""
        if not self.classes:
            return {}
        away = (self.places(values) < 0).nonzero()[0].tolist()
        return {i: f"{values[i]!r} is none of its {len(self.classes)} classes" for i in away}

    def apply(self, values: Values) -> Tensor:
        """``(n,)`` int64."""
        return torch.from_numpy(self.places(values))


def in_order(name: str) -> tuple[int, float, str]:
    """Numbers by size before texts by name."""
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)
