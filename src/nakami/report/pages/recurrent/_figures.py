"""Charts of the page: a portrait of the states, eigenvalues on the complex plane, exponents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...charts import _marks as kit
from ...charts._chart import Chart, chart, columns
from ...charts._marks import AFTER, INK, Axes
from ...page._sections import Figure, side_by_side
from ...words import _numbers as num
from ._data import SURE, Data, say, short

if TYPE_CHECKING:
    from nakami.results import RecurrentLayer

PATH, PAPER, ERROR = "var(--d2)", "var(--paper)", "var(--d1)"
POINTS = 6  # fixed points whose eigenvalues are drawn
SIDES = 260, 185  # of one or two complex planes, of more, in pixels: a circle must look like one


def portraits_figure(data: Data) -> Figure:
    """Trajectories and fixed points of each layer in the plane in which its states move most."""
    charts = [_portrait(data, layer, i) for i, layer in enumerate(data.drawn)]
    return Figure(
        say("portrait.title"), say("portrait.caption"), charts, layout=side_by_side(data.drawn)
    )


def _portrait(data: Data, layer: RecurrentLayer, index: int) -> Chart:
    found, fixed = layer.portrait, layer.fixed_points
    seen = np.concatenate([found.paths.reshape(-1, 2), found.points])
    low, high = seen.min(axis=0), seen.max(axis=0)
    room = np.maximum(high - low, 1e-12) * 0.06
    ends, shares = zip(low - room, high + room, strict=True), [100 * s for s in found.shares]
    names = [say("portrait.axis", nth=i + 1, share=s) for i, s in enumerate(shares)]
    x, y = (
        kit.axis(float(a), float(b), name, log=False)
        for (a, b), name in zip(ends, names, strict=True)
    )
    axes = Axes(x, y)
    n, steps = found.paths.shape[:2]
    flat = found.paths.reshape(-1, 2)
    rows = columns(
        x=flat[:, 0], y=flat[:, 1], path=np.repeat(np.arange(n), steps).tolist(),
        step=np.tile(np.arange(steps), n).tolist(),
    )  # fmt: skip
    order: dict[str, Any] = {
        "detail": {"field": "path", "type": "nominal"},
        "order": {"field": "step", "type": "quantitative"},
    }
    look: dict[str, Any] = {"color": PATH, "strokeWidth": 1.2, "opacity": 0.6, "clip": True}
    last = found.paths[:, -1]
    drawn: kit.Layers = [
        kit.layer("paths", axes.at(**order), "line", **look),
        kit.points("ends", axes, size=30),
        kit.points("rest", axes, size=110),
    ]
    stable = fixed.stable
    rest = columns(
        x=found.points[:, 0], y=found.points[:, 1], stroke=[AFTER if s else INK for s in stable],
        fill=[AFTER if s else PAPER for s in stable],
        shape=["circle" if s else "diamond" for s in stable],
    )  # fmt: skip
    ended = columns(x=last[:, 0], y=last[:, 1], stroke=PATH, fill=PATH, shape="circle")
    text = say(
        "portrait.text", paths=n, share=100 * found.share, count=len(fixed.points),
        stable=int(stable.sum()),
    )  # fmt: skip
    title = short(layer) if data.several else ""
    sets = {"paths": rows, "ends": ended, "rest": rest}
    return chart(f"portrait{index}", drawn, sets, text, height=340, title=title)


def planes_figure(data: Data) -> Figure:
    """Eigenvalues of the Jacobians at the fixed points of each layer, with the unit circle."""
    some = [layer for layer in data.drawn if len(layer.fixed_points.points)]
    side = SIDES[len(some) > 2]
    charts = [_plane(data, layer, i, side) for i, layer in enumerate(some)]
    caption = say("plane.caption", points=POINTS)
    return Figure(say("plane.title"), caption, charts, layout=side_by_side(charts))


def _plane(data: Data, layer: RecurrentLayer, index: int, side: int) -> Chart:
    fixed = layer.fixed_points
    values, stable = fixed.eigenvalues[:POINTS], fixed.stable[:POINTS]
    most = max(1.0, float(np.abs(np.concatenate([values.real, values.imag])).max())) * 1.08
    x, y = (kit.axis(-most, most, say(f"plane.{part}"), log=False) for part in ("re", "im"))
    axes = Axes(x, y)
    for one in (x, y):  # not widened: both must have the same ends
        one["scale"]["domain"] = [-most, most]
        one["axis"]["values"] = [v for v in one["axis"]["values"] if -most <= v <= most]
    angle = np.linspace(0, 2 * np.pi, 181)
    rows = [(v, s) for point, s in zip(values, stable, strict=True) for v in point]
    order: dict[str, Any] = {"order": {"field": "step", "type": "quantitative"}}
    drawn: kit.Layers = [
        kit.layer("circle", axes.at(**order), "line", color=INK, strokeWidth=1, clip=True),
        kit.points("values", axes, size=34),
    ]
    sets = {
        "circle": columns(x=np.cos(angle), y=np.sin(angle), step=range(len(angle))),
        "values": columns(
            x=[float(v.real) for v, _ in rows], y=[float(v.imag) for v, _ in rows],
            stroke=[AFTER if s else INK for _, s in rows],
            fill=[AFTER if s else PAPER for _, s in rows],
            shape=["circle" if s else "diamond" for _, s in rows],
        ),
    }  # fmt: skip
    radii = num.listing([num.number(float(r), 4) for r in fixed.radii[:POINTS]])
    text = say("plane.text", radii=radii)
    made = chart(f"plane{index}", drawn, sets, text, height=side,
                 title=short(layer) if data.several else "")  # fmt: skip
    made.spec.update(width=side, autosize={"type": "pad"})
    return made


def exponents_figure(data: Data) -> Figure:
    """Exponents of each layer with their errors."""
    charts = [_exponents(data, layer, i) for i, layer in enumerate(data.drawn)]
    caption: str = say("spectrum.caption", errors=SURE)
    if any(not np.isfinite(layer.exponents.exponents).all() for layer in data.drawn):
        caption += say("spectrum.erased")
    return Figure(say("spectrum.title"), caption, charts, layout=side_by_side(data.drawn))


def _exponents(data: Data, layer: RecurrentLayer, index: int) -> Chart:
    found = layer.exponents
    good = np.isfinite(found.exponents)
    values = found.exponents[good]
    errors = SURE * np.nan_to_num(found.standard_errors[good])
    k = max(len(values), 1)
    low, high = min(0.0, *(values - errors)), max(0.0, *(values + errors))
    room = max(high - low, 1e-12) * 0.04
    y = kit.axis(low - room, high + room, say("spectrum.y"), log=False)
    x = kit.index_axis(k, say("spectrum.x"))
    axes, at = Axes(x, y), list(range(1, len(values) + 1))
    bars = axes.at(y="lo", y2={"field": "hi"})
    drawn: kit.Layers = [
        *kit.level(0.0, axes),
        kit.layer("exponents", bars, "rule", color=ERROR, strokeWidth=1.6, clip=True),
        kit.points("exponents", axes, size=36),
    ]
    sets = {
        "exponents": columns(
            x=at, y=values, lo=values - errors, hi=values + errors, stroke=ERROR, fill=ERROR,
            shape="circle",
        )
    }  # fmt: skip
    some = [num.pair(float(v), float(e) / SURE) for v, e in zip(values, errors, strict=True)][:8]
    text = say("spectrum.text", some="; ".join(some), all=len(found.exponents))
    title = short(layer) if data.several else ""
    return chart(f"exponents{index}", drawn, sets, text, height=300, title=title)
