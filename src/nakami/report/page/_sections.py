"""The sections of the page: a finding, its figures, and what may be concluded from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

from ..charts._chart import Chart
from ..xray._pictures import Grids

Text = str | Markup


@dataclass(frozen=True)
class Table:
    """A table: heading cells, rows of cells; ``numeric`` columns are set right."""

    label: str
    head: list[Text]
    rows: list[list[Text]]
    numeric: tuple[int, ...] = ()
    min_width: int = 0
    note: Text = ""


@dataclass(frozen=True)
class Figure:
    """A captioned figure: charts side by side, or grids of pictures."""

    title: Text
    caption: Text
    charts: list[Chart] = field(default_factory=list)
    layout: str = "one"
    tools: bool = False
    key: bool = False
    table: Table | None = None
    grids: Grids | None = None
    width: int = 0

    @property
    def group(self) -> str | None:
        """The read-out that the charts share."""
        return self.charts[0].group if self.charts else None


@dataclass(frozen=True)
class Section:
    """One section of the page."""

    id: str
    nav: str
    heading: str
    text: Text
    figures: list[Figure]
    may: list[Text]
    may_not: list[Text]
    wide: bool = False
