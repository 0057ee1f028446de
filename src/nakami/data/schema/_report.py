"""What was found while data were read: rows in both parts, and rows that come again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from ._preparation import Preparation
from ._rows import Facts, SchemaRows
from ._source import WrongRow


@dataclass(frozen=True)
class Report:
    """What was found while data were read.

    Attributes:
        rows: All there are. wrong: those that break a rule, each with its reason.
        train: How many are trained on. test: tested on, or where settings are chosen, by which.
        aside: Rows to test on that are left out while settings are chosen.
        copies: Rows to test on whose inputs are those of one to train on, by name: leakage.
        repeated: Rows whose inputs are those of an earlier row.
        contradictory: Rows whose inputs are those of an earlier row with another target.
        groups: Where the split knows of groups, how many are in ``"train"``, in ``"test"``, and in
            ``"both"``, which is leakage.
        torn: Rows to test on whose group is also trained on, by name.
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
    groups: dict[str, int] = field(default_factory=dict)
    torn: tuple[str, ...] = ()
    aside: int = 0

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Report:
        """One of its own values."""
        wrong = tuple(WrongRow(**row) for row in found["wrong"])
        names = {name: tuple(found[name]) for name in ("copies", "torn")}
        return cls(**{**found, "wrong": wrong, **names})


@dataclass
class Seen:
    """What is known of right rows, part by part, about 30 bytes of each."""

    facts: list[Facts] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)

    def add(self, facts: Facts, targets: Tensor | None) -> None:
        """Take rows."""
        self.facts.append(facts)
        if targets is not None:
            self.targets.append(targets.numpy())

    def report(self, source: SchemaRows, made: Preparation, names: Sequence[str]) -> Report:
        """What was found; ``names`` are those of the rows to test on."""
        tested = np.concatenate([np.zeros(0, bool), *(each.tested for each in self.facts)])
        hashed = np.concatenate([np.zeros(0, np.uint64), *(each.hashed for each in self.facts)])
        first = _first_alike(hashed)
        repeated = np.flatnonzero(first != np.arange(len(hashed)))
        contradictory = 0
        if self.targets and len(repeated):
            targets = np.concatenate(self.targets)
            contradictory = int((targets[repeated] != targets[first[repeated]]).sum())
        copies = np.zeros(0, bool)
        if len(repeated):
            copies = np.isin(hashed[tested], hashed[~tested])
        groups, torn = self._groups(tested)
        vectors = made.vectors.items()
        reduced = {f"{name}: {v.counts}": v.counted for name, v in vectors if v.counted}
        return Report(
            rows=source.count + source.aside + sum(not row.column for row in source.wrong),
            wrong=source.wrong,
            train=int((~tested).sum()),
            test=int(tested.sum()),
            copies=tuple(names[i] for i in np.flatnonzero(copies).tolist()),
            repeated=len(repeated),
            contradictory=contradictory,
            reduced=reduced,
            groups=groups,
            torn=tuple(names[i] for i in np.flatnonzero(torn).tolist()),
            aside=source.aside,
        )

    def _groups(self, tested: np.ndarray) -> tuple[dict[str, int], np.ndarray]:
        """How many groups are where, and which rows to test on have one that is trained on."""
        found = [each.grouped for each in self.facts if each.grouped is not None]
        if not found:
            return {}, np.zeros(0, bool)
        grouped = np.concatenate(found)
        train, test = (np.unique(grouped[own]) for own in (~tested, tested))
        both = np.intersect1d(train, test, assume_unique=True)
        n = {"train": len(train), "test": len(test), "both": len(both)}
        return n, np.isin(grouped[tested], both)


def _first_alike(hashed: np.ndarray) -> np.ndarray:
    """Of each row the place of the first with its hash, ``(n,)``."""
    ordered = np.sort(hashed)  # an eighth of what finding the places takes
    if not (ordered[1:] == ordered[:-1]).any():
        return np.arange(len(hashed))
    _, first, same = np.unique(hashed, return_index=True, return_inverse=True)
    return first[same]
