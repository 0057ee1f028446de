"""Layers of a chart: curves, bands, borders, points and texts on two axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._axes import linear_axis, log_axis
from ._chart import Spec, digits
from ._labels import AROUND, Label, Place, spread

INK, BEFORE, AFTER = "var(--ink)", "var(--before)", "var(--after)"
DASHES, DOTS = [5, 4], [2, 3]
Layers = list[Spec | Label]
TEXT = {"fontSize": 13, "fontWeight": 600, "baseline": "middle"}


@dataclass(frozen=True)
class Axes:
    """Two axes as encodings without a field."""

    x: Spec
    y: Spec

    def at(self, x: str | None = "x", y: str | None = "y", **more: Any) -> Spec:
        """Encoding of columns; None leaves an axis out."""
        out = {} if x is None else {"x": {**self.x, "field": x}}
        return out | ({} if y is None else {"y": {**self.y, "field": y}}) | more


def axis(
    low: float,
    high: float,
    title: str,
    *,
    log: bool,
    ticks: Sequence[float] = (),
    whole: bool = False,
) -> Spec:
    """An axis over a range, of the page's kind, with at most six ticks or with those given."""
    spec = log_axis(low, high) if log else linear_axis(low, high, whole)
    if ticks:
        spec["axis"]["values"] = list(ticks)
    return {"type": "quantitative", "title": title, **spec}


def index_axis(count: int, title: str) -> Spec:
    """An axis of whole numbers from 1 to ``count``, with room at both ends."""
    spec = axis(0, count + 1, title, log=False, whole=True)
    spec["scale"]["domain"] = [0, count + 1]
    spec["axis"]["values"] = [1, *(v for v in spec["axis"]["values"] if 1 < v <= count)]
    return spec


def named_axis(names: list[str], padding: float = 0.3) -> Spec:
    """A vertical axis of names, one row each, in the order given."""
    look = {"grid": False, "ticks": False, "domain": False, "labelFontSize": 13, "offset": 7}
    scale = {"paddingInner": padding}
    return {"type": "nominal", "sort": names, "title": None, "scale": scale, "axis": look}


def layer(data: str | list[Spec], encoding: Spec, kind: str, **mark: Any) -> Spec:
    """One layer: marks of a kind for each row of a named data set, or of rows given."""
    source = {"name": data} if isinstance(data, str) else {"values": data}
    return {"data": source, "mark": {"type": kind, **mark}, "encoding": encoding}


def as_given(*fields: str, **named: str) -> Spec:
    """Encodings of columns that hold colours or shapes themselves."""
    pairs = {**{f: f for f in fields}, **named}
    return {k: {"field": f, "type": "nominal", "scale": None} for k, f in pairs.items()}


def line(
    data: str,
    axes: Axes,
    colour: str,
    y: str = "y",
    *,
    dash: Sequence[float] = (),
    width: float = 2,
) -> Spec:
    """A curve of one colour."""
    dashes = {"strokeDash": list(dash)} if dash else {}
    return layer(data, axes.at(y=y), "line", color=colour, strokeWidth=width, clip=True, **dashes)


def band(
    data: str, axes: Axes, colour: str, low: str = "lo", high: str = "hi", *, opacity: float = 0.16
) -> Spec:
    """The area between two columns."""
    at = axes.at(y=low, y2={"field": high})
    return layer(data, at, "area", color=colour, opacity=opacity, clip=True)


def points(data: str, axes: Axes, y: str = "y", *, size: int = 60) -> Spec:
    """Points with columns ``stroke``, ``fill`` and ``shape``."""
    at = axes.at(y=y, **as_given("stroke", "fill", "shape"))
    return layer(data, at, "point", filled=True, size=size, opacity=1, strokeWidth=1.8)


def name(
    text: str,
    axes: Axes,
    colour: str,
    at: Sequence[Place],
    ways: Sequence[tuple[int, int]] = AROUND,
    **more: Any,
) -> Label:
    """A text beside one of some places."""
    return Label(text, colour, {"x": axes.x, "y": axes.y}, at, ways, **more)


def along(x: Sequence[float], y: Sequence[float]) -> list[Place]:
    """Places beside a curve, the last first."""
    places: list[Place] = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    return places[::-1]


def border(
    value: float, axes: Axes, text: str, colour: str, *, dash: Sequence[float] = (), short: str = ""
) -> Layers:
    """A vertical line at ``value`` with a name beside it, near its upper end."""
    here, at = [{"x": digits(value)}], axes.at(y=None)
    dashes = {"strokeDash": list(dash)} if dash else {}
    rule = layer(here, at, "rule", color=colour, strokeWidth=1.6, clip=True, **dashes)
    beside = [(value, float(y)) for y in spread(axes.y)[:3:-1]]
    return [rule, name(text, axes, colour, beside, ((1, 9), (-1, 9)), short=short)]


def span(low: float, high: float, axes: Axes, colour: str, *, opacity: float = 0.12) -> Spec:
    """A vertical stripe from ``low`` to ``high``."""
    ends = [{"x": digits(low), "x2": digits(high)}]
    at = axes.at(y=None, x2={"field": "x2"})
    return layer(ends, at, "rect", color=colour, opacity=opacity, clip=True)


def level(value: float, axes: Axes, text: str = "") -> Layers:
    """A dotted horizontal line at ``value``, with a name above or below it."""
    here, at = [{"y": digits(value)}], axes.at(x=None)
    rule = layer(here, at, "rule", color=INK, strokeWidth=1, strokeDash=DOTS, clip=True)
    if not text:
        return [rule]
    across = [(float(x), value) for x in spread(axes.x)]
    return [rule, name(text, axes, "var(--ink-2)", across, ((1, -8), (1, 9), (-1, -8), (-1, 9)))]
