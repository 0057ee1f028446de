"""Charts of the page: values over steps, the spectrum look by look, counts, the budget."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...charts import _marks as kit
from ...charts._axes import index_axes
from ...charts._chart import Chart, Columns, Spec, chart, columns
from ...charts._labels import AROUND
from ...charts._marks import Axes
from ...page._sections import Figure, side_by_side
from ...words import _numbers as num
from ._data import Data, say

FEW = 12  # looks up to which each is a point, too
RATIO = 50  # from which on an axis is logarithmic
LEAST = 1e-5  # of the largest value: what lies below is not drawn
RIGHT = 8  # pixels beside the names of curves


def film_figure(data: Data) -> Figure:
    """The leading values of each stage over the training."""
    charts = [_film(data, stage, i) for i, stage in enumerate(data.panels)]
    caption = say("film.caption", inputs=data.found.n_inputs)
    return Figure(say("film.title"), caption, charts, layout=side_by_side(charts))


def _film(data: Data, stage: str, panel: int) -> Chart:
    mean, sd = data.mean_sd(stage)
    axes, low = _axes(data, mean, sd)
    drawn: kit.Layers = [*_one(axes)]
    sets: dict[str, Columns] = {}
    lines = data.lines(stage)
    for j, index in enumerate(lines):
        key, y = f"s{index + 1}", np.maximum(mean[:, j], low)
        sets[key] = columns(
            x=data.steps, y=y, lo=np.maximum(y - sd[:, j], low), hi=y + sd[:, j],
            stroke=_colour(j), fill=_colour(j), shape="circle",
        )  # fmt: skip
        if j == 0 and data.found.n_inputs > 1:
            drawn.append(kit.band(key, axes, _colour(j)))
        drawn += _curve(data, key, axes, _colour(j))
        if index in (lines[0], lines[-1]):
            places = kit.along(data.steps, y.tolist())
            name = say("film.curve", index=index + 1)
            drawn.append(kit.name(name, axes, _ink(j), places, AROUND, dropped=True))
    ends = [num.number(float(mean[i, 0])) for i in (0, -1)]
    text = say("film.alt", stage=stage, first=ends[0], last=ends[1], looks=len(data.steps),
               lines=len(lines))  # fmt: skip
    return chart(f"film{panel}", drawn, sets, text, height=260, title=num.short(stage),
                 padding={"right": RIGHT})  # fmt: skip


def frames_figure(data: Data) -> Figure | None:
    """The spectrum by index at one look, which a slider chooses; None of one look."""
    if len(data.steps) < 2:
        return None
    charts = [_frames(data, stage, i) for i, stage in enumerate(data.panels)]
    layout = side_by_side(charts)
    return Figure(say("frames.title"), say("frames.caption"), charts, layout=layout)


def _frames(data: Data, stage: str, panel: int) -> Chart:
    mean, sd = data.mean_sd(stage)
    looks, lines = mean.shape
    y, low = _value_axis(mean, sd)
    index = [i + 1 for i in data.lines(stage)]
    x = {"type": "quantitative", "title": say("frames.x"),
         **index_axes(max(index), small=True)["linear"]}  # fmt: skip
    axes = Axes(x, y)
    flat = np.maximum(mean, low).reshape(-1)
    rows = columns(
        x=index * looks, y=flat, lo=np.maximum(flat - sd.reshape(-1), low),
        hi=flat + sd.reshape(-1), look=np.repeat(np.arange(looks), lines),
    )  # fmt: skip
    labels = columns(
        x=[index[-1]] * looks, y=[y["scale"]["domain"][1]] * looks,
        look=list(range(looks)), t=[say("frames.step", step=step) for step in data.steps],
    )  # fmt: skip
    each: dict[str, Any] = {"detail": {"field": "look", "type": "nominal"}}
    here: Spec = {"transform": [{"filter": "datum.look == look"}]}
    text: dict[str, Any] = {"text": {"field": "t", "type": "nominal"}}
    look = {"align": "right", "baseline": "top", "dy": 4, "color": kit.INK, **STEP}
    drawn: kit.Layers = [
        *_one(axes),
        kit.layer("frames", axes.at(**each), "line", color="var(--ink-3)", opacity=0.3, clip=True),
        {**kit.band("frames", axes, "var(--d1)"), **here},
        {**kit.line("frames", axes, "var(--d1)", width=2.5), **here},
        {**kit.layer("steps", axes.at(**text), "text", **look), **here},
    ]
    told = say("frames.alt", stage=stage, looks=looks, first=data.steps[0], last=data.steps[-1])
    made = chart(f"frames{panel}", drawn, {"frames": rows, "steps": labels}, told, height=240,
                 title=num.short(stage))  # fmt: skip
    slide = {"input": "range", "min": 0, "max": looks - 1, "step": 1, "name": say("frames.slide")}
    made.spec["params"] = [{"name": "look", "value": looks - 1, "bind": slide}]
    return made


STEP = {"fontSize": 13, "fontWeight": 600}


def counts_figure(data: Data) -> Figure:
    """Effective rank and count above 1 of every stage over the training."""
    quantities = (("rank", "effective_rank"), ("count", "count"))
    charts = [_by_step(data, name, field) for name, field in quantities]
    return Figure(
        say("counts.title"), say("counts.caption", inputs=data.found.n_inputs), charts, layout="duo"
    )


def _by_step(data: Data, name: str, field: str) -> Chart:
    stages = data.panels
    curves = {s: [getattr(row, field) for row in data.summaries[s]] for s in stages}
    means = np.array([[e.mean for e in curve] for curve in curves.values()])
    top = float(means.max()) or 1.0
    low = float(means[means > 0].min(initial=top))
    log = top > RATIO * low
    ends = (low / 1.4, top * 1.4) if log else (0.0, top * 1.1)
    axes = Axes(_step_axis(data), kit.axis(*ends, say(f"counts.y_{name}"), log=log))
    drawn: kit.Layers = []
    sets: dict[str, Columns] = {}
    for j, (stage, curve) in enumerate(curves.items()):
        key, y = f"{name}{j}", np.maximum(means[j], ends[0])
        both = [e.interval or (e.mean, e.mean) for e in curve]
        sets[key] = columns(
            x=data.steps, y=y, lo=[max(a, ends[0]) for a, _ in both], hi=[b for _, b in both],
            stroke=_colour(j), fill=_colour(j), shape="circle",
        )  # fmt: skip
        if any(a < b for a, b in both):
            drawn.append(kit.band(key, axes, _colour(j)))
        drawn += _curve(data, key, axes, _colour(j))
        places = kit.along(data.steps, y.tolist())
        drawn.append(kit.name(num.short(stage, 16), axes, _ink(j), places, AROUND, dropped=True))
    said = "; ".join(
        f"{stage} {num.number(curve[0].mean)} to {num.number(curve[-1].mean)}"
        for stage, curve in curves.items()
    )
    text = say("counts.alt", what=say(f"counts.y_{name}"), said=said)
    return chart(name, drawn, sets, text, height=280, title=say(f"counts.of_{name}"),
                 padding={"right": RIGHT})  # fmt: skip


def budget_figure(data: Data) -> Figure | None:
    """The share of time after each look; None before the first step."""
    found = data.found
    rows = [(one.step, 100 * one.spent / one.training) for one in found.looks if one.training]
    if not rows or not found.share > 0:
        return None
    steps, shares = [s for s, _ in rows], [p for _, p in rows]
    budget = 100 * found.max_share
    known = [budget] if 0 < budget < float("inf") else []
    low, high = min(*shares, *known, shares[0]), max(*shares, *known, shares[0])
    log = high > RATIO * low
    ends = (low / 1.5, high * 1.5) if log else (0.0, high * 1.15)
    axes = Axes(_step_axis(data), kit.axis(*ends, say("budget.y"), log=log))
    level = kit.level(budget, axes, say("budget.level", budget=budget)) if known else []
    sets = {"share": columns(x=steps, y=shares, stroke=kit.INK, fill=kit.INK, shape="circle")}
    drawn: kit.Layers = [*level, kit.line("share", axes, kit.INK), kit.points("share", axes)]
    text = say("budget.alt", last=shares[-1], budget=budget, looks=len(rows))
    made = chart("budget", drawn, sets, text, height=220)
    return Figure(say("budget.title"), say("budget.caption"), [made])


def _axes(data: Data, mean: np.ndarray, sd: np.ndarray) -> tuple[Axes, float]:
    y, low = _value_axis(mean, sd)
    return Axes(_step_axis(data), y), low


def _value_axis(mean: np.ndarray, sd: np.ndarray) -> tuple[Spec, float]:
    """Over all drawn values of a stage, and its least end; 1 is kept in sight where it is near."""
    top = float((mean + sd).max()) or 1.0
    low = max(float(mean[mean > 0].min(initial=top)), LEAST * top)
    if top <= RATIO * low:
        top = max(top, 1.0) if top > 0.5 else top
        return kit.axis(0.0, top, say("film.y"), log=False), 0.0
    return kit.axis(low / 1.3, top * 1.3, say("film.y"), log=True), low / 1.3


def _step_axis(data: Data) -> Spec:
    first, last = data.steps[0], max(data.steps[-1], data.steps[0] + 1)
    axis = kit.axis(first, last, say("film.x"), log=False, whole=True)
    axis["axis"]["labelExpr"] = "format(datum.value, '~s')"
    axis["scale"]["domain"] = [first, last]
    axis["axis"]["values"] = [v for v in axis["axis"]["values"] if first <= v <= last]
    return axis


def _one(axes: Axes) -> list[Any]:
    """A dotted line at 1, where that is in sight."""
    low, high = axes.y["scale"]["domain"]
    return kit.level(1.0, axes) if low < 1 < high else []


def _curve(data: Data, key: str, axes: Axes, colour: str) -> list[Spec]:
    marks = [kit.line(key, axes, colour)]
    return [*marks, kit.points(key, axes, size=30)] if len(data.steps) <= FEW else marks


def _colour(j: int) -> str:
    return f"var(--d{j + 1})"


def _ink(j: int) -> str:
    return f"var(--t{j + 1})"
