"""Charts of curves, bands, borders and points on two axes: layers of a specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..xray._series import digits
from ._axes import linear_axis, log_axis
from ._chart import FIT, Chart, Spec

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Axes:
    """Two axes as encodings without a field."""

    x: Spec
    y: Spec

    def at(self, x: str = "x", y: str = "y", **more: Any) -> Spec:
        """Encoding of columns."""
        return {"x": {**self.x, "field": x}, "y": {**self.y, "field": y}, **more}


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


def columns(**values: Sequence[Any]) -> Columns:
    """Columns of a chart: numbers with four digits, texts as they are."""
    return {
        name: [digits(float(v)) if isinstance(v, (int, float)) else v for v in column]
        for name, column in values.items()
    }


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
    mark: Spec = {"type": "line", "color": colour, "strokeWidth": width, "clip": True}
    if dash:
        mark["strokeDash"] = list(dash)
    return {"data": {"name": data}, "mark": mark, "encoding": axes.at(y=y)}


def band(
    data: str, axes: Axes, colour: str, low: str = "lo", high: str = "hi", *, opacity: float = 0.16
) -> Spec:
    """The area between two columns."""
    mark = {"type": "area", "color": colour, "opacity": opacity, "clip": True}
    return {"data": {"name": data}, "mark": mark, "encoding": axes.at(y=low, y2={"field": high})}


def points(data: str, axes: Axes, y: str = "y", *, size: int = 60) -> Spec:
    """Points with columns ``stroke``, ``fill`` and ``shape``."""
    fields = ("stroke", "fill", "shape")
    looks: Spec = {k: {"field": k, "type": "nominal", "scale": None} for k in fields}
    mark = {"type": "point", "filled": True, "size": size, "opacity": 1, "strokeWidth": 1.8}
    return {"data": {"name": data}, "mark": mark, "encoding": {**axes.at(y=y), **looks}}


def names(
    data: str, axes: Axes, *, dx: int = 8, dy: int = 0, align: str = "left", y: str = "y"
) -> Spec:
    """Texts of the columns ``t`` in colours of the column ``c``."""
    mark = {"type": "text", "align": align, "dx": dx, "dy": dy, "fontSize": 13, "fontWeight": 600}
    text = {"field": "t", "type": "nominal"}
    colour = {"field": "c", "type": "nominal", "scale": None}
    return {
        "data": {"name": data},
        "mark": {**mark, "baseline": "middle"},
        "encoding": axes.at(y=y, text=text, color=colour),
    }


def border(
    value: float,
    axes: Axes,
    text: str,
    colour: str,
    *,
    dash: Sequence[float] = (),
    dy: int = 0,
    left: bool = False,
) -> list[Spec]:
    """A vertical line at ``value`` with a name beside its upper end."""
    here = {"values": [{"x": digits(value)}]}
    rule: Spec = {"type": "rule", "color": colour, "strokeWidth": 1.6, "clip": True}
    if dash:
        rule["strokeDash"] = list(dash)
    at = {"x": {**axes.x, "field": "x"}}
    mark = {
        "type": "text", "text": text, "color": colour, "fontSize": 12.5, "fontWeight": 600,
        "align": "right" if left else "left", "dx": -5 if left else 5, "dy": dy, "baseline": "top",
    }  # fmt: skip
    label = {"data": here, "mark": mark, "encoding": {**at, "y": {"value": 2}}}
    return [{"data": here, "mark": rule, "encoding": at}, label]


def span(low: float, high: float, axes: Axes, colour: str, *, opacity: float = 0.12) -> Spec:
    """A vertical stripe from ``low`` to ``high``."""
    here = {"values": [{"x": digits(low), "x2": digits(high)}]}
    mark = {"type": "rect", "color": colour, "opacity": opacity, "clip": True}
    return {
        "data": here,
        "mark": mark,
        "encoding": {"x": {**axes.x, "field": "x"}, "x2": {"field": "x2"}},
    }


def level(value: float, axes: Axes, text: str = "") -> list[Spec]:
    """A dotted horizontal line at ``value``."""
    here = {"values": [{"y": digits(value)}]}
    rule = {
        "type": "rule",
        "color": "var(--ink)",
        "strokeWidth": 1,
        "strokeDash": [2, 3],
        "clip": True,
    }
    at = {"y": {**axes.y, "field": "y"}}
    out: list[Spec] = [{"data": here, "mark": rule, "encoding": at}]
    if text:
        mark = {
            "type": "text",
            "text": text,
            "color": "var(--ink-2)",
            "fontSize": 12,
            "align": "left",
        }
        encoding = {**at, "x": {"value": 4}}
        out.append({"data": here, "mark": {**mark, "dy": -7}, "encoding": encoding})
    return out


def chart(
    name: str,
    layers: list[Spec],
    data: dict[str, Columns],
    text: str,
    *,
    height: int = 260,
    right: int = 8,
    title: str = "",
) -> Chart:
    """A chart without a read-out."""
    spec: Spec = {"width": "container", "height": height, "autosize": FIT, "layer": layers}
    spec["padding"] = {"left": 2, "right": right, "top": 8, "bottom": 2}
    return Chart(name, spec, data, text, title=title)
