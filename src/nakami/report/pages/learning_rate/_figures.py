"""Charts of a report on learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...charts import _marks as kit
from ...charts._chart import Chart, Columns, chart, columns
from ...charts._labels import BESIDE, Place
from ...charts._marks import AFTER, DASHES, INK, Axes
from ...page._sections import Figure, Table, Text
from ...words import _numbers as num
from ._data import LAST, Data, end, longest, say

if TYPE_CHECKING:
    from nakami.geometry import Eigenvalues, LearningRate, NoiseScale, Trial

LIMIT, ADVISED, THEORY = INK, AFTER, "var(--d1)"


def rates_figure(data: Data) -> Figure:
    """Where each trial ended, by rate, with the limit and the advice."""
    found, r, whole = data.found, data.found.rate, data.whole
    drawn = ends_chart(
        r, [end(t) for t in r.trials], {"loss at the start": found.value}, found.limit.limit
    )
    table = trials_table(r.trials, "mean of the last losses", end)
    caption = say("advice.ends", last=LAST, whole=whole)
    return Figure(say("advice.ends_title"), caption, [drawn], table=table)


def ends_chart(
    r: LearningRate,
    ends: list[float],
    levels: dict[str, float],
    limit: float = math.inf,
    best: Trial | None = None,
) -> Chart:
    """A point for each trial, with the advised rate, its interval, and what to compare with.

    Args:
        r: The advice.
        ends: Loss at which each of its trials ended.
        levels: Losses to compare with, by name.
        limit: Of the rate, where it is finite.
        best: A trial to point out.
    """
    whole = longest(r.trials)
    marks = [v for v in (limit, r.advised, *(r.interval or ())) if v and math.isfinite(v)]
    rates = [t.rate for t in r.trials]
    top = max(levels.values())
    most = top + (0.6 if max(ends) > top else 0.1) * (abs(top) or 1.0)
    shown = [min(v, most) for v in ends]
    low = min([*shown, *levels.values()])
    log = low > 0 and most / low > 30
    bottom = low * (low / most) ** 0.05 if log else min(0.0, low)
    y = kit.axis(bottom, most, "loss", log=log)
    every = rates + marks
    axes = Axes(kit.axis(min(every) / 1.5, max(every) * 1.6, "learning rate", log=True), y)
    colours = [ADVISED if t is best else LIMIT for t in r.trials]
    each = list(zip(r.trials, ends, colours, strict=True))
    fills = [c if len(t.losses) == whole else "var(--paper)" for t, _, c in each]
    shapes = ["triangle-up" if t.diverged else "circle" for t in r.trials]
    layers: kit.Layers = [layer for n, v in levels.items() for layer in kit.level(v, axes, n)]
    if r.interval is not None:
        layers.append(kit.span(*r.interval, axes, ADVISED))
    if math.isfinite(limit):
        layers += kit.border(limit, axes, "limit", LIMIT, dash=DASHES)
    if r.advised is not None:
        layers += kit.border(r.advised, axes, "advised", ADVISED)
    layers.append(kit.points("ends", axes, size=80))
    return chart(
        "rates",
        layers,
        {"ends": columns(x=rates, y=shown, stroke=colours, fill=fills, shape=shapes)},
        say("advice.ends_text", ends="; ".join(_ended(t, v, whole) for t, v, _ in each)),
        height=280,
    )


def _ended(trial: Trial, loss: float, whole: int) -> str:
    if trial.diverged:
        return say("advice.end_away", rate=trial.rate)
    case = "advice.end" if len(trial.losses) == whole else "advice.end_early"
    return say(case, rate=trial.rate, loss=loss)


def trials_table(trials: tuple[Trial, ...], name: str, ended: Callable[[Trial], float]) -> Table:
    """A row for each trial; ``ended`` gives the loss at its end, which is called ``name``."""
    whole, rows = longest(trials), list[list[Text]]()
    for t in trials:
        how = "diverged" if t.diverged else "complete" if len(t.losses) == whole else "stopped"
        first = num.number(t.losses[0]) if t.losses else ""
        rows.append([num.number(t.rate), str(len(t.losses)), first, num.number(ended(t)), how])
    return Table("Trials", ["rate", "steps", "first loss", name, "end"], rows, (0, 1, 2, 3), 460)


def steps_figure(trials: tuple[Trial, ...], start: float, best: Trial | None = None) -> Figure:
    """The loss of each step of each trial; ``start`` is that before, ``best`` is drawn broader."""
    top = max([start, *(t.losses[0] for t in trials if math.isfinite(t.losses[0]))])
    cap = top + 0.25 * (abs(top) or 1.0)
    finite = [[v for v in t.losses if math.isfinite(v)] for t in trials]
    most = max(len(losses) for losses in finite)
    low = min((min(v, cap) for losses in finite for v in losses), default=cap)
    log = low > 0 and cap / low > 30
    y = kit.axis(low * 0.85 if log else min(0.0, low), cap, "loss", log=log)
    x = kit.axis(1, max(most, 2), "step", log=False, whole=True)
    x["scale"]["domain"] = [1, max(most, 2)]
    x["axis"]["values"] = [1, *(v for v in x["axis"]["values"] if 1 < v <= most)]
    axes, columns_by, layers = Axes(x, y), dict[str, Columns](), kit.Layers()
    for i, (t, losses) in enumerate(zip(trials, finite, strict=True), 1):
        if not losses:
            continue
        columns_by[f"t{i}"] = columns(x=range(1, len(losses) + 1), y=losses)
        dash, width = DASHES if t.diverged else [], 3.5 if t is best else 2
        colour, ink = (ADVISED, ADVISED) if t is best else (f"var(--d{i})", f"var(--t{i})")
        layers.append(kit.line(f"t{i}", axes, colour, dash=dash, width=width))
        layers.append(kit.name(num.number(t.rate, 2), axes, ink, _beside(losses, cap), BESIDE))
    ends = "; ".join(_ended(t, end(t), most) for t in trials)
    drawn = chart(
        "steps", layers, columns_by, say("advice.steps_text", ends=ends), height=300,
        padding={"right": 64},
    )  # fmt: skip
    case = "advice.steps" if best is None else "advice.steps_best"
    return Figure(say("advice.steps_title"), say(case), [drawn])


def _beside(losses: list[float], cap: float) -> Sequence[Place]:
    """Where the name of a curve may stand: where it leaves the picture for good, or at its end."""
    seen = [(float(i), v) for i, v in enumerate(losses, 1) if v <= cap][::-1]
    if losses[-1] <= cap or not seen:
        return seen or [(1.0, cap)]
    step, last = seen[0]
    return [(step + (cap - last) / (losses[int(step)] - last), cap), *seen]


def spectrum_figure(data: Data) -> Figure:
    """Eigenvalues per factor of ten, with the largest and what the advised rate allows."""
    e, limit, advised = data.found.eigenvalues, data.found.limit, data.found.rate.advised
    assert e is not None
    x, count, error = (np.asarray(v) for v in (e.points, e.count, e.error))
    floor, stable = 0.5, None
    if advised and not limit.preconditioner:
        stable = limit.rule.stability_threshold / advised
    most = max(float(x[-1]), (stable or 0.0) * 1.5)
    top = max(float((count + error).max()) * 1.6, 2 * floor)
    y = kit.axis(floor, top, "eigenvalues per factor of ten", log=True)
    axes = Axes(kit.axis(float(x[0]), most, "eigenvalue", log=True), y)
    curve = columns(
        x=x, y=np.maximum(count, floor / 10), base=[floor] * len(x),
        lo=np.maximum(count - error, floor / 10), hi=count + error,
    )  # fmt: skip
    layers: kit.Layers = [kit.band("count", axes, "var(--d2)", "base", "y", opacity=0.1)]
    if not e.exact:
        layers.append(kit.band("count", axes, "var(--d2)", opacity=0.3))
    layers.append(kit.line("count", axes, "var(--d2)"))
    name = "λ_max" if limit.preconditioner or e.n_samples else "λ_max, sets the limit"
    layers += kit.border(e.largest, axes, name, LIMIT, dash=DASHES, short="λ_max")
    caption: str = say("spectrum.caption_exact", width=e.width)
    if not e.exact:
        caption = say("spectrum.caption", probes=e.n_probes, steps=e.steps, width=e.width)
    if e.n_samples:
        caption += say("spectrum.part", samples=e.n_samples, all=limit.n_samples)
    if stable is not None:
        layers += kit.border(stable, axes, "advised", ADVISED)
        caption += say("spectrum.stable")
    some = [
        say("spectrum.near", count=count[i], value=x[i])
        for i in range(0, len(x), max(1, len(x) // 12))
    ]
    text = say("spectrum.curve", some="; ".join(some), largest=e.largest)
    drawn = chart("spectrum", layers, {"count": curve}, text, height=300, padding={"right": 64})
    return Figure(say("spectrum.title"), caption, [drawn], table=_count_table(e))


def _count_table(e: Eigenvalues) -> Table:
    head: list[Text] = ["eigenvalue", "number per factor of ten", "s.e."]
    rows: list[list[Text]] = [
        [num.number(x), num.number(c), "exact" if e.exact else num.number(s, 2)]
        for x, c, s in list(zip(e.points, e.count, e.error, strict=True))[::5]
    ]
    return Table("Eigenvalues per factor of ten", head, rows, (0, 1, 2), 380)


def theory_figure(data: Data) -> Figure:
    """The largest eigenvalue: all data, each batch, and theory."""
    limit, e, theory = data.found.limit, data.found.eigenvalues, data.found.theory
    measured: dict[str, list[float]] = {}
    if e is not None:
        measured["measured, first batches" if e.n_samples else "measured, all data"] = [e.largest]
    if not limit.preconditioner and len(limit.batch_sharpness) > 1:
        measured["measured, each batch"] = list(limit.batch_sharpness)
    predicted = {} if theory is None else {"theory, wide network": [theory.low, theory.high]}
    rows = measured | predicted
    values = [v for some in rows.values() for v in some]
    low, high = min(values), max(values)
    log = low > 0 and high / low > 20
    x = kit.axis(
        low / 1.5 if log else 0, high * (1.5 if log else 1.1), "largest eigenvalue", log=log
    )
    x["axis"] |= {"grid": True}
    axes, drawn, layers = (
        Axes(x, kit.named_axis(list(rows))),
        dict[str, Columns](),
        kit.Layers(),
    )
    for i, (name, some) in enumerate(measured.items()):
        fill = ADVISED if len(some) == 1 else "var(--paper)"
        row = [name] * len(some)
        drawn[f"r{i}"] = columns(x=some, y=row, stroke=ADVISED, fill=fill, shape="circle")
        layers.append(kit.points(f"r{i}", axes, size=80))
    for name, (first, last) in predicted.items():
        drawn["range"] = columns(x=[first], x2=[last], y=[name])
        drawn["ends"] = columns(x=[first, last], y=[name] * 2)
        bar = {"height": 12, "color": THEORY, "opacity": 0.75, "clip": True}
        layers.append(kit.layer("range", axes.at(x2={"field": "x2"}), "bar", **bar))
        layers.append(kit.layer("ends", axes.at(), "tick", size=18, thickness=2, color=THEORY))
    said = [f"{name}: {num.between(min(some), max(some))}" for name, some in rows.items()]
    text = say("theory.range", rows="; ".join(said))
    figure = chart("theory", layers, drawn, text, height=30 + 46 * len(rows))
    case = "_batches" if theory is None else "_bounds" if theory.bounds else ""
    return Figure(say("theory.title"), say(f"theory.caption{case}"), [figure])


def noise_figure(noise: NoiseScale) -> Figure:
    """What a larger batch gains: progress of a step over that of endless data."""
    scale = noise.value or noise.at_least
    sizes = np.geomspace(1, max(30 * scale, 4 * noise.batch, 10), 80)
    share = 1 / (1 + scale / sizes)
    x = kit.axis(1, float(sizes[-1]), "samples of a batch", log=True)
    axes = Axes(x, kit.axis(0, 1, "progress of a step, share", log=False))
    data: dict[str, Columns] = {"share": columns(x=sizes, y=share)}
    layers: kit.Layers = []
    error, banded = noise.error, noise.value is not None and noise.error is not None
    if error is not None and banded:
        low, high = (1 / (1 + np.maximum(scale + d, 0) / sizes) for d in (error, -error))
        data["share"] |= columns(lo=low, hi=high)
        layers.append(kit.band("share", axes, "var(--d2)"))
    here = noise.batch / (noise.batch + scale)
    name = say("noise.here", batch=noise.batch, share=100 * here)
    data["here"] = columns(x=[noise.batch], y=[here], stroke=ADVISED, fill=ADVISED, shape="circle")
    most = "noise scale" if noise.value is not None else "noise scale, at least"
    layers += [
        kit.line("share", axes, "var(--d2)"),
        *kit.border(scale, axes, most, LIMIT, dash=DASHES),
        kit.points("here", axes, size=80),
        kit.name(name, axes, ADVISED, [(noise.batch, here)], short=f"{100 * here:.0f}\u00a0%"),
    ]
    text = say("noise.text", share=100 * here, batch=noise.batch, scale=scale)
    caption = say("noise.caption_band" if banded else "noise.caption")
    drawn = chart("noise", layers, data, text, height=250)
    return Figure(say("noise.title"), caption, [drawn])
