"""What a page consists of: a verdict, sections with figures, tables, words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from ..charts._chart import Chart
from ..words._sentences import Sentences
from ._grids import Grids
from ._mosaic import Mosaic

Text = str | Markup


@dataclass(frozen=True)
class KeyFigure:
    """A large number with its unit and spread, what it counts, and what to compare it with."""

    value: str
    unit: str
    label: str
    before: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a reader who stops at the top has learnt."""

    kicker: str
    headline: str
    standfirst: list[str]
    figures: list[KeyFigure]
    meta: list[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table: heading cells, rows of cells; ``numeric`` columns are set right."""

    label: str
    head: list[Text]
    rows: list[list[Text]]
    numeric: tuple[int, ...] = ()
    min_width: int = 0
    note: str = ""


def side_by_side(charts: Sized) -> str:
    """The layout of so many charts on a wide window: three in a line, but four as two and two."""
    return {1: "one", 2: "duo", 4: "duo"}.get(len(charts), "trio")


@dataclass(frozen=True)
class Figure:
    """A captioned figure: charts side by side, grids of pictures, a mosaic, a table, or code.

    Attributes:
        layout: Of the charts: one, duo, trio or stack. tools: Whether the axes can be switched.
        key: Names of the two networks, dashed and solid, for a legend.
        codes: Code to copy by the name of what it is for; the first is shown, others are chosen.
    """

    title: str
    caption: str
    charts: list[Chart] = field(default_factory=list)
    layout: str = "one"
    tools: bool = False
    key: tuple[str, str] | None = None
    table: Table | None = None
    grids: Grids | None = None
    mosaic: Mosaic | None = None
    codes: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str | None:
        """The read-out that the charts share."""
        return self.charts[0].group if self.charts else None


@dataclass(frozen=True)
class Section:
    """One section: a finding, its figures, what may be concluded from it, what people do."""

    id: str
    nav: str
    heading: str
    text: str
    figures: list[Figure]
    may: Sequence[str]
    may_not: Sequence[str]
    do: Sequence[str] = ()
    wide: bool = False


def section(
    say: Sentences,
    name: str,
    heading: str,
    text: str,
    figures: list[Figure],
    *,
    may: Sequence[str] | None = None,
    may_not: Sequence[str] | None = None,
    do: Sequence[str] | None = None,
    wide: bool = False,
    **data: Any,
) -> Section:
    """A section whose sentences stand in a table of its name.

    Its entry in the contents is ``nav``. What may be concluded is every case ``may`` and
    ``may_...``, what may not every ``not_...``, where they are not given; what people do is every
    ``do`` and ``do_...``. ``data`` fills them in.
    """
    may = say.all_of(name, "may", **data) if may is None else may
    may_not = say.all_of(name, "not", **data) if may_not is None else may_not
    do = say.all_of(name, "do", **data) if do is None else do
    nav = say(f"{name}.nav")
    return Section(name, nav, heading, text, figures, may, may_not, do, wide)


@dataclass(frozen=True)
class Frame:
    """All of a page but its sections.

    Attributes:
        kind: In the bar: ``"X-ray report"``. title: Of the browser's window. name: Of the subject,
            above the contents.
        verdict: Above the first section.
        tables: All figures. how: How they were made. note: Below that.
        words: Words with their meaning.
        n_curves: Colours needed for curves.
        made: ``"Measured"`` or ``"Computed"``. version: Of nakami. created: ISO date.
    """

    kind: str
    title: str
    name: str
    verdict: Verdict
    tables: list[Table]
    how: Table
    note: Text
    words: Sequence[tuple[str, Text]]
    n_curves: int
    made: str
    version: str
    created: str


@dataclass(frozen=True)
class Page:
    """A whole page: its frame and its sections, in order."""

    frame: Frame
    sections: list[Section]

    @property
    def charts(self) -> list[Chart]:
        """Every chart, in order."""
        return [c for s in self.sections for f in s.figures for c in f.charts]
