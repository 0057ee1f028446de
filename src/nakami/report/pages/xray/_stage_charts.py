"""Charts of one number by stage: every input, mean and sd; and the paired change."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from nakami.results import Estimate, PairedChange

from ...charts import _marks as kit
from ...charts._axes import MINUS_SIGN, linear_axis, log_axis
from ...charts._chart import Chart, Columns, Spec, chart, columns
from ...charts._labels import AROUND, Label
from ...charts._marks import AFTER, BEFORE, DASHES, DOTS, INK, Axes
from ...words import _numbers as num

LABELLED = 6  # up to so many stages carry their mean as a number
# of a number left below its point, where the network before is drawn
BELOW = ((-1, 13), (1, 13), (-1, -10), (1, -10), (-1, 8), (0, 16), (-1, 21), (-1, -17), (0, -16))
APART = 9  # pixels left and right of the stage, where two networks are drawn


@dataclass(frozen=True)
class Group:
    """Values of one network by stage: an estimate and every input behind it."""

    before: bool
    estimates: list[Estimate]
    inputs: list[list[float]]
    doubtful: list[bool]
    joined: bool = True  # by a line from one to the next

    @property
    def colour(self) -> str:
        """Of the network's marks."""
        return BEFORE if self.before else AFTER


def stage_chart(name: str, stages: list[str], groups: list[Group], title: str, text: str) -> Chart:
    """One quantity by depth: a tick for each input, point and bar for mean and sd."""
    names = num.unique([num.short(s, 14) for s in stages])
    y, crowded = _axis(groups), len(names) > LABELLED - 1
    look = {"title": None, "labelAngle": -40 if crowded else 0, "labelLimit": 110}
    x = {
        "type": "ordinal", "sort": names,
        "scale": {"type": "point", "paddingOuter": 0.5, "domain": names},
        "axis": {**look, "labelOverlap": len(names) > 14},
    }  # fmt: skip
    axes = Axes(x, {"type": "quantitative", "title": title, **y})
    data: dict[str, Columns] = {}
    layers: kit.Layers = []
    for g in groups:
        shift = 0 if len(groups) == 1 else -APART if g.before else APART
        data |= _columns(g, names, y["scale"]["domain"][0])
        if len(names) <= LABELLED:
            layers += _numbers(g, names, axes, shift)
        layers += _stage_layers(g, axes, shift)
    return chart(name, layers, data, text, height=300 if crowded else 260)


def _axis(groups: list[Group]) -> Spec:
    values = [v for g in groups for one in g.inputs for v in one]
    values += [end for g in groups for e in g.estimates for end in e.interval or ()]
    sds = [(e.mean, e.sd) for g in groups for e in g.estimates if math.isfinite(e.sd)]
    low, high = min(values), max(values)
    if low > 0 and high / low > 50:
        return log_axis(low * 0.8, high * 1.25)
    top = max([high * 1.06, *(m + sd for m, sd in sds)]) or 1.0  # room for a number above a point
    return linear_axis(min(0.0, low), top)


def _key(g: Group) -> str:
    return "before" if g.before else "after"


def _numbers(g: Group, names: list[str], axes: Axes, shift: int) -> list[Label]:
    """The means as texts: of the network before left below its points, else right above."""
    ways = BELOW if g.before else AROUND
    texts = [_mean(e) for e in g.estimates]
    return [
        kit.name(text, axes, g.colour, [(name, e.mean)], ways, shift=shift)
        for text, name, e in zip(texts, names, g.estimates, strict=True)
    ]


def _mean(e: Estimate) -> str:
    if e.interval is not None:
        return f"≈ {num.rounded(e.mean, *e.interval)}"
    return f"{'≥ ' if e.lower_bound else ''}{num.number(e.mean)}"


def _columns(g: Group, names: list[str], floor: float) -> dict[str, Columns]:
    mean, sd = (np.array([getattr(e, key) for e in g.estimates]) for key in ("mean", "sd"))
    doubt = np.array([e.interval or (e.mean, e.mean) for e in g.estimates])
    return {
        f"{_key(g)}-inputs": columns(
            s=[n for n, one in zip(names, g.inputs, strict=True) for _ in one],
            v=[v for one in g.inputs for v in one],
        ),
        _key(g): columns(
            s=names, m=mean, lo=np.maximum(mean - sd, floor), hi=mean + sd,
            least=doubt[:, 0], most=doubt[:, 1],
            fill=["var(--paper)" if g.before or bad else g.colour for bad in g.doubtful],
            shape=[_shape(e, bad) for e, bad in zip(g.estimates, g.doubtful, strict=True)],
        ),
    }  # fmt: skip


def _shape(e: Estimate, doubtful: bool) -> str:
    if doubtful:
        return "square"
    return "diamond" if e.interval is not None else "triangle-up" if e.lower_bound else "circle"


def _stage_layers(g: Group, axes: Axes, shift: int) -> list[Spec]:
    key, drawn = _key(g), {"color": g.colour, "xOffset": shift}
    tick = {"orient": "horizontal", "size": 13, "thickness": 1, "opacity": 0.45}
    dash = DASHES if g.before else [1, 0]
    layers = [
        kit.layer(f"{key}-inputs", axes.at("s", "v"), "tick", **tick, **drawn),
    ]
    if g.joined:
        way = axes.at("s", "m")
        layers.append(kit.layer(key, way, "line", strokeWidth=1.6, strokeDash=dash, **drawn))
    if any(e.interval is not None for e in g.estimates):
        ends = axes.at("s", "least", y2={"field": "most"})
        layers.insert(0, kit.layer(key, ends, "rule", strokeWidth=9, opacity=0.22, **drawn))
    if any(math.isfinite(e.sd) for e in g.estimates):
        ends = axes.at("s", "lo", y2={"field": "hi"})
        layers.append(kit.layer(key, ends, "rule", strokeWidth=1.6, **drawn))
    look = {"filled": True, "size": 70, "opacity": 1, "strokeWidth": 1.8, "stroke": g.colour}
    at = axes.at("s", "m", **kit.as_given("fill", "shape"))
    return [*layers, kit.layer(key, at, "point", xOffset=shift, **look)]


def change_chart(name: str, changes: list[PairedChange], title: str, text: str) -> Chart:
    """After minus before at every input, with the mean and its 95 % interval."""
    names = num.unique([num.short(c.stage, 18) for c in changes])
    single = columns(
        s=[n for n, c in zip(names, changes, strict=True) for _ in c.after],
        v=[float(v) for c in changes for v in c.after - c.before],
    )
    mean, high = [c.mean for c in changes], [c.high for c in changes]
    low = [c.low for c in changes]
    end = [v if math.isfinite(v) else m for v, m in zip(high, mean, strict=True)]
    texts = [
        num.ends(c.low, c.high) if c.open else num.pair(c.mean, c.se, sign=True) for c in changes
    ]
    data = {"points": single, "mean": columns(s=names, m=mean, lo=low, hi=high, end=end, t=texts)}
    every = [*low, *high, *(v for v in single["v"] if v is not None), 0.0]
    ends = [v for v in every if math.isfinite(v)]
    x = {"type": "quantitative", "title": title, **_signed_axis(min(ends), max(ends))}
    most = max(Counter(zip(single["s"], single["v"], strict=True)).values())
    layers = _change_layers(Axes(x, kit.named_axis(names, 0.2)), most)
    room = {"right": 70, "top": 4}
    return chart(name, layers, data, text, height=22 + 56 * len(names), padding=room)


def _signed_axis(low: float, high: float) -> Spec:
    axis = linear_axis(low, high) if low < high else linear_axis(-1, 1)
    sign = f"(datum.value > 0 ? '+' : '') + {MINUS_SIGN}"
    axis["axis"] |= {"grid": True, "labelExpr": sign}
    return axis


def _change_layers(axes: Axes, most: int) -> list[Spec]:
    up = {"color": AFTER, "yOffset": -17}
    zero = {"x": {"datum": 0, "type": "quantitative"}}
    stack = {"field": "r", "type": "quantitative", "scale": {"domain": [-4, max(9, most + 1)]}}
    at = axes.at("v", "s", yOffset=stack)
    dots = kit.layer("points", at, "circle", size=34, opacity=0.4, color=AFTER)
    dots["transform"] = [{"window": [{"op": "row_number", "as": "r"}], "groupby": ["s", "v"]}]
    diamond = {"filled": True, "shape": "diamond", "size": 110, "opacity": 1, **up}
    text = {"align": "left", "dx": 9, "fontWeight": 600, "fontSize": 13, **up}
    return [
        kit.layer([{}], zero, "rule", color=INK, strokeWidth=1, strokeDash=DOTS),
        dots,
        kit.layer("mean", axes.at("lo", "s", x2={"field": "hi"}), "rule", strokeWidth=2.5, **up),
        kit.layer("mean", axes.at("m", "s"), "point", **diamond),
        kit.layer("mean", axes.at("end", "s", text={"field": "t"}), "text", **text),
    ]
