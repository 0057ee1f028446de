"""The section of positions: where in a sequence of tokens the first direction lies."""

from __future__ import annotations

import numpy as np

from nakami.results import Xray, estimate

from ...charts._axes import linear_axis, nice_step
from ...charts._chart import Chart, Spec, chart, columns
from ...charts._marks import AFTER, INK, Axes, layer
from ...page._sections import Figure, Section, side_by_side
from ...words import _numbers as num
from ._curves import panels
from ._data import Reading, say
from ._images import area

EVERY = 10  # up to so many positions are all numbered


def positions_section(reading: Reading) -> Section | None:
    """Energy of the first direction by position; None where inputs are no tokens in a row."""
    run = reading.main.run
    found = {s: shares for s in reading.solid if (shares := position_shares(run, s)) is not None}
    if not found:
        return None
    shown = panels(tuple(found))
    last, length = shown[-1], found[shown[0]].shape[1]
    caption: str = reading.say("positions.caption")
    if len(shown) < len(found):
        caption += say("positions.drawn", drawn=len(shown), stages=len(found))
    charts = _charts({s: found[s] for s in shown})
    title = say("positions.title", source=run.source, whose=reading.whose)
    figure = Figure(title, caption, charts, layout=side_by_side(charts))
    covers, mean = estimate(covered(found[last])), found[last].mean(0)
    heavy = int(mean.argmax())
    text = reading.say("positions.text", stage=last, covers=covers, length=length,
                       heavy=heavy + 1, share=100 * mean[heavy])  # fmt: skip
    heading = say("positions.heading", covers=covers.mean, length=length)
    return reading.section("positions", heading, text, [figure])


def position_shares(run: Xray, stage: str) -> np.ndarray | None:
    """Energy share of each position in the first direction, ``(inputs, length)``.

    None where the inputs are no rows of tokens of one length, or some first direction is noise.
    """
    length = run.inputs.shape[1] if run.inputs.ndim == 2 else 0
    if run.source == "input" or length < 2 or run.stages[0].shape[0] != length:
        return None
    spectra = run.at(stage)
    if any(s.shape[1] != run.stages[0].size for s in spectra):  # texts of different lengths
        return None
    if not all(len(s.kept) and s.kept[0] == 0 and s.reliable[0] for s in spectra):
        return None
    energy = [(s.right[0].astype(np.float64).reshape(length, -1) ** 2).sum(1) for s in spectra]
    return np.array([e / e.sum() for e in energy])


def covered(shares: np.ndarray) -> np.ndarray:
    """Participation ratio, in positions, of each row of energy shares."""
    return area(np.sqrt(shares)[:, None, None, :])


def _charts(found: dict[str, np.ndarray]) -> list[Chart]:
    sd = {s: v.std(0, ddof=1) if len(v) > 1 else np.zeros(v.shape[1]) for s, v in found.items()}
    top = max(float((v.mean(0) + sd[s]).max()) for s, v in found.items())
    names = [num.short(s, 20) for s in found]
    alone = len(found) == 1
    return [
        _chart(f"positions{i}", "" if alone else name, shares.mean(0), sd[stage], top)
        for i, (name, (stage, shares)) in enumerate(zip(names, found.items(), strict=True))
    ]


def _chart(name: str, title: str, mean: np.ndarray, sd: np.ndarray, top: float) -> Chart:
    length = len(mean)
    step = 1 if length <= EVERY else int(nice_step(length / 5, whole=True))
    ticks = [1, *(p for p in range(step, length + 1, step) if p > 1)]
    x: Spec = {
        "type": "ordinal", "title": "position", "scale": {"type": "band", "paddingInner": 0.15},
        "axis": {"values": ticks, "labelAngle": 0},
    }  # fmt: skip
    axes = Axes(x, {"type": "quantitative", "title": "share of the energy", **linear_axis(0, top)})
    layers = [layer("shares", axes.at("p", "m"), "bar", color=AFTER, opacity=0.8)]
    if sd.any():
        ends = axes.at("p", "lo", y2={"field": "hi"})
        layers.append(layer("shares", ends, "rule", color=INK, strokeWidth=1))
    data = columns(p=range(1, length + 1), m=mean, lo=np.maximum(mean - sd, 0), hi=mean + sd)
    order = np.argsort(-mean)[:3]
    most = [say("positions.most", share=float(mean[p]), position=p + 1) for p in order]
    text = say("positions.chart", title=title or "Bar chart", most=", ".join(most))
    return chart(name, layers, {"shares": data}, text, height=170, title=title)
