"""Categories as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nakami.results import counted, wrong

from ._texts import Texts
from ._vector import Values, Vector


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
    with suppress(ValueError):
        number = float(name)
        if number == number:  # nan has no place among numbers
            return (0, number, name)
    return (1, 0.0, name)
