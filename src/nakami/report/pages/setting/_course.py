"""The chart of a rate over a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...charts import _marks as kit
from ...charts._chart import chart, columns
from ...charts._marks import AFTER, DASHES, INK, Axes
from ...page._sections import Figure
from ._data import say

if TYPE_CHECKING:
    from nakami.geometry import TrainingSetting

POINTS = 240


def course_figure(setting: TrainingSetting) -> Figure:
    """The rate of each step; its share of the peak where no rate is known."""
    warmup, last = setting.warmup, setting.steps - 1
    even = np.linspace(0, last, POINTS).astype(int).tolist()
    steps = sorted({*even, max(0, warmup - 1), warmup})
    factors = np.array([setting.factor(step) for step in steps])
    peak, ends = setting.rate or 1.0, setting.interval
    data = columns(x=[step + 1 for step in steps], y=peak * factors)
    x = kit.axis(0, max(setting.steps, 2), "step", log=False, whole=True)
    name = "learning rate" if setting.rate else "share of the peak"
    axes = Axes(x, kit.axis(0, max(peak, *(ends or (0.0,))), name, log=False))
    layers: kit.Layers = []
    if ends is not None:
        data |= columns(lo=ends[0] * factors, hi=ends[1] * factors)
        layers.append(kit.band("course", axes, AFTER))
    if warmup:
        short = "warm-up"
        layers += kit.border(warmup + 1, axes, "end of the warm-up", INK, dash=DASHES, short=short)
    layers.append(kit.line("course", axes, AFTER))
    quarters = [round(last * i / 4) for i in range(5)]
    some = [say("schedule.at", step=t + 1, rate=peak * setting.factor(t)) for t in quarters]
    text = say("schedule.curve", some="; ".join(some))
    drawn = chart("course", layers, {"course": data}, text, height=240)
    caption = say("schedule.caption_band" if ends else "schedule.caption")
    return Figure(say("schedule.title"), caption, [drawn])
