"""The chart of a rate over a training."""

from __future__ import annotations

import numpy as np

from ...charts import _marks as kit
from ...charts._chart import chart, columns
from ...charts._marks import AFTER, DASHES, INK, Axes
from ...page._sections import Figure
from ._data import Data, say

POINTS = 240


def course_figure(data: Data) -> Figure:
    """The rate of each step; its share of the peak where no rate is known."""
    advice, warmup, last = data.advice, data.warmup, data.steps - 1
    even = np.linspace(0, last, POINTS).astype(int).tolist()
    steps = sorted({*even, max(0, warmup - 1), warmup})
    factors = np.array([data.factor(step) for step in steps])
    peak, ends = advice.advised or 1.0, advice.interval
    rows = columns(x=[step + 1 for step in steps], y=peak * factors)
    x = kit.axis(0, max(data.steps, 2), "step", log=False, whole=True)
    name = "learning rate" if advice.advised else "share of the peak"
    axes = Axes(x, kit.axis(0, max(peak, *(ends or (0.0,))), name, log=False))
    layers: kit.Layers = []
    if ends is not None:
        rows |= columns(lo=ends[0] * factors, hi=ends[1] * factors)
        layers.append(kit.band("course", axes, AFTER))
    if warmup:
        short = "warm-up"
        layers += kit.border(warmup + 1, axes, "end of the warm-up", INK, dash=DASHES, short=short)
    layers.append(kit.line("course", axes, AFTER))
    quarters = [round(last * i / 4) for i in range(5)]
    some = [say("schedule.at", step=t + 1, rate=peak * data.factor(t)) for t in quarters]
    text = say("schedule.curve", some="; ".join(some))
    drawn = chart("course", layers, {"course": rows}, text, height=240)
    caption = say("schedule.caption_band" if ends else "schedule.caption")
    return Figure(say("schedule.title"), caption, [drawn])
