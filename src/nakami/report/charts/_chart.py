"""Vega-Lite specifications. Colours are CSS variables, scales are filled in by mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..words import _numbers as num
from ..xray._series import UNCONVERGED, Series, cuts, rows
from ._axes import index_axes, value_axes

Spec = dict[str, Any]
FIT = {"type": "fit-x", "contains": "padding"}
CONFIG: Spec = {
    "background": "transparent",
    "padding": {"left": 2, "right": 6, "top": 8, "bottom": 2},
    "font": "Nakami Sans, system-ui, sans-serif",
    "view": {"stroke": None},
    "mark": {"aria": False},  # a chart has one description with its numbers, and a table
    "axis": {
        "labelColor": "var(--ink-2)", "titleColor": "var(--ink-2)", "labelFontSize": 12.5,
        "titleFontSize": 12.5, "titleFontWeight": 400, "labelFontWeight": 400,
        "domainColor": "var(--ink-3)", "tickColor": "var(--ink-3)", "gridColor": "var(--rule)",
        "gridWidth": 1, "tickSize": 4, "labelPadding": 4, "titlePadding": 8,
        "labelOverlap": "greedy",
    },
    "axisX": {"grid": False},
    "axisY": {
        "domain": False, "ticks": False, "titleAngle": 0, "titleAlign": "left",
        "titleAnchor": "start", "titleBaseline": "bottom", "titleX": -34, "titleY": -10,
    },
    "line": {"strokeCap": "round", "strokeJoin": "round"},
}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """One chart of the page.

    Attributes:
        name: Unique. spec: Vega-Lite, where ``"@x.scale"`` stands for a part of a mode.
        data: Named columns. modes: for axis x and y, what each mode fills in.
        state: The mode drawn first. text: What the chart shows, with its numbers.
        group: Charts of one group share read-out and switches; None for a chart without read-out.
        title: Short heading above the chart. curves: name, colour and text colour of each curve,
            and what its name adds where it is cut before the others end.
    """

    name: str
    spec: Spec
    data: dict[str, dict[str, list[Any]]]
    text: str
    modes: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    group: str | None = None
    title: str = ""
    curves: list[dict[str, str]] = field(default_factory=list)

    def drawn(self) -> Spec:
        """The specification as first drawn, complete with its data."""
        spec = fill(self.spec, {axis: self.modes[axis][mode] for axis, mode in self.state.items()})
        records = {
            name: [dict(zip(cols, row, strict=True)) for row in zip(*cols.values(), strict=True)]
            for name, cols in self.data.items()
        }
        return {**spec, "datasets": records, "description": self.text}


def fill(part: Any, modes: dict[str, Any]) -> Any:
    """Replace every ``"@axis.key"`` by what the chosen mode says."""
    if isinstance(part, dict):
        return {k: fill(v, modes) for k, v in part.items()}
    if isinstance(part, list):
        return [fill(v, modes) for v in part]
    if isinstance(part, str) and part.startswith("@"):
        axis, key = part[1:].split(".")
        return modes[axis][key]
    return part


def spectrum_chart(
    name: str,
    curves: list[Series],
    text: str,
    *,
    height: int,
    title: str = "",
    group: str | None = None,
    like: list[Series] | None = None,
    linear: bool = False,
    y_title: str = "singular value s",
) -> Chart:
    """Singular values by index, one curve for each stage or network.

    Args:
        name: Of the chart.
        curves: What to draw.
        text: What the chart shows, with its numbers.
        height: In pixels.
        title: Heading of a panel; its curves then carry no names.
        group: Read-out and switches shared with other charts.
        like: All curves of a group, so that its panels share their scales.
        linear: Whether the value axis is linear at first.
        y_title: Title of the value axis.
    """
    every = like or curves
    data = rows(every)
    means = [v for v in data["m"] if isinstance(v, float)]
    top = max([v for v in data["hi"] if isinstance(v, float)] + means)
    k = max(c.k for c in every)
    y = value_axes(top, means, [float(c.mean[0]) for c in every])
    x = index_axes(k, small=bool(title))
    known = any(c.complete for c in every)  # then the whole width means something
    state = {
        "y": "linear" if linear or "log" not in y else "log",
        "x": "log" if known and "log" in x else "linear",
    }
    encode = _encodings(curves, y_title)
    ends = cuts(curves)
    layers = [*_curves(curves, encode), *_border(k, not title), *_reading(encode)]
    if ends["i"]:
        layers.append(_cuts(encode))
    return Chart(
        name,
        {
            "width": "container",
            "height": height,
            "autosize": FIT,
            "layer": layers if title else [*layers, _names()],
            "params": [{"name": "idx", "value": min(10, k)}],
        },
        {"src": rows(curves)} | ({"cuts": ends} if ends["i"] else {}),
        text,
        modes={"x": x, "y": y},
        state=state,
        group=group or name,
        title=title,
        curves=[
            {
                "name": c.name,
                "colour": f"var(--{c.colour})",
                "text": f"var(--{c.text})",
                "end": f", cut at {num.whole(c.k)}" if not c.complete and c.k < k else "",
            }
            for c in curves
        ],
    )


def _encodings(curves: list[Series], y_title: str) -> dict[str, Spec]:
    names = [c.name for c in curves]

    def by_name(values: list[Any]) -> Spec:
        scale = {"domain": names, "range": values}
        return {"field": "c", "type": "nominal", "legend": None, "scale": scale}

    x = {"scale": "@x.scale", "axis": "@x.axis", "title": "index of the direction, largest first"}
    y = {"scale": "@y.scale", "axis": "@y.axis", "title": y_title}
    return {
        "x": {"field": "i", "type": "quantitative", **x},
        "y": {"type": "quantitative", **y},
        "color": by_name([f"var(--{c.colour})" for c in curves]),
        "strokeDash": by_name([[5, 4] if c.dashed else [1, 0] for c in curves]),
    }


def _curves(curves: list[Series], e: dict[str, Spec]) -> list[Spec]:
    def layer(mark: Spec, field: str, **more: Spec) -> Spec:
        at = {"x": e["x"], "y": {**e["y"], "field": field}, "color": e["color"]}
        return {
            "data": {"name": "src"},
            "mark": {"clip": True, **mark},
            "encoding": {**at, **more},
        }

    line = {"type": "line", "strokeWidth": 2}
    out = []
    if any(np.isfinite(c.sd).any() for c in curves):
        out.append(layer({"type": "area", "opacity": 0.16}, "lo", y2={"field": "hi"}))
    dashed = {"strokeDash": e["strokeDash"]} if any(c.dashed for c in curves) else {}
    out.append(layer(line, "d", **dashed))
    if any((c.state == UNCONVERGED).any() for c in curves):
        out.append(layer({**line, "strokeDash": [0.1, 4.5]}, "u"))
    if any(len(c.index) == 1 for c in curves):
        out.append(layer({"type": "point", "filled": True, "size": 46, "opacity": 1}, "m"))
    return out


def _border(k: int, noted: bool) -> list[Spec]:
    one = {"datum": 1, "type": "quantitative"}
    dots = {"type": "rule", "color": "var(--ink)", "strokeWidth": 1, "strokeDash": [2, 3]}
    line = {"data": {"values": [{}]}, "encoding": {"y": one}, "mark": {**dots, "clip": True}}
    if not noted:
        return [line]
    mark = {
        "type": "text",
        "dx": -4,
        "fontSize": 12,
        "color": "var(--ink-2)",
        "align": "right",
        "clip": True,
    }
    at = {"x": {"field": "x", "type": "quantitative"}, "y": one}
    notes = [
        {"data": {"values": [{"x": k}]}, "mark": {**mark, "text": text, "dy": dy}, "encoding": at}
        for text, dy in (("stretched, s > 1", -8), ("shrunk, s < 1", 10))
    ]
    return [line, *notes]


def _cuts(e: dict[str, Spec]) -> Spec:
    """Where a curve stops because no more values were computed: an upright end mark."""
    data = {"name": "cuts"}
    at = {"x": e["x"], "y": {**e["y"], "field": "v"}, "color": e["color"]}
    end = {"type": "tick", "orient": "vertical", "size": 15, "thickness": 2, "clip": True}
    return {"data": data, "mark": end, "encoding": at}


def _reading(e: dict[str, Spec]) -> list[Spec]:
    here = {"filter": "datum.i == idx"}
    once = {"aggregate": [{"op": "count", "as": "n"}], "groupby": ["i"]}
    rule = {"type": "rule", "color": "var(--ink-3)", "strokeWidth": 1}
    point = {"type": "point", "filled": True, "size": 46, "clip": True, "opacity": 1}
    edge = {"stroke": "var(--paper)", "strokeWidth": 1.5}
    src = {"name": "src"}
    value = {"x": e["x"], "y": {**e["y"], "field": "m"}, "color": e["color"]}
    return [
        {"data": src, "transform": [here, once], "mark": rule, "encoding": {"x": e["x"]}},
        {"data": src, "transform": [here], "mark": {**point, **edge}, "encoding": value},
    ]


def _names() -> Spec:
    """Names of the curves; where they stand is found in the page, from the drawn widths."""
    mark = {"type": "text", "fontSize": 13, "fontWeight": 600, "baseline": "middle"}
    return {
        "data": {"name": "names"},
        "mark": {**mark, "align": "left"},
        "encoding": {
            "x": {"field": "i", "type": "quantitative", "scale": "@x.scale"},
            "y": {"field": "v", "type": "quantitative", "scale": "@y.scale"},
            "text": {"field": "t"},
            "color": {"field": "p", "type": "nominal", "scale": None},
        },
    }
