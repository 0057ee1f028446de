"""What was found while data were read: rows in both parts, and rows that come again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from ._preparation import Preparation
from ._rows import SchemaRows
from ._source import WrongRow


@dataclass(frozen=True)
class Report:
    """What was found while data were read.

    Attributes:
        rows: All there are. wrong: those that break a rule, each with its reason.
        train: How many are trained on. test: tested on.
        copies: Rows to test on whose inputs are those of one to train on, by name: leakage.
        repeated: Rows whose inputs are those of an earlier row.
        contradictory: Rows whose inputs are those of an earlier row with another target.
        reduced: How many values lost something, by column and what: a kind that training never
            saw, a text or a sound that was cut.
    """

    rows: int
    wrong: tuple[WrongRow, ...]
    train: int
    test: int
    copies: tuple[str, ...]
    repeated: int
    contradictory: int
    reduced: dict[str, int]

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Report:
        """One of its own values."""
        wrong = tuple(WrongRow(**row) for row in found["wrong"])
        return cls(**{**found, "wrong": wrong, "copies": tuple(found["copies"])})


@dataclass
class Seen:
    """What is known of right rows, part by part, about 20 bytes of each.

    Attributes:
        tested: Whether each is tested on. hashed: hashes of inputs. targets: where there are any.
    """

    tested: list[np.ndarray] = field(default_factory=list)
    hashed: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)

    def add(self, tested: np.ndarray, hashed: np.ndarray, targets: Tensor | None) -> None:
        """Take rows."""
        self.tested.append(tested)
        self.hashed.append(hashed)
        if targets is not None:
            self.targets.append(targets.numpy())

    def report(self, source: SchemaRows, made: Preparation, names: Sequence[str]) -> Report:
        """What was found; ``names`` are those of the rows to test on."""
        tested = np.concatenate([np.zeros(0, bool), *self.tested])
        hashed = np.concatenate([np.zeros(0, np.uint64), *self.hashed])
        first = _first_alike(hashed)
        repeated = np.flatnonzero(first != np.arange(len(hashed)))
        contradictory = 0
        if self.targets and len(repeated):
            targets = np.concatenate(self.targets)
            contradictory = int((targets[repeated] != targets[first[repeated]]).sum())
        copies = np.zeros(0, bool)
        if len(repeated):
            copies = np.isin(hashed[tested], hashed[~tested])
        vectors = made.vectors.items()
        reduced = {f"{name}: {v.counts}": v.counted for name, v in vectors if v.counted}
        return Report(
            rows=source.count + sum(not row.column for row in source.wrong),
            wrong=source.wrong,
            train=int((~tested).sum()),
            test=int(tested.sum()),
            copies=tuple(names[i] for i in np.flatnonzero(copies).tolist()),
            repeated=len(repeated),
            contradictory=contradictory,
            reduced=reduced,
        )


def _first_alike(hashed: np.ndarray) -> np.ndarray:
    """Of each row the place of the first with its hash, ``(n,)``."""
    ordered = np.sort(hashed)  # an eighth of what finding the places takes
    if not (ordered[1:] == ordered[:-1]).any():
        return np.arange(len(hashed))
    _, first, same = np.unique(hashed, return_index=True, return_inverse=True)
    return first[same]
