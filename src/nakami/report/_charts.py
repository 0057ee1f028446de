"""Vega-Lite specifications. Colours are CSS variables, scales are filled in by mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nakami.results import Estimate, PairedChange

from . import _numbers as num
from ._scales import index_axes, linear_axis, log_axis, value_axes
from ._series import NOISE, Series, digits, rows

Spec = dict[str, Any]
FIT = {"type": "fit-x", "contains": "padding"}
CONFIG: Spec = {
    "background": None,
    "padding": {"left": 2, "right": 6, "top": 8, "bottom": 2},
    "font": "Nakami Sans, system-ui, sans-serif",
    "view": {"stroke": None},
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
        id: Unique name. spec: Vega-Lite, where ``"@x.scale"`` stands for a part of a mode.
        data: Named columns. modes: for axis x and y, what each mode fills in.
        state: The mode drawn first. text: What the chart shows, with its numbers.
        group: Charts of one group share read-out and switches; None for a chart without read-out.
        title: Short heading above the chart. curves: name, colour and text colour of each curve.
    """

    id: str
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
    id: str, curves: list[Series], text: str, *, height: int, title: str = "", group: str | None = None,
    like: list[Series] | None = None, linear: bool = False, y_title: str = "singular value s",
    labelled: bool = True,
) -> Chart:  # fmt: skip
    """Singular values by index, one curve for each stage or network.

    Args:
        id: Name of the chart. curves: What to draw. text: Its description.
        height: In pixels. title: Heading of a panel. group: Read-out shared with other charts.
        like: All curves of a group, so that its panels share their scales.
        linear: Whether the value axis is drawn linear at first.
        y_title: Title of the value axis. labelled: Whether curves carry their names.
    """
    every = like or curves
    data = rows(every)
    tops = [v for v in data["hi"] + data["m"] if isinstance(v, float)]
    lows = [v for v in data["m"] if isinstance(v, float)]
    k = max(c.k for c in every)
    y, x = value_axes(tops, lows), index_axes(k)
    complete = all(c.complete for c in every)
    state = {"y": "linear" if linear or "log" not in y else "log",
             "x": "log" if complete and "log" in x else "linear"}  # fmt: skip
    encode = _spectrum_encodings(curves, y_title)
    layers = [*_curves(curves, encode), *_border(k, labelled), *_reading(encode)]
    if labelled:
        layers.append(_names())
    return Chart(
        id=id, text=text, title=title, group=group or id, modes={"x": x, "y": y}, state=state,
        spec={"width": "container", "height": height, "autosize": FIT, "layer": layers,
              "params": [{"name": "idx", "value": min(10, k)}]},
        data={"src": rows(curves)},
        curves=[{"name": c.name, "colour": f"var(--{c.colour})", "text": f"var(--{c.text})"}
                for c in curves],
    )  # fmt: skip


def _spectrum_encodings(curves: list[Series], y_title: str) -> dict[str, Spec]:
    names = [c.name for c in curves]
    colour = {"field": "c", "type": "nominal", "legend": None,
              "scale": {"domain": names, "range": [f"var(--{c.colour})" for c in curves]}}  # fmt: skip
    x = {"field": "i", "type": "quantitative", "scale": "@x.scale", "axis": "@x.axis",
         "title": "index of the direction, largest first"}  # fmt: skip
    y = {"type": "quantitative", "scale": "@y.scale", "axis": "@y.axis", "title": y_title}
    dash = {"field": "c", "type": "nominal", "legend": None,
            "scale": {"domain": names, "range": [[5, 4] if c.dashed else [1, 0] for c in curves]}}  # fmt: skip
    return {"x": x, "y": y, "color": colour, "strokeDash": dash}


def _curves(curves: list[Series], e: dict[str, Spec]) -> list[Spec]:
    src = {"name": "src"}
    out: list[Spec] = []
    if any(c.sd.size and c.sd[0] == c.sd[0] for c in curves):
        out.append({"data": src, "mark": {"type": "area", "clip": True, "opacity": 0.16},
                    "encoding": {"x": e["x"], "y": {**e["y"], "field": "lo"}, "y2": {"field": "hi"},
                                 "color": e["color"]}})  # fmt: skip
    solid = {"x": e["x"], "y": {**e["y"], "field": "d"}, "color": e["color"]}
    if any(c.dashed for c in curves):
        solid["strokeDash"] = e["strokeDash"]
    out.append({"data": src, "mark": {"type": "line", "clip": True, "strokeWidth": 2},
                "encoding": solid})  # fmt: skip
    if any((c.state == 0).any() for c in curves):
        dots = {"type": "line", "clip": True, "strokeWidth": 2, "strokeDash": [0.1, 4.5]}
        out.append({"data": src, "mark": dots,
                    "encoding": {"x": e["x"], "y": {**e["y"], "field": "u"}, "color": e["color"]}})  # fmt: skip
    if any(len(c.index) == 1 for c in curves):
        out.append({"data": src, "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
                    "encoding": {"x": e["x"], "y": {**e["y"], "field": "m"}, "color": e["color"]}})  # fmt: skip
    return out


def _border(k: int, labelled: bool) -> list[Spec]:
    one = {"datum": 1, "type": "quantitative"}
    line = {"data": {"values": [{}]}, "encoding": {"y": one},
            "mark": {"type": "rule", "color": "var(--ink)", "strokeWidth": 1, "strokeDash": [2, 3],
                     "clip": True}}  # fmt: skip
    if not labelled:
        return [line]
    notes = [
        {"data": {"values": [{"x": k}]},
         "mark": {"type": "text", "text": text, "dy": dy, "dx": -4, "fontSize": 12, "clip": True,
                  "color": "var(--ink-2)", "align": "right"},
         "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": one}}
        for text, dy in (("stretched, s > 1", -8), ("erased, s < 1", 10))
    ]  # fmt: skip
    return [line, *notes]


def _reading(e: dict[str, Spec]) -> list[Spec]:
    here = {"filter": "datum.i == idx"}
    once = {"aggregate": [{"op": "count", "as": "n"}], "groupby": ["i"]}
    point = {"type": "point", "filled": True, "size": 46, "clip": True, "opacity": 1,
             "stroke": "var(--paper)", "strokeWidth": 1.5}  # fmt: skip
    return [
        {"data": {"name": "src"}, "transform": [here, once], "encoding": {"x": e["x"]},
         "mark": {"type": "rule", "color": "var(--ink-3)", "strokeWidth": 1}},
        {"data": {"name": "src"}, "transform": [here], "mark": point,
         "encoding": {"x": e["x"], "y": {**e["y"], "field": "m"}, "color": e["color"]}},
    ]  # fmt: skip


def _names() -> Spec:
    """Names of the curves; where they stand is found in the page, from the drawn widths."""
    return {
        "data": {"name": "names"},
        "mark": {"type": "text", "fontSize": 13, "fontWeight": 600, "baseline": "middle",
                 "align": "left"},
        "encoding": {
            "x": {"field": "i", "type": "quantitative", "scale": "@x.scale"},
            "y": {"field": "v", "type": "quantitative", "scale": "@y.scale"},
            "text": {"field": "t"},
            "color": {"field": "p", "type": "nominal", "scale": None},
        },
    }  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Values of one network by stage: an estimate and every input behind it."""

    name: str
    colour: str
    before: bool
    estimates: list[Estimate]
    inputs: list[list[float]]
    doubtful: list[bool]


def stage_chart(id: str, stages: list[str], groups: list[Group], y_title: str, text: str) -> Chart:
    """One quantity by depth: a tick for each input, point and bar for mean and sd."""
    names = [num.short(s, 14) for s in stages]
    names = [f"{n} ({i + 1})" if names.count(n) > 1 else n for i, n in enumerate(names)]
    values = [v for g in groups for one in g.inputs for v in one]
    ends = [v for g in groups for e in g.estimates if e.sd == e.sd for v in (e.mean - e.sd, e.mean + e.sd)]
    positive = min(values, default=0) > 0
    wide = positive and max(values) / min(values) > 50
    axis = log_axis(min(values) * 0.8, max(values) * 1.25) if wide else linear_axis(
        min(0, *values), max([*values, *ends, 1e-12]))  # fmt: skip
    crowded = len(names) > 5
    x = {"field": "s", "type": "ordinal", "sort": names, "scale": {"type": "point", "paddingOuter": 0.5},
         "axis": {"title": None, "labelAngle": -40 if crowded else 0, "grid": False,
                  "labelLimit": 110, "labelOverlap": len(names) > 14}}  # fmt: skip
    y = {"type": "quantitative", "title": y_title, **axis}
    floor = axis["scale"]["domain"][0]
    data: dict[str, dict[str, list[Any]]] = {}
    layers: list[Spec] = []
    for g in groups:
        key = "b" if g.before else "a"
        shift = 0 if len(groups) == 1 else (-9 if g.before else 9)
        data[f"{key}in"] = {"s": [n for n, one in zip(names, g.inputs, strict=True) for _ in one],
                            "v": [digits(v) for one in g.inputs for v in one]}  # fmt: skip
        data[f"{key}mean"] = {
            "s": names, "m": [digits(e.mean) for e in g.estimates],
            "lo": [digits(max(e.mean - e.sd, floor)) for e in g.estimates],
            "hi": [digits(e.mean + e.sd) for e in g.estimates],
            "t": [("≥ " if e.lower_bound else "") + num.plain(e.mean) for e in g.estimates],
            "fill": ["var(--paper)" if g.before or bad else g.colour for bad in g.doubtful],
        }  # fmt: skip
        layers += _stage_layers(g, key, shift, x, y, len(names))
    spec = {"width": "container", "height": 300 if crowded else 260, "autosize": FIT, "layer": layers}
    return Chart(id=id, text=text, spec=spec, data=data)


def _stage_layers(g: Group, key: str, shift: int, x: Spec, y: Spec, n: int) -> list[Spec]:
    mean, at = {"name": f"{key}mean"}, {"x": x, "y": {**y, "field": "m"}}
    side = {"align": "right", "dx": -9 + shift} if g.before else {"align": "left", "dx": 9 + shift}
    layers: list[Spec] = [
        {"data": {"name": f"{key}in"}, "encoding": {"x": x, "y": {**y, "field": "v"}},
         "mark": {"type": "tick", "orient": "horizontal", "size": 13, "thickness": 1,
                  "color": g.colour, "opacity": 0.45, "xOffset": shift}},
        {"data": mean, "encoding": at,
         "mark": {"type": "line", "color": g.colour, "strokeWidth": 1.6, "xOffset": shift,
                  "strokeDash": [5, 4] if g.before else [1, 0]}},
    ]  # fmt: skip
    if any(e.sd == e.sd for e in g.estimates):
        layers.append({"data": mean, "encoding": {"x": x, "y": {**y, "field": "lo"}, "y2": {"field": "hi"}},
                       "mark": {"type": "rule", "color": g.colour, "strokeWidth": 1.6, "xOffset": shift}})  # fmt: skip
    layers.append({
        "data": mean,
        "encoding": {**at, "fill": {"field": "fill", "type": "nominal", "scale": None}},
        "mark": {"type": "point", "shape": "circle", "filled": True, "size": 70, "opacity": 1,
                 "stroke": g.colour, "strokeWidth": 1.8, "xOffset": shift},
    })  # fmt: skip
    if n <= 6:
        layers.append({"data": mean, "encoding": {**at, "text": {"field": "t"}},
                       "mark": {"type": "text", "color": g.colour, "fontWeight": 600, "fontSize": 12.5,
                                "dy": 13 if g.before else -10, **side}})  # fmt: skip
    return layers


def change_chart(id: str, changes: list[PairedChange], x_title: str, text: str) -> Chart:
    """After minus before at every input, with the mean and 2 s.e."""
    names = [num.short(c.stage, 18) for c in changes]
    single = [(n, float(v)) for n, c in zip(names, changes, strict=True) for v in c.after - c.before]
    low, high = [c.mean - 2 * c.se for c in changes], [c.mean + 2 * c.se for c in changes]
    ends = [v for v in [*low, *high, *(v for _, v in single), 0.0] if v == v]
    axis = linear_axis(min(ends), max(ends)) if min(ends) < max(ends) else linear_axis(-1, 1)
    axis["axis"] |= {"grid": True, "labelExpr": "(datum.value > 0 ? '+' : '') + "
                     "replace(format(datum.value, '~g'), '-', '\u2212')"}  # fmt: skip
    x = {"type": "quantitative", "title": x_title, **axis}
    y = {"field": "s", "type": "nominal", "sort": names, "title": None,
         "scale": {"paddingInner": 0.2},
         "axis": {"grid": False, "ticks": False, "domain": False, "labelFontSize": 13}}  # fmt: skip
    data = {
        "pts": {"s": [n for n, _ in single], "v": [digits(v) for _, v in single]},
        "mean": {"s": names, "m": [digits(c.mean) for c in changes],
                 "lo": [digits(v) for v in low], "hi": [digits(v) for v in high],
                 "end": [digits(v if v == v else c.mean) for v, c in zip(high, changes, strict=True)],
                 "t": [str(_unmarked(c)) for c in changes]},
    }  # fmt: skip
    spec = {"width": "container", "height": 22 + 56 * len(names), "autosize": FIT,
            "padding": {"left": 2, "right": 70, "top": 4, "bottom": 2},
            "layer": _change_layers(x, y)}  # fmt: skip
    return Chart(id=id, text=text, spec=spec, data=data)


def _unmarked(change: PairedChange) -> str:
    if change.se != change.se:
        return ("+" if change.mean > 0 else "") + num.plain(change.mean)
    mean, spread = num.split(change.mean, change.se, sign=True)
    return f"{mean.striptags()}{num.NBSP}{spread.striptags()}".strip()


def _change_layers(x: Spec, y: Spec) -> list[Spec]:
    after, stack = "var(--after)", {"op": "row_number", "as": "r"}
    up = {"yOffset": -17}
    mean: Spec = {"name": "mean"}
    return [
        {"data": {"values": [{}]}, "encoding": {"x": {"datum": 0, "type": "quantitative"}},
         "mark": {"type": "rule", "color": "var(--ink)", "strokeWidth": 1, "strokeDash": [2, 3]}},
        {"data": {"name": "pts"}, "transform": [{"window": [stack], "groupby": ["s", "v"]}],
         "mark": {"type": "circle", "size": 34, "color": after, "opacity": 0.4},
         "encoding": {"x": {**x, "field": "v"}, "y": y,
                      "yOffset": {"field": "r", "type": "quantitative", "scale": {"domain": [-4, 9]}}}},
        {"data": mean, "mark": {"type": "rule", "strokeWidth": 2.5, "color": after, **up},
         "encoding": {"x": {**x, "field": "lo"}, "x2": {"field": "hi"}, "y": y}},
        {"data": mean, "encoding": {"x": {**x, "field": "m"}, "y": y},
         "mark": {"type": "point", "filled": True, "shape": "diamond", "size": 110, "color": after,
                  "opacity": 1, **up}},
        {"data": mean, "encoding": {"x": {**x, "field": "end"}, "y": y, "text": {"field": "t"}},
         "mark": {"type": "text", "align": "left", "dx": 9, "color": after, "fontWeight": 600,
                  "fontSize": 13, **up}},
    ]  # fmt: skip


def has_noise(curves: list[Series]) -> bool:
    """Whether some drawn value lies below the floor of the arithmetic."""
    return any((c.state == NOISE).any() for c in curves)
