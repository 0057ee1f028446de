"""JSON records as rows: one a line, or a list of them.

Read by Python's own parser, a line at a time: Arrow's streaming reader takes the types of the first
megabyte for those of the file, and refuses a number with a point behind a megabyte of whole ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from nakami.results import UsageError, wrong

from ._arrow import arrow, values_of
from ._source import ROWS, Part, Source, WrongRow

LOOKED_AT = 1000  # records that tell which columns there are
ENDINGS = (".jsonl", ".ndjson", ".json")


class Records(Source):
    """Records of JSON; what a record lacks is missing."""

    def __init__(self, path: Path):
        arrow()
        self.path = path
        self.kind = "JSON" if path.suffix.lower() == ".json" else "JSON lines"
        first = [record for _, record in islice(self._records([]), LOOKED_AT)]
        if not first:
            raise wrong("path", "hold a record", f"none in {path.name}", "give one with rows")
        names = dict.fromkeys(name for record in first for name in record)
        self.columns = {name: _stored([r.get(name) for r in first]) for name in names}

    def parts(self, types: Mapping[str, str]) -> Iterator[Part]:
        """All records in order."""
        self.check_columns(types)
        left_out = list[WrongRow]()
        records = self._records(left_out)
        while taken := list(islice(records, ROWS)):
            yield self._part(taken, types, tuple(left_out))
            left_out.clear()
        if left_out:
            yield self._part([], types, tuple(left_out))

    def _part(
        self,
        taken: list[tuple[str, dict[str, Any]]],
        types: Mapping[str, str],
        left_out: tuple[WrongRow, ...],
    ) -> Part:
        names = tuple(name for name, _ in taken)
        values, faults = dict[str, Any](), dict[int, WrongRow]()
        for column, kind in types.items():
            cells = [record.get(column) for _, record in taken]
            values[column], wrongs = _values(cells, kind, column, self.path.parent)
            for i, why in wrongs.items():
                faults.setdefault(i, WrongRow(names[i], column, why))
        return Part(names, values, faults, left_out)

    def _records(self, left_out: list[WrongRow]) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, found in self._parsed(left_out):
            if isinstance(found, dict):
                yield name, found
            else:
                left_out.append(WrongRow(name, "", f"no record, but {type(found).__name__}"))

    def _parsed(self, left_out: list[WrongRow]) -> Iterator[tuple[str, Any]]:
        try:
            with self.path.open(encoding="utf-8-sig") as file:
                if self.kind == "JSON":
                    found = json.load(file)
                    if not isinstance(found, list):
                        rule, way_out = (
                            "hold a list of records",
                            "write one record a line, as .jsonl",
                        )
                        raise wrong(self.path.name, rule, type(found).__name__, way_out)
                    yield from ((f"record {i}", record) for i, record in enumerate(found, 1))
                    return
                for i, line in enumerate(file, 1):
                    if not line.strip():
                        continue
                    try:
                        yield f"line {i}", json.loads(line)
                    except ValueError as error:
                        left_out.append(WrongRow(f"line {i}", "", f"no JSON ({error})"))
        except UsageError:
            raise
        except (ValueError, OSError) as error:
            raise UsageError(
                f"{self.path} cannot be read as {self.kind} ({error}); repair the file."
            ) from error


def _stored(cells: list[Any]) -> str:
    """What a column holds: text (numbers too), array or other."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {list}:
        return "array"
    return "other" if kinds & {dict, list} else "text"


def _values(cells: list[Any], kind: str, name: str, folder: Path) -> tuple[Any, dict[int, str]]:
    if kind == "array":
        rows = [cell if _numeric(cell) else None for cell in cells]
        found, faults = values_of(_lists(rows), kind, name, folder)
        odd = {i for i, cell in enumerate(cells) if cell is not None and rows[i] is None}
        return found, {i: "no list of numbers" if i in odd else why for i, why in faults.items()}
    texts = [None if cell is None else cell if isinstance(cell, str) else json.dumps(cell)
             for cell in cells]  # fmt: skip
    return values_of(arrow().array(texts, arrow().string()), kind, name, folder)


def _numeric(cell: Any) -> bool:
    """Whether it is a list of numbers, or of such lists."""
    if isinstance(cell, list):
        return all(map(_numeric, cell))
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _lists(rows: list[Any]) -> Any:
    pa = arrow()
    depth, first = 0, next((row for row in rows if row is not None), [0.0])
    while isinstance(first, list):
        depth, first = depth + 1, first[0] if first else 0.0
    kind = pa.float64()
    for _ in range(depth):
        kind = pa.list_(kind)
    try:
        return pa.array(rows, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # some are nested otherwise
        return pa.array([row if _depth(row) == depth else None for row in rows], kind)


def _depth(row: Any) -> int:
    return 1 + (_depth(row[0]) if row else 0) if isinstance(row, list) else 0
