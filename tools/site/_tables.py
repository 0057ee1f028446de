"""Tables of the repository's Markdown pages, and the numbers in their cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import nan

NUMBER = r"[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
FORMS = {  # how a cell writes a value and its ends
    "share": re.compile(rf"^({NUMBER}) of ({NUMBER})"),
    "error": re.compile(rf"^\(?({NUMBER}) ± ({NUMBER})"),
    "inside": re.compile(rf"^({NUMBER}) \(({NUMBER}) to ({NUMBER})\)"),
    "range": re.compile(rf"^({NUMBER}) to ({NUMBER})$"),
    "plain": re.compile(rf"^(?:about )?({NUMBER})"),
}


@dataclass(frozen=True)
class Value:
    """A number with the ends of its error or range, which are NaN where there is none."""

    value: float
    low: float = nan
    high: float = nan


def tables(text: str) -> list[list[dict[str, str]]]:
    """All tables of a page, each as rows by the names of their columns.

    Of columns with the same name the first counts. An empty first cell repeats the one above.
    """
    lines = (line.strip() for line in text.splitlines())
    blocks = (list(rows) for is_row, rows in groupby(lines, lambda x: x.startswith("|")) if is_row)
    return [_rows([_cells(line) for line in block]) for block in blocks]


def _cells(line: str) -> list[str]:
    parts = re.split(r"(?<!\\)\|", line.removeprefix("|").removesuffix("|"))
    return [cell.strip().replace("\\|", "|") for cell in parts]


def _rows(cells: Sequence[list[str]]) -> list[dict[str, str]]:
    head, _, *body = cells
    rows: list[dict[str, str]] = []
    for line in body:
        row: dict[str, str] = {}
        for name, cell in zip(head, line, strict=True):
            row.setdefault(name, cell)
        if rows and not row[head[0]]:
            row[head[0]] = rows[-1][head[0]]
        rows.append(row)
    return rows


def value(cell: str) -> Value | None:
    """The number of a cell, None where it holds none."""
    for form, pattern in FORMS.items():
        if found := pattern.match(cell):
            a, *more = (float(n.replace(",", "").replace("−", "-")) for n in found.groups())
            return _value(form, a, more)
    return None


def _value(form: str, a: float, more: list[float]) -> Value:
    match form, more:
        case "share", [total]:
            return Value(a / total)
        case "error", [error]:
            return Value(a, a - error, a + error)
        case "inside", [low, high]:
            return Value(a, low, high)
        case "range", [b]:
            return Value((a + b) / 2, min(a, b), max(a, b))
    return Value(a)
