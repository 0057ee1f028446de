"""Charts of the page: singular values, ranks and the identity's share by depth, errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...charts import _marks as kit
from ...charts._chart import Chart, Columns, Spec, chart, columns
from ...charts._marks import Axes
from ...page._sections import Figure, side_by_side
from ...words import _numbers as num
from ._data import SURE, WANTED, Data, say

if TYPE_CHECKING:
    from nakami.results import Jackknifed, Lens

ONE, OTHER = ("var(--d1)", "var(--t1)"), ("var(--d2)", "var(--t2)")
RANGE = 1e4  # from the largest value down, on a log axis


def values_figure(data: Data) -> Figure:
    """Singular values of the mean at some stages, with their errors."""
    charts = [_values(data, lens, i) for i, lens in enumerate(data.drawn)]
    caption = say("values.caption", errors=SURE) if data.known else say("values.bare")
    return Figure(say("values.title"), caption, charts, layout=side_by_side(charts))


def _values(data: Data, lens: Lens, index: int) -> Chart:
    values, errors = lens.values, SURE * np.nan_to_num(lens.value_errors)
    top = float((values + errors).max())
    low = max(float(values[values > 0].min(initial=top)), top / RANGE) / 1.3
    axes = Axes(
        kit.index_axis(len(values), say("values.x")),
        kit.axis(low, top * 1.15, say("values.y"), log=True),
    )
    at = list(range(1, len(values) + 1))
    inside = np.maximum(values, low)
    sets = {
        "values": columns(
            x=at, y=inside, lo=np.maximum(values - errors, low), hi=np.maximum(values + errors, low)
        )
    }
    drawn: kit.Layers = [
        kit.band("values", axes, ONE[0], opacity=0.25),
        kit.line("values", axes, ONE[0]),
    ]
    if low < lens.noise < top:
        drawn = [*kit.level(lens.noise, axes, say("values.noise")), *drawn]
    some = [num.pair(float(v), float(e) / SURE) for v, e in zip(values, errors, strict=True)][:6]
    text = say("values.alt", stage=lens.stage, some="; ".join(some), all=len(values))
    title = num.short(lens.stage) if len(data.drawn) > 1 else ""
    return chart(f"values{index}", drawn, sets, text, height=250, title=title)


def depth_figure(data: Data) -> Figure:
    """Effective ranks, and what is shared with the identity and between prompts, by depth."""
    one = data.lenses
    ranks: dict[str, list[Jackknifed]] = {say("depth.whole"): [lens.participation for lens in one]}
    shares: dict[str, list[Jackknifed]] = {}
    if data.known or not data.square:
        shares = {say("depth.agreement"): [lens.agreement for lens in one]}
    if data.square:
        ranks[say("depth.without")] = [lens.participation_beyond for lens in one]
        shares = {say("depth.identity"): [lens.identity_share for lens in one], **shares}
    most = max(float(n.value) for curve in ranks.values() for n in curve)
    charts = [
        _by_depth(data, "rank", ranks, say("depth.rank"), (0.0, most * 1.15)),
        _by_depth(data, "identity", shares, say("depth.share", known=data.known), (0.0, 1.0)),
    ]
    caption = say("depth.caption", errors=SURE) if data.known else say("values.bare")
    return Figure(say("depth.title"), caption, charts, layout="duo")


def _by_depth(
    data: Data,
    name: str,
    curves: dict[str, list[Jackknifed]],
    title: str,
    ends: tuple[float, float],
) -> Chart:
    """One or two numbers by stage, with their errors."""
    depth = data.depth
    axes = Axes(_depth_axis(data), kit.axis(*ends, say(f"depth.y_{name}"), log=False))
    drawn: kit.Layers = []
    sets: dict[str, Columns] = {}
    for (label, numbers), (colour, ink) in zip(curves.items(), (ONE, OTHER), strict=False):
        key = f"c{len(sets)}"
        y = [float(n.value) for n in numbers]
        bars = [SURE * n.se if math.isfinite(n.se) else 0.0 for n in numbers]
        rows = [(v - e, v + e) for v, e in zip(y, bars, strict=True)]
        sets[key] = columns(
            x=depth, y=y, lo=[low for low, _ in rows], hi=[high for _, high in rows],
            stroke=colour, fill=colour, shape="circle",
        )  # fmt: skip
        rule = kit.layer(
            key, axes.at(y="lo", y2={"field": "hi"}), "rule", color=colour, strokeWidth=1.6,
            clip=True,
        )  # fmt: skip
        drawn += [rule, kit.line(key, axes, colour), kit.points(key, axes, size=44)]
        drawn.append(kit.name(label, axes, ink, kit.along(depth, y)))
    said = "; ".join(
        f"{label} {', '.join(num.pair(float(n.value), float(n.se)) for n in numbers)}"
        for label, numbers in curves.items()
    )
    text = say("depth.alt", what=title, said=said)
    return chart(name, drawn, sets, text, height=260, title=title)


def _depth_axis(data: Data) -> Spec:
    depth = data.depth
    title = say("depth.blocks") if data.blocks else say("depth.stages")
    spec: Spec = {"type": "quantitative", "title": title}
    room = 0.4
    domain = [min(depth) - room, max(depth) + room]
    spec["scale"] = {"type": "linear", "domain": domain, "nice": False}
    spec["axis"] = {"values": depth[:: max(1, -(-len(depth) // 8))], "format": "d"}
    return spec


def _log_axis(low: float, high: float, title: str) -> Spec:
    """With ticks at 1, 2 and 5 times powers of ten, every other one where these are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    some = ticks[:: max(1, -(-len(ticks) // 8))]
    return kit.axis(low, high, title, log=True, ticks=some if len(some) > 1 else ())


def error_figure(data: Data) -> Figure:
    """Relative standard error of J against the number of prompts."""
    drawn, sets = list[Any](), dict[str, Columns]()
    curves = {lens.stage: data.found.errors[lens.stage] for lens in data.drawn}
    good = {name: rows[np.isfinite(rows[:, 1]) & (rows[:, 1] > 0)] for name, rows in curves.items()}
    every = np.concatenate(list(good.values()))
    (left, low), (right, high) = every.min(axis=0), every.max(axis=0)
    axes = Axes(
        _log_axis(float(left), float(max(right, left * 1.01)), say("error.x")),
        _log_axis(100 * min(low, WANTED) / 1.3, 100 * high * 1.3, say("error.y")),
    )
    drawn += kit.level(100 * WANTED, axes, say("error.wanted", wanted=100 * WANTED))
    ends = {0: ONE, len(good) - 1: OTHER}
    for i, (name, rows) in enumerate(good.items()):
        colour, ink = ends.get(i, ("var(--ink-3)", "var(--ink-2)"))
        sets[f"e{i}"] = columns(x=rows[:, 0], y=100 * rows[:, 1])
        drawn.append(kit.line(f"e{i}", axes, colour))
        if i in ends:
            places = kit.along(rows[:, 0].tolist(), (100 * rows[:, 1]).tolist())
            drawn.append(kit.name(num.short(name), axes, ink, places))
    said = "; ".join(
        f"{name} {num.number(100 * float(rows[-1, 1]))} %" for name, rows in good.items()
    )
    text = say("error.alt", prompts=data.first.n_prompts, said=said)
    made = chart("error", drawn, sets, text, height=280)
    return Figure(say("error.title"), say("error.caption"), [made])
