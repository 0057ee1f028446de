"""Charts of one number by stage: every input, mean and sd; and the paired change."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from nakami.results import Estimate, PairedChange

from ..charts._axes import MINUS_SIGN, linear_axis, log_axis
from ..charts._chart import FIT, Chart, Spec
from ..charts._labels import GAP, PLACES, places
from ..words import _numbers as num
from ._series import digits

LABELLED = 6  # up to so many stages carry their mean as a number
APART = 9  # pixels left and right of the stage, where two networks are drawn


@dataclass(frozen=True)
class Group:
    """Values of one network by stage: an estimate and every input behind it."""

    colour: str
    before: bool
    estimates: list[Estimate]
    inputs: list[list[float]]
    doubtful: list[bool]


def stage_chart(name: str, stages: list[str], groups: list[Group], title: str, text: str) -> Chart:
    """One quantity by depth: a tick for each input, point and bar for mean and sd.

    Args:
        name: Of the chart.
        stages: In order of depth.
        groups: One for each network.
        title: Of the value axis.
        text: What the chart shows, with its numbers.
    """
    names = [num.short(s, 14) for s in stages]
    names = [f"{n} ({i + 1})" if names.count(n) > 1 else n for i, n in enumerate(names)]
    axis = _axis(groups)
    crowded = len(names) > LABELLED - 1
    x = {
        "field": "s",
        "type": "ordinal",
        "sort": names,
        "scale": {"type": "point", "paddingOuter": 0.5},
        "axis": {
            "title": None,
            "labelAngle": -40 if crowded else 0,
            "labelLimit": 110,
            "labelOverlap": len(names) > 14,
        },
    }
    y = {"type": "quantitative", "title": title, **axis}
    data: dict[str, dict[str, list[Any]]] = {}
    layers: list[Spec] = []
    height = 300 if crowded else 260
    for g, where in zip(groups, _placed(groups, axis, height), strict=True):
        key = "before" if g.before else "after"
        data |= _columns(g, key, names, axis["scale"]["domain"][0])
        data[key]["at"] = where
        shift = _shift(g, groups)
        layers += _stage_layers(g, key, shift, x, y)
    spec = {"width": "container", "height": height, "autosize": FIT, "layer": layers}
    return Chart(name, spec, data, text)


def _axis(groups: list[Group]) -> dict[str, Any]:
    values = [v for g in groups for one in g.inputs for v in one]
    sds = [(e.mean, e.sd) for g in groups for e in g.estimates if math.isfinite(e.sd)]
    low, high = min(values), max(values)
    if low > 0 and high / low > 50:
        return log_axis(low * 0.8, high * 1.25)
    top = max([high * 1.06, *(m + sd for m, sd in sds)]) or 1.0  # room for a number above a point
    return linear_axis(min(0.0, low), top)


def _shift(g: Group, groups: list[Group]) -> int:
    return 0 if len(groups) == 1 else -APART if g.before else APART


def _placed(groups: list[Group], axis: dict[str, Any], height: int) -> list[list[str]]:
    """Where the numbers stand, reckoned for the width of the page's text."""
    n, scale = len(groups[0].estimates), axis["scale"]
    wide, tall = (300 if n < LABELLED else 690), float(height)

    def down(value: float) -> float:
        low, high = scale["domain"]
        if scale["type"] == "log":
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return (high - value) / (high - low) * tall

    lines = [
        [
            ((i + 0.5) * wide / n + _shift(g, groups), down(e.mean))
            for i, e in enumerate(g.estimates)
        ]
        for g in groups
    ]
    spans = [[e.sd if math.isfinite(e.sd) else 0.0 for e in g.estimates] for g in groups]
    bars = [
        [(down(e.mean + sd), down(e.mean - sd)) for e, sd in zip(g.estimates, sds, strict=True)]
        for g, sds in zip(groups, spans, strict=True)
    ]
    return places(lines, bars, [[_number(e) for e in g.estimates] for g in groups], tall)


def _number(e: Estimate) -> str:
    return ("≥ " if e.lower_bound else "") + num.plain(e.mean)


def _columns(g: Group, key: str, names: list[str], floor: float) -> dict[str, dict[str, Any]]:
    return {
        f"{key}-inputs": {
            "s": [n for n, one in zip(names, g.inputs, strict=True) for _ in one],
            "v": [digits(v) for one in g.inputs for v in one],
        },
        key: {
            "s": names,
            "m": [digits(e.mean) for e in g.estimates],
            "lo": [digits(max(e.mean - e.sd, floor)) for e in g.estimates],
            "hi": [digits(e.mean + e.sd) for e in g.estimates],
            "t": [_number(e) for e in g.estimates],
            "fill": ["var(--paper)" if g.before or bad else g.colour for bad in g.doubtful],
            "shape": ["square" if bad else "circle" for bad in g.doubtful],
        },
    }


def _stage_layers(g: Group, key: str, shift: int, x: Spec, y: Spec) -> list[Spec]:
    data, at = {"name": key}, {"x": x, "y": {**y, "field": "m"}}
    tick = {"type": "tick", "orient": "horizontal", "size": 13, "thickness": 1, "opacity": 0.45}
    line = {"type": "line", "strokeWidth": 1.6, "strokeDash": [5, 4] if g.before else [1, 0]}
    bar = {"type": "rule", "strokeWidth": 1.6}
    point = {"type": "point", "filled": True, "size": 70, "opacity": 1, "strokeWidth": 1.8}
    drawn = {"color": g.colour, "xOffset": shift}
    layers: list[Spec] = [
        {
            "data": {"name": f"{key}-inputs"},
            "mark": {**tick, **drawn},
            "encoding": {"x": x, "y": {**y, "field": "v"}},
        },
        {"data": data, "mark": {**line, **drawn}, "encoding": at},
    ]
    if any(math.isfinite(e.sd) for e in g.estimates):
        ends = {"x": x, "y": {**y, "field": "lo"}, "y2": {"field": "hi"}}
        layers.append({"data": data, "mark": {**bar, **drawn}, "encoding": ends})
    looks = {k: {"field": k, "type": "nominal", "scale": None} for k in ("fill", "shape")}
    layers.append(
        {
            "data": data,
            "mark": {**point, "stroke": g.colour, "xOffset": shift},
            "encoding": {**at, **looks},
        }
    )
    if len(g.estimates) <= LABELLED:
        layers += _numbers(g, data, shift, at)
    return layers


def _numbers(g: Group, data: Spec, shift: int, at: Spec) -> list[Spec]:
    mark = {"type": "text", "color": g.colour, "fontWeight": 600, "fontSize": 12.5}
    label = {"data": data, "encoding": {**at, "text": {"field": "t"}}}
    return [
        {
            **label,
            "transform": [{"filter": f"datum.at == '{place}'"}],
            "mark": {
                **mark,
                "align": "left" if side > 0 else "right",
                "dx": shift + side * GAP,
                "dy": dy,
            },
        }
        for place, (side, dy) in PLACES.items()
    ]


def change_chart(name: str, changes: list[PairedChange], title: str, text: str) -> Chart:
    """After minus before at every input, with the mean and its 95 % interval.

    Args:
        name: Of the chart.
        changes: One for each stage.
        title: Of the value axis.
        text: What the chart shows, with its numbers.
    """
    names = [num.short(c.stage, 18) for c in changes]
    names = [f"{n} ({i + 1})" if names.count(n) > 1 else n for i, n in enumerate(names)]
    low, high = [c.low for c in changes], [c.high for c in changes]
    single = [
        (n, digits(float(v)))
        for n, c in zip(names, changes, strict=True)
        for v in c.after - c.before
    ]
    data: dict[str, dict[str, list[Any]]] = {
        "points": {"s": [n for n, _ in single], "v": [v for _, v in single]},
        "mean": {
            "s": names,
            "m": [digits(c.mean) for c in changes],
            "lo": [digits(v) for v in low],
            "hi": [digits(v) for v in high],
            "end": [
                digits(v if math.isfinite(v) else c.mean)
                for v, c in zip(high, changes, strict=True)
            ],
            "t": [_label(c) for c in changes],
        },
    }
    every = [*low, *high, *(v for _, v in single if v is not None), 0.0]
    ends = [v for v in every if math.isfinite(v)]
    x = {"type": "quantitative", "title": title, **_signed_axis(ends)}
    y = {
        "field": "s",
        "type": "nominal",
        "sort": names,
        "title": None,
        "scale": {"paddingInner": 0.2},
        "axis": {"grid": False, "ticks": False, "domain": False, "labelFontSize": 13, "offset": 7},
    }
    spec = {
        "width": "container",
        "height": 22 + 56 * len(names),
        "autosize": FIT,
        "padding": {"left": 2, "right": 70, "top": 4, "bottom": 2},
        "layer": _change_layers(x, y, max(Counter(single).values())),
    }
    return Chart(name, spec, data, text)


def _signed_axis(ends: list[float]) -> dict[str, Any]:
    low, high = min(ends), max(ends)
    axis = linear_axis(low, high) if low < high else linear_axis(-1, 1)
    sign = f"(datum.value > 0 ? '+' : '') + {MINUS_SIGN}"
    axis["axis"] |= {"grid": True, "labelExpr": sign}
    return axis


def _label(change: PairedChange) -> str:
    if not math.isfinite(change.se):
        return ("+" if change.mean > 0 else "") + num.plain(change.mean)
    mean, spread = num.split(change.mean, change.se, sign=True)
    if "<" in spread:  # a chart's text holds no raised exponent
        return f"{num.plain(change.mean, 2)} ± {num.plain(change.se, 2)}"
    return f"{mean}{num.NBSP}{spread}".strip()


def _change_layers(x: Spec, y: Spec, most: int) -> list[Spec]:
    after = {"color": "var(--after)"}
    up = {**after, "yOffset": -17}
    mean: Spec = {"name": "mean"}
    zero = {"type": "rule", "color": "var(--ink)", "strokeWidth": 1, "strokeDash": [2, 3]}
    stack = {"field": "r", "type": "quantitative", "scale": {"domain": [-4, max(9, most + 1)]}}
    diamond = {"type": "point", "filled": True, "shape": "diamond", "size": 110, "opacity": 1}
    text = {"type": "text", "align": "left", "dx": 9, "fontWeight": 600, "fontSize": 13}
    return [
        {
            "data": {"values": [{}]},
            "mark": zero,
            "encoding": {"x": {"datum": 0, "type": "quantitative"}},
        },
        {
            "data": {"name": "points"},
            "transform": [{"window": [{"op": "row_number", "as": "r"}], "groupby": ["s", "v"]}],
            "mark": {"type": "circle", "size": 34, "opacity": 0.4, **after},
            "encoding": {"x": {**x, "field": "v"}, "y": y, "yOffset": stack},
        },
        {
            "data": mean,
            "mark": {"type": "rule", "strokeWidth": 2.5, **up},
            "encoding": {"x": {**x, "field": "lo"}, "x2": {"field": "hi"}, "y": y},
        },
        {"data": mean, "mark": {**diamond, **up}, "encoding": {"x": {**x, "field": "m"}, "y": y}},
        {
            "data": mean,
            "mark": {**text, **up},
            "encoding": {"x": {**x, "field": "end"}, "y": y, "text": {"field": "t"}},
        },
    ]
