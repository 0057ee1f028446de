"""Charts of a report on learning rates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..charts._chart import Spec
from ..charts._marks import (
    Axes,
    Columns,
    axis,
    band,
    border,
    chart,
    columns,
    level,
    line,
    names,
    points,
    span,
)
from ..page._sections import Figure, Table, Text
from ..words import _numbers as num

if TYPE_CHECKING:
    from nakami.geometry import Eigenvalues, LearningRateReport, NoiseScale, Trial

LAST = 5  # steps of a trial that its end is the mean of
LIMIT, ADVISED, THEORY = "var(--ink)", "var(--after)", "var(--d1)"


def end(trial: Trial) -> float:
    """Mean of the last finite losses of a trial; inf where there are none."""
    losses = [v for v in trial.losses if math.isfinite(v)][-LAST:]
    return sum(losses) / len(losses) if losses else float("inf")


def rates_figure(found: LearningRateReport) -> Figure:
    """Where each trial ended, by rate, with the limit and the advice."""
    r = found.rate
    marks = [v for v in (r.limit, r.advised, *(r.interval or ())) if v and math.isfinite(v)]
    rates = [t.rate for t in r.trials] + marks
    most = found.value * 1.6
    ends = [min(end(t), most) for t in r.trials]
    low = min([*ends, found.value])
    log = low > 0 and most / low > 30
    y = axis(low * 0.8 if log else 0, most, "loss", log=log)
    axes = Axes(axis(min(rates) / 1.5, max(rates) * 1.6, "learning rate", log=True), y)
    whole = max(len(t.losses) for t in r.trials)
    fills = [LIMIT if len(t.losses) == whole else "var(--paper)" for t in r.trials]
    data = {
        "ends": columns(
            x=[t.rate for t in r.trials],
            y=ends,
            stroke=[LIMIT] * len(ends),
            fill=fills,
            shape=["triangle-up" if t.diverged else "circle" for t in r.trials],
        )
    }
    layers: list[Spec] = level(found.value, axes, "loss at the start")
    if r.interval is not None:
        layers.append(span(*r.interval, axes, ADVISED))
    if math.isfinite(r.limit):
        layers += border(r.limit, axes, "limit", LIMIT, dash=[5, 4])
    if r.advised is not None:
        layers += border(r.advised, axes, "advised", ADVISED, left=True)
    layers.append(points("ends", axes, size=80))
    said = [_told(t, whole) for t in r.trials]
    text = f"Loss at the end of each trial by learning rate: {'; '.join(said)}."
    caption = (
        f"Mean of the last {LAST} losses. Filled: {whole} steps; open: stopped before; triangle: "
        "the loss ran away. Shaded: rates that the trials cannot tell from the advised one."
    )
    table = _trials_table(r.trials, whole)
    drawn = chart("rates", layers, data, text, height=280)
    return Figure("Where short trainings on copies ended", caption, [drawn], table=table)


def _told(trial: Trial, whole: int) -> str:
    how = "ran away" if trial.diverged else f"{num.plain(end(trial))}"
    short = "" if len(trial.losses) == whole or trial.diverged else ", stopped before"
    return f"rate {num.plain(trial.rate)}: {how}{short}"


def _trials_table(trials: tuple[Trial, ...], whole: int) -> Table:
    head: list[Text] = ["rate", "steps", "first loss", "mean of the last losses", "end"]
    rows: list[list[Text]] = []
    for t in trials:
        last = end(t)
        how = "ran away" if t.diverged else "whole" if len(t.losses) == whole else "stopped"
        cells: list[Text] = [_number(t.losses[0]) if t.losses else "", _number(last)]
        rows.append([num.number(t.rate), str(len(t.losses)), *cells, how])
    return Table("Trials", head, rows, (0, 1, 2, 3), 460)


def _number(x: float) -> Text:
    return num.number(x) if math.isfinite(x) else "not finite"


def steps_figure(found: LearningRateReport) -> Figure:
    """The loss of each step of each trial."""
    r = found.rate
    cap = 1.25 * max(found.value, *(t.losses[0] for t in r.trials if math.isfinite(t.losses[0])))
    kept = [[v for v in t.losses if math.isfinite(v)] for t in r.trials]
    longest = max(len(losses) for losses in kept)
    values = [min(v, cap) for losses in kept for v in losses if v > 0]
    low = min(values, default=cap)
    log = cap / low > 30
    y = axis(low * 0.85 if log else 0, cap, "loss", log=log)
    x = axis(1, max(longest, 2), "step", log=False, whole=True)
    x["scale"]["domain"] = [1, max(longest, 2)]
    x["axis"]["values"] = [1, *(v for v in x["axis"]["values"] if 1 < v <= longest)]
    axes, data, layers = Axes(x, y), dict[str, Columns](), list[Spec]()
    heights = _pushed([min(v[-1], cap) if v else cap for v in kept], low, cap, log)
    for i, (t, losses) in enumerate(zip(r.trials, kept, strict=True), 1):
        if not losses:
            continue
        data[f"t{i}"] = columns(x=list(range(1, len(losses) + 1)), y=losses)
        layers.append(line(f"t{i}", axes, f"var(--d{i})", dash=[5, 4] if t.diverged else []))
        name, colour = [num.plain(t.rate, 2)], [f"var(--t{i})"]
        data[f"n{i}"] = columns(x=[len(losses)], y=[heights[i - 1]], t=name, c=colour)
        layers.append(names(f"n{i}", axes, dx=6))
    said = [_told(t, longest) for t in r.trials]
    text = f"Loss by step for each rate. {'; '.join(said)}."
    caption = (
        "Each batch in turn, so that curves go up and down with the batches. Numbers: the rate. "
        "Dashed: the loss ran away."
    )
    drawn = chart("steps", layers, data, text, height=300, right=64)
    return Figure("Loss by step at each rate tried", caption, [drawn])


def _pushed(values: list[float], low: float, high: float, log: bool) -> list[float]:
    """Heights of names, moved apart to a twentieth of the axis."""
    place = np.log(np.maximum(values, low * 0.5)) if log else np.asarray(values)
    ends = (math.log(low * 0.85), math.log(high)) if log else (0.0, high)
    gap, last, out = (ends[1] - ends[0]) / 20, -math.inf, place.copy()
    for i in np.argsort(place):
        last = out[i] = max(place[i], last + gap)
    top = ends[1] + gap
    for i in np.argsort(-out):
        top = out[i] = min(out[i], top - gap)
    return list(np.exp(out)) if log else list(out)


def spectrum_figure(found: LearningRateReport) -> Figure:
    """Eigenvalues per factor of ten, with the largest and what each rate bears."""
    e, r = found.eigenvalues, found.rate
    assert e is not None
    x, count = np.asarray(e.points), np.asarray(e.count)
    error = np.asarray(e.error)
    floor = 0.5
    top = float((count + error).max()) * 1.6
    most = float(x[-1])
    bears = r.rule.stability_threshold / r.advised if r.advised and not r.preconditioner else None
    if bears is not None:
        most = max(most, bears * 1.5)
    axes = Axes(
        axis(float(x[0]), most, "eigenvalue", log=True),
        axis(floor, max(top, 2 * floor), "eigenvalues per factor of ten", log=True),
    )
    data = {
        "count": columns(
            x=x.tolist(), y=np.maximum(count, floor / 10).tolist(), base=[floor] * len(x),
            lo=np.maximum(count - error, floor / 10).tolist(), hi=(count + error).tolist(),
        )
    }  # fmt: skip
    layers = [band("count", axes, "var(--d2)", "base", "y", opacity=0.1)]
    if not e.exact:
        layers.append(band("count", axes, "var(--d2)", opacity=0.3))
    layers.append(line("count", axes, "var(--d2)"))
    layers += border(e.largest, axes, "λ_max" + (_of_limit(found)), LIMIT, dash=[5, 4], left=True)
    if bears is not None:
        layers += border(bears, axes, "advised rate", ADVISED, dy=18, left=bears > e.largest)
    how = "All eigenvalues were computed." if e.exact else (
        f"Mean over {e.n_probes} random vectors of {e.steps} Lanczos steps; band, ± 1 s.e."
    )  # fmt: skip
    caption = f"{how} Smoothed by {num.plain(e.width)} decades; both axes logarithmic."
    if bears is not None:
        caption += " The advised rate is stable for eigenvalues left of its line."
    some = list(range(0, len(x), max(1, len(x) // 12)))
    said = "; ".join(f"{num.plain(count[i], 2)} near {num.plain(x[i], 2)}" for i in some)
    text = f"Eigenvalues per factor of ten: {said}. Largest {num.plain(e.largest, 4)}."
    title = "Eigenvalues of the loss’s Gauss-Newton matrix at the present weights"
    drawn = chart("spectrum", layers, data, text, height=300)
    return Figure(title, caption, [drawn], table=_count_table(e))


def _of_limit(found: LearningRateReport) -> str:
    return "" if found.rate.preconditioner else ", sets the limit"


def _count_table(e: Eigenvalues) -> Table:
    head: list[Text] = ["eigenvalue", "number per factor of ten", "s.e."]
    rows: list[list[Text]] = [
        [num.number(x), num.number(c), "exact" if e.exact else num.number(s, 2)]
        for x, c, s in list(zip(e.points, e.count, e.error, strict=True))[::5]
    ]
    return Table("Eigenvalues per factor of ten", head, rows, (0, 1, 2), 380)


def theory_figure(found: LearningRateReport) -> Figure:
    """The largest eigenvalue: all data, each batch, and theory."""
    r, e, theory = found.rate, found.eigenvalues, found.theory
    rows: list[tuple[str, list[float]]] = []
    if e is not None:
        rows.append(("measured, all data", [e.largest]))
    if not r.preconditioner and len(r.batch_sharpness) > 1:
        rows.append(("measured, each batch", list(r.batch_sharpness)))
    if theory is not None:
        rows.append(("theory, wide network", [theory.low, theory.high]))
    values = [v for _, some in rows for v in some]
    low, high = min(values), max(values)
    log = low > 0 and high / low > 20
    x = axis(low / 1.5 if log else 0, high * (1.5 if log else 1.1), "largest eigenvalue", log=log)
    kinds = [name for name, _ in rows]
    y: Spec = {
        "type": "nominal", "sort": kinds, "title": None, "scale": {"paddingInner": 0.3},
        "axis": {"grid": False, "ticks": False, "domain": False, "labelFontSize": 13, "offset": 7},
    }  # fmt: skip
    x["axis"] |= {"grid": True}
    axes, data, layers = Axes(x, y), dict[str, Columns](), list[Spec]()
    for i, (name, some) in enumerate(rows):
        key = f"r{i}"
        n = len(some)
        colour = THEORY if name.startswith("theory") else "var(--after)"
        if name.startswith("theory"):
            data[key] = columns(x=[some[0]], x2=[some[1]], y=[name])
            mark = {"type": "bar", "height": 12, "color": colour, "opacity": 0.75, "clip": True}
            layers.append(
                {"data": {"name": key}, "mark": mark, "encoding": axes.at(x2={"field": "x2"})}
            )
            mark = {"type": "tick", "size": 18, "thickness": 2, "color": colour}
            data["ends"] = columns(x=some, y=[name] * 2)
            layers.append({"data": {"name": "ends"}, "mark": mark, "encoding": axes.at()})
            continue
        looks = {"stroke": [colour] * n, "shape": ["circle"] * n}
        data[key] = columns(
            x=some, y=[name] * n, fill=[colour if n == 1 else "var(--paper)"] * n, **looks
        )
        layers.append(points(key, axes, size=80))
    said = "; ".join(f"{name}: {_ends(some)}" for name, some in rows)
    caption = "The bar of theory runs from infinite width to the widths of this network."
    if r.loss == "cross-entropy":
        caption = "The bar of theory runs from the lower to the upper bound for cross-entropy."
    if theory is None:
        caption = "One point for each batch: a batch is sharper than all data."
    text = f"Largest eigenvalue. {said}."
    drawn = chart("theory", layers, data, text, height=30 + 46 * len(rows))
    return Figure("The largest eigenvalue of the loss’s curvature", caption, [drawn])


def _ends(some: list[float]) -> str:
    if len(some) == 1:
        return num.plain(some[0])
    return f"{num.plain(min(some))} to {num.plain(max(some))}"


def noise_figure(noise: NoiseScale) -> Figure:
    """What a larger batch gains: progress of a step over that of endless data."""
    scale = noise.value or noise.at_least
    sizes = np.geomspace(1, max(30 * scale, 4 * noise.batch, 10), 80)
    share = 1 / (1 + scale / sizes)
    x = axis(1, float(sizes[-1]), "samples of a batch", log=True)
    axes = Axes(x, axis(0, 1, "progress of a step, share", log=False))
    data: dict[str, Columns] = {"share": columns(x=sizes.tolist(), y=share.tolist())}
    layers: list[Spec] = []
    error = noise.error
    if noise.value is not None and error is not None:
        low = 1 / (1 + (scale + error) / sizes)
        high = 1 / (1 + max(scale - error, 0.0) / sizes)
        data["share"] |= columns(lo=low.tolist(), hi=high.tolist())
        layers.append(band("share", axes, "var(--d2)"))
    here = noise.batch / (noise.batch + scale)
    data["here"] = columns(
        x=[noise.batch], y=[here], stroke=[ADVISED], fill=[ADVISED], shape=["circle"],
        t=[f"batches of {num.plain(noise.batch)}: {100 * here:.0f}{num.NBSP}%"], c=[ADVISED],
    )  # fmt: skip
    most = "noise scale" if noise.value is not None else "noise scale, at least"
    layers += [
        line("share", axes, "var(--d2)"),
        *border(scale, axes, most, LIMIT, dash=[5, 4], left=True),
        points("here", axes, size=80),
        names("here", axes, dx=9, dy=9),
    ]
    text = (
        f"Progress of a step by batch size: {100 * here:.0f} % of that over endless data at "
        f"{num.plain(noise.batch)} samples, half at {num.plain(scale)}."
    )
    caption = "Share of the progress of a step over endless data, each at its best rate."
    if error is not None and noise.value is not None:
        caption += " Band, ± 1 s.e."
    drawn = chart("noise", layers, data, text, height=250)
    return Figure("What a larger batch gains, by its noise scale", caption, [drawn])
