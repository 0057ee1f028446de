"""Results as flat rows, for a notebook, a file of comma-separated values or pandas."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from html import escape
from typing import Any, ClassVar

from ._counted import counted
from ._errors import RunError

MOST = 12  # rows in a notebook; to_pandas() has all


class Shown:
    """Base of results that are shown as a table of plain numbers and words.

    Attributes:
        columns: Names of the fields that hold a number for each row; () where one row is all.
    """

    columns: ClassVar[tuple[str, ...]] = ()

    def as_dict(self) -> dict[str, Any]:
        """The numbers and words of the result by name, without its arrays; of parts, ``part_name``.

        Plain Python values, so that ``json`` and pandas take them.
        """
        return _flat(self)

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each value or stage; of a result without, one with all its numbers."""
        if not self.columns:
            return [self.as_dict()]
        columns = zip(*(getattr(self, name).tolist() for name in self.columns), strict=True)
        return [
            {"index": i, **dict(zip(self.columns, row, strict=True))}
            for i, row in enumerate(columns)
        ]

    def to_pandas(self) -> Any:
        """``rows()`` as a ``pandas.DataFrame``.

        Raises:
            RunError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise RunError(
                "to_pandas() needs pandas, which is not installed; pip install pandas, or take "
                "rows()."
            ) from error
        return pandas.DataFrame(self.rows())

    def frame(self) -> Any:
        """The same as ``to_pandas()``."""
        return self.to_pandas()

    def _repr_html_(self) -> str:
        """A small table, which notebooks show."""
        rows = self.rows()
        head = list(rows[0]) if rows else []
        if len(rows) == 1:
            body = [[name, rows[0][name]] for name in head]
            head = []
        else:
            body = [list(row.values()) for row in rows[:MOST]]
        texts = "".join(_line("td", map(_text, cells)) for cells in body)
        more = f"<p>{counted(len(rows) - MOST, 'more row')}</p>" if len(rows) > MOST else ""
        top = _line("th", head) if head else ""
        return f"<p>{escape(repr(self))}</p><table>{top}{texts}</table>{more}"


def _flat(result: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in fields(result):
        value = getattr(result, each.name)
        name = prefix + each.name
        if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            found[name] = value
        elif is_dataclass(value) and each.name != "outcome":
            found |= _flat(value, f"{name}_")
    return found


def _line(cell: str, texts: Any) -> str:
    return f"<tr>{''.join(f'<{cell}>{escape(str(text))}</{cell}>' for text in texts)}</tr>"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.5g}"
    return "" if value is None else str(value)
