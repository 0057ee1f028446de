"""Figures of the gallery, drawn from tables of results as docs/gallery.toml says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from nakami.report.charts import _marks as kit
from nakami.report.charts._chart import Chart, chart, columns
from nakami.report.page._export import drawings

from ._tables import Value, tables, value

THEIRS, BESIDE = "theirs", "to compare"
PALETTE = 64  # colours of a picture: a quarter of the bytes
ROW, STEP = 22, 12  # pixels of a row with one series, and of each further one


@dataclass(frozen=True)
class Figure:
    """One figure: an entry of docs/gallery.toml, whose head describes the keys."""

    axis: str
    table: int | list[int]
    values: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    where: dict[str, str] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)
    reference: str = ""
    theirs: dict[str, float | list[float]] = field(default_factory=dict)
    beside: dict[str, float] = field(default_factory=dict)
    levels: dict[str, float] = field(default_factory=dict)
    across: list[str] = field(default_factory=list)
    along: str = ""
    log: bool = False


@dataclass(frozen=True)
class Mark:
    """A value that is drawn: in a row or at a place, of a series."""

    row: str
    series: str
    at: Value


def draw(figure: Figure, text: str, target: Path, title: str) -> None:
    """Draw a figure of the tables in ``text`` to ``target``, a picture whose fonts are drawn."""
    from PIL import Image

    made = chart_of(figure, text, title)
    asked = [int(n) for n in re.findall(r"var\(--d(\d+)\)", repr(made.spec))]
    (drawing,) = drawings([made], "light", max(asked, default=1)).values()
    drawing.save(target)
    Image.open(target).convert("RGB").quantize(PALETTE).save(target, optimize=True)


def chart_of(figure: Figure, text: str, title: str) -> Chart:
    """The chart of a figure: curves along an axis, or a row for each name."""
    return _curves(figure, text, title) if figure.along else _dots(figure, text, title)


def rows_of(figure: Figure, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows that a figure shows, each with its name."""
    found = tables(text)
    numbers = [figure.table] if isinstance(figure.table, int) else figure.table
    for number, name in zip(numbers, figure.names or [""] * len(numbers), strict=True):
        for row in found[number - 1]:
            if all(re.search(want, row[column]) for column, want in figure.where.items()):
                parts = [row[column] for column in figure.label or [next(iter(row))]]
                yield ", ".join(part for part in (name, *parts) if part), row


def marks(figure: Figure, text: str) -> list[Mark]:
    """All values of a figure, those of others last."""
    ours, others = [], []
    for name, row in rows_of(figure, text):
        for column in figure.values:
            if found := value(row[column]):
                ours.append(Mark(name, column, _with_ends(found, row, figure.ends)))
        for cell in row[figure.reference].split("; ") if figure.reference else ():
            if found := value(cell):
                others.append(Mark(name, THEIRS, found))
    others += [Mark(name, THEIRS, Value(number)) for name, number in _theirs(figure)]
    beside = [Mark(name, BESIDE, Value(number)) for name, number in figure.beside.items()]
    return ours + others + beside


def _theirs(figure: Figure) -> Iterator[tuple[str, float]]:
    for name, numbers in figure.theirs.items():
        for number in numbers if isinstance(numbers, list) else [numbers]:
            yield name, number


def _with_ends(found: Value, row: dict[str, str], ends: Sequence[str]) -> Value:
    sides = [value(row[column]) for column in ends]
    return Value(found.value, *(side.value for side in sides if side)) if sides else found


def _dots(figure: Figure, text: str, title: str) -> Chart:
    """A row for each name, a dot for each value, a line over its error or range."""
    shown = [m for m in marks(figure, text) if m.at.value > 0 or not figure.log]
    names = list(dict.fromkeys(mark.row for mark in shown))
    series = list(dict.fromkeys(mark.series for mark in shown))
    down = kit.named_axis(names)
    down["axis"] |= {"labelLimit": 420, "grid": True, "bandPosition": 0.5}
    axes = kit.Axes(_axis(figure, [mark.at for mark in shown]), down)
    ends = [_ends(mark.at) for mark in shown]
    rows = columns(
        x=[m.at.value for m in shown], lo=[low for low, _ in ends], hi=[high for _, high in ends],
        y=[m.row for m in shown], series=[m.series for m in shown],
    )  # fmt: skip
    apart = {"yOffset": {"field": "series", "type": "nominal", "sort": series}}
    look = _look(series) | (apart if len(series) > 1 else {})
    layers: list[Any] = [
        kit.layer("dots", axes.at(x="lo", x2={"field": "hi"}) | look, "rule", strokeWidth=1.6),
        kit.layer("dots", axes.at() | look | _shape(series), "point", filled=True, size=64),
    ]
    height = len(names) * (ROW + STEP * (len(series) - 1)) + 10
    made = chart("figure", layers, {"dots": rows}, title, height=height)
    made.spec["width"] = 420
    return made


def _curves(figure: Figure, text: str, title: str) -> Chart:
    """A curve for each row, or for each name and column, over places along the axis."""
    lines = _lines(figure, text)
    places = [place for points in lines.values() for place, _ in points]
    for name, level in figure.levels.items():
        lines[name] = [(place, Value(level)) for place in (min(places), max(places))]
    if figure.theirs:
        lines[THEIRS] = [(float(place), Value(number)) for place, number in _theirs(figure)]
    points = [(name, *point) for name, at in lines.items() for point in at]
    across = kit.axis(min(places), max(places), figure.along, log=False, whole=True)
    axes = kit.Axes(across, _axis(figure, [v for _, _, v in points]))
    ends = [_ends(v) for _, _, v in points]
    rows = columns(
        x=[place for _, place, _ in points], y=[v.value for _, _, v in points],
        lo=[low for low, _ in ends], hi=[high for _, high in ends],
        series=[name for name, _, _ in points],
    )  # fmt: skip
    look = _look(list(lines))
    joined = [{"filter": f"datum.series !== {THEIRS!r}"}]
    layers: list[Any] = [
        kit.layer("rows", axes.at(y="lo", y2={"field": "hi"}) | look, "area", opacity=0.16),
        kit.layer("rows", axes.at() | look, "line", strokeWidth=2) | {"transform": joined},
        kit.layer("rows", axes.at() | look | _shape(list(lines)), "point", filled=True, size=64),
    ]
    return chart("figure", layers, {"rows": rows}, title, height=300)


def _lines(figure: Figure, text: str) -> dict[str, list[tuple[float, Value]]]:
    lines: dict[str, list[tuple[float, Value]]] = {}
    for name, row in rows_of(figure, text):
        for column in figure.across or figure.values:
            place = value(column if figure.across else row[figure.along])
            found = value(row[column])
            if place and found:
                key = name if figure.across or figure.label else column
                lines.setdefault(key, []).append((place.value, found))
    return lines


def _axis(figure: Figure, values: Sequence[Value]) -> dict[str, Any]:
    """An axis over all values and their ends, from 0 on where that takes little room."""
    ends = [end for v in values for end in (v.value, *_ends(v)) if end > 0 or not figure.log]
    low, high = min(ends), max(ends)
    if figure.log:
        low, high = low / 1.2, high * 1.2
    elif 0 <= low < high / 2:
        low = 0
    return kit.axis(low, high if high > low else low + 1, figure.axis, log=figure.log)


def _ends(v: Value) -> tuple[float, float]:
    return (v.low, v.high) if isfinite(v.low) else (v.value, v.value)


def _look(series: Sequence[str]) -> dict[str, Any]:
    """Colours of the palette for ours; what is of others is drawn in ink."""
    ink = {THEIRS: "var(--ink)", BESIDE: "var(--ink-3)"}
    colours = [ink.get(name, f"var(--d{i + 1})") for i, name in enumerate(series)]
    legend = {"title": None, "orient": "top", "labelFontSize": 12.5, "labelLimit": 400}
    legend |= {"columns": 3, "symbolOpacity": 1, "offset": 26}
    scale = {"domain": list(series), "range": colours}
    shown = legend if len(series) > 1 else None
    return {"color": {"field": "series", "type": "nominal", "scale": scale, "legend": shown}}


def _shape(series: Sequence[str]) -> dict[str, Any]:
    shapes = ["diamond" if name in (THEIRS, BESIDE) else "circle" for name in series]
    scale = {"domain": list(series), "range": shapes}
    return {"shape": {"field": "series", "type": "nominal", "scale": scale, "legend": None}}
