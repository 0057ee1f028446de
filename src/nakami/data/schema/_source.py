"""Rows of a file or folder, read part by part."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from nakami.results import wrong

from ._names import chosen
from ._texts import Texts
from ._vector import Values

ROWS = 1 << 15  # of a part, where the source decides
FILES = 256  # likewise, where each row is a file
BLOCK = 1 << 23  # bytes of rows that are read or made at a time


@dataclass(frozen=True)
class WrongRow:
    """A row that breaks a rule.

    Attributes:
        row: As a person finds it: ``row 17``, a file's name. column: ``""`` of the whole row.
        why: What is wrong with it.
    """

    row: str
    column: str
    why: str

    def __str__(self) -> str:
        return f"{self.row}{f', {self.column}' if self.column else ''}: {self.why}"


@dataclass(frozen=True)
class Part:
    """Rows that follow each other.

    Attributes:
        names: Of each row. values: by column, those of all rows.
        wrong: By place in the part, why a row cannot be taken; its values stand for nothing.
        left_out: Rows that could not be told into columns at all.
    """

    names: Sequence[str]
    values: Mapping[str, Values]
    wrong: Mapping[int, WrongRow]
    left_out: Sequence[WrongRow] = ()

    def cut(self, rows: slice) -> Part:
        """Some of the rows; those left out go with the first."""
        first, last, _ = rows.indices(len(self.names))
        wrong = {i - first: row for i, row in self.wrong.items() if first <= i < last}
        values = {name: each[rows] for name, each in self.values.items()}
        return Part(self.names[rows], values, wrong, () if first else self.left_out)

    def size(self) -> int:
        """About how many bytes it takes."""
        return sum(map(_size, self.values.values()))

    def of(self, taken: np.ndarray) -> Part:
        """The rows of a mask ``(n,)``, and what was left out."""
        place = {int(i): k for k, i in enumerate(np.flatnonzero(taken))}
        values = {name: some(each, taken) for name, each in self.values.items()}
        wrong = {place[i]: row for i, row in self.wrong.items() if i in place}
        return Part(chosen(self.names, taken), values, wrong, self.left_out)


def rows_of(size: int) -> int:
    """How many rows of so many bytes are read or made at a time."""
    return max(1, min(ROWS, BLOCK // max(1, size)))


def _size(values: Values) -> int:
    if isinstance(values, np.ndarray):
        return values.nbytes
    if isinstance(values, Texts):
        return values.places.nbytes + sum(60 + len(kind) for kind in values.kinds)
    held = (each.getbuffer().nbytes for each in values if isinstance(each, io.BytesIO))
    return 200 * len(values) + sum(held)


def some(values: Values, taken: np.ndarray) -> Values:
    """The values of a column at some places of a mask."""
    if len(taken) == np.count_nonzero(taken):
        return values
    return list(compress(values, taken)) if isinstance(values, list) else values[taken]


class Source(ABC):
    """A file or folder as rows of columns.

    Attributes:
        path: Where it is. columns: what is stored, by column: number, text, file, array or other.
        kind: What it is, for people.
    """

    path: Path
    kind: str
    columns: Mapping[str, str]

    @abstractmethod
    def parts(self, types: Mapping[str, str]) -> Iterator[Part]:
        """All rows in order.

        Args:
            types: Columns to read, each with the type of a schema that it is taken as.
        """

    def check_columns(self, names: Iterable[str]) -> None:
        """Refuse a column that is not there.

        Raises:
            UsageError: One is not.
        """
        for name in names:
            if name not in self.columns:
                known = ", ".join(self.columns)
                rule, way_out = f"hold the column {name!r}", "name columns as the file has them"
                raise wrong(self.path.name, rule, known, way_out)

    def files(self) -> list[Path]:
        """Those that its rows are read from."""
        if not self.path.is_dir():
            return [self.path]
        return sorted(file for file in self.path.rglob("*") if file.is_file())

    def described(self) -> Mapping[str, Any]:
        """How it is read, for the schema: ``reading``."""
        return {}
