"""Words that stand for an empty cell in a column of numbers."""

from __future__ import annotations

from typing import Any

# Arrow's and pandas' own (pyarrow.csv.ConvertOptions, pandas.read_csv), and signs for "none"
EMPTY = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "-", "?",
)  # fmt: skip
_KNOWN = frozenset(EMPTY)


def is_empty(cell: Any) -> bool:
    """Whether it is nothing, or one of the words."""
    return cell is None or (isinstance(cell, str) and cell.strip() in _KNOWN)
