"""Rows of the sources of a schema: which are tested on, what is wrong, twice read alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nakami.results import first_names, wrong

from ._hashes import hashes, shares
from ._names import behind
from ._open import sources_of
from ._preparation import Preparation, Rows
from ._schema import Schema
from ._source import Part, WrongRow, some

HELD = 1 << 28


@dataclass(frozen=True)
class Facts:
    """What is known of rows beside their values, ``(n,)`` each.

    Attributes:
        tested: Whether each is tested on. hashed: hash of its inputs. grouped: of its group.
    """

    tested: np.ndarray
    hashed: np.ndarray
    grouped: np.ndarray | None

    def __getitem__(self, which: slice | np.ndarray) -> Facts:
        grouped = None if self.grouped is None else self.grouped[which]
        return Facts(self.tested[which], self.hashed[which], grouped)


class SchemaRows:
    """Rows of the sources of a schema, each with whether it is tested on and its hash.

    Args:
        schema: Whose. made: what is used of them.
        most: Bytes of rows that may be held from the first time to the second.

    Attributes:
        count: How many rows there are. aside: beside them, right ones to test on that are left out
            for choosing settings.
    """

    def __init__(self, schema: Schema, made: Preparation, most: int = HELD):
        self.schema, self.count, self.aside = schema, 0, 0
        self._most, self._held = min(most, HELD), list[tuple[Part, bool]]()
        self._sources = sources_of(schema)
        inputs = {column.name: column.type for column in schema.used("input")}
        split, known = schema.split, {c.name: c.type for c in schema.columns}
        self._hashed = inputs
        self._group = {name: known[name] for name in known if name == split.grouped}
        by = {split.by: known[split.by]} if split.by in known else {}
        self._types = {**by, **self._group, **made.types()}
        self._known: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []
        self._chosen = list[np.ndarray]()  # rows that are not left out for choosing settings
        self._wrong: dict[str, WrongRow] = {}

    def first(self) -> Iterator[tuple[Part, np.ndarray]]:
        """Parts with who is tested on, ``(n,)`` bool."""
        for part, only_tested in self._first_read():
            hashed = self._hashes(part, self._hashed)
            grouped = self._hashes(part, self._group) if self._group else None
            tested = np.full(len(hashed), only_tested)
            own = hashed if grouped is None else grouped
            split = self.schema.split
            if split.values:
                own_values = part.values[split.by]
                tested = np.array([_named(v) in split.values for v in own_values], bool)
            elif not split.path:
                tested = shares(own) < split.test
            if split.choose:
                others = ~tested | ~Rows(part).right  # of wrong rows no part is known
                self._chosen.append(others)
                self.aside += int((~others).sum())
                part, hashed = part.of(others), hashed[others]
                grouped = None if grouped is None else grouped[others]
                tested = shares(own[others]) >= 1 - split.choose
            self._known.append((tested, hashed, grouped))
            self.count += len(hashed)
            yield part, tested

    def again(self, most: int) -> Iterator[tuple[Part, Facts]]:
        """The same once more, ``most`` rows at a time, with what is known of each."""
        parts: Iterator[Part] = (part for part, _ in self._parts())
        if self._chosen:
            parts = (part.of(mask) for part, mask in zip(parts, self._chosen, strict=True))
        for part, known in zip(parts, self._known, strict=True):
            facts = Facts(*known)
            for i in range(0, max(1, len(facts.tested)), most):
                here = slice(i, i + most)
                yield part if len(facts.tested) <= most else part.cut(here), facts[here]

    def parts(self) -> Iterator[Part]:
        """All rows, no more."""
        return (part for part, _ in self._parts())

    def note(self, rows: Rows) -> None:
        """Keep which rows are wrong."""
        for row in (*rows.part.left_out, *rows.wrong.values()):
            self._wrong.setdefault(row.row, row)

    def refuse(self) -> None:
        """End where a row is wrong and the schema wants none."""
        if self._wrong and self.schema.wrong_rows == "refuse":
            got = f"{len(self._wrong)} ({first_names([*map(str, self.wrong)])})"
            way_out = 'mend them, or write wrong_rows = "skip" in the schema to leave them out'
            raise wrong(self.schema.path.name, "hold no wrong row", got, way_out)

    @property
    def tested(self) -> int:
        """How many rows are tested on, wrong ones included."""
        return sum(int(tested.sum()) for tested, _, _ in self._known)

    @property
    def wrong(self) -> tuple[WrongRow, ...]:
        """Wrong rows as they were found."""
        return tuple(self._wrong.values())

    def _first_read(self) -> Iterator[tuple[Part, bool]]:
        """All parts; as long as they are small together they are held for the next time."""
        held, size = list[tuple[Part, bool]](), 0
        for part, tested in self._parts():
            size += part.size()
            held = [] if size > self._most else held
            if size <= self._most:
                held.append((part, tested))
            yield part, tested
        self._held = held

    def _parts(self) -> Iterator[tuple[Part, bool]]:
        if self._held:
            yield from self._held
            return
        for source, tested in self._sources:
            for part in source.parts(self._types):
                yield (_in_file(part, source.path.name) if tested else part), tested

    @staticmethod
    def _hashes(part: Part, types: dict[str, str]) -> np.ndarray:
        right, found = Rows(part).right, np.zeros(len(part.names), dtype=np.uint64)
        values = {name: some(part.values[name], right) for name in types}
        found[right] = hashes(values, types, int(right.sum()))
        return found


def _named(value: object) -> str:
    """A value of a split as the schema writes it: 1 for 1.0."""
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)


def _in_file(part: Part, name: str) -> Part:
    """Rows of a second file, told apart from those of the first."""
    wrongs = {i: replace(row, row=f"{name}, {row.row}") for i, row in part.wrong.items()}
    left_out = [replace(row, row=f"{name}, {row.row}") for row in part.left_out]
    names = behind(part.names, f"{name}, ")
    return replace(part, names=names, wrong=wrongs, left_out=left_out)
