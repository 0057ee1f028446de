"""Areas of all directions by index: whether large values go with local directions."""

from __future__ import annotations

import numpy as np

from nakami.results import Locality, Xray, evenly

from ...charts import _marks as kit
from ...charts._axes import index_axes
from ...charts._chart import Chart, Columns, chart, columns
from ...charts._labels import BESIDE
from ...charts._marks import Axes
from ...page._sections import Figure, Table, Text
from ...words import _numbers as num
from ._curves import panels
from ._data import Reading, say
from ._images import Frame

POINTS = 120  # of a curve
WIDE = 20  # ratio of areas from which the axis is logarithmic


def locality_text(reading: Reading, stage: str) -> str:
    """At how many inputs the first direction covers less than the last; empty of one input."""
    found = reading.main.run.locality(stage)
    if found is None or found.n < 2:
        return ""
    low, high = (100 * end for end in found.interval)
    ends = f"{num.number(low, 2)} to {num.number(high, 2)}"
    last, same = found.correlation, not np.isfinite(found.correlation.mean)
    text: str = reading.say("locality.text", stage=stage, holds=found.holds, of=found.n, ends=ends)
    end = "." if same else reading.say("locality.rank", rank=num.pair(last.mean, last.se))
    return text + end


def counts_pixels(reading: Reading, shape: Frame) -> bool:
    """Whether the areas that the run holds are in pixels: colours of one pixel are one place."""
    return shape.channels == 1 or reading.main.run.inputs.ndim == 4


def locality_figure(reading: Reading) -> Figure | None:
    """Mean area by index at the stages; None where no areas were measured."""
    run = reading.main.run
    known = {s: found for s in reading.solid if (found := run.locality(s)) is not None}
    if not known:
        return None
    shown = panels(tuple(known))
    caption = reading.say("locality.caption")
    title = say("locality.title", whose=reading.whose)
    rows = [_row(stage, found) for stage, found in known.items()]
    head: list[Text] = [
        "stage", "area of the first", "± s.e.", "of the last", "± s.e.", "first smaller, of inputs",
        "95 % interval", "rank correlation", "± s.e.",
    ]  # fmt: skip
    table = Table(say("locality.table"), head, rows, tuple(range(1, len(head))), 700)
    return Figure(title, caption, [_chart(reading, shown)], table=table)


def mean_areas(run: Xray, stage: str) -> np.ndarray:
    """Mean area over inputs by index, as far as every input has a value above the floor."""
    each = [s.areas for s in run.at(stage) if s.areas is not None]
    sure = [len(s.values) if s.reliable.all() else int(s.reliable.argmin()) for s in run.at(stage)]
    k = min(sure)
    return np.array([areas[:k] for areas in each]).mean(0)


def _chart(reading: Reading, shown: list[str]) -> Chart:
    means = {stage: mean_areas(reading.main.run, stage) for stage in shown}
    low, high = (float(end(v.min() if end is min else v.max() for v in means.values()))
                 for end in (min, max))  # fmt: skip
    k = max(map(len, means.values()))
    x = {"type": "quantitative", "title": "index", **index_axes(k)["linear"]}
    log = high > WIDE * low
    y = kit.axis(low / 1.2 if log else 0, high * 1.2, say("locality.axis"), log=log)
    axes, layers, data = Axes(x, y), kit.Layers(), dict[str, Columns]()
    told = []
    for stage, mean in means.items():
        i = reading.stages.index(stage) + 1
        at = evenly(range(len(mean)), POINTS)
        name = f"area{i}"
        data[name] = columns(x=[n + 1 for n in at], y=mean[at])
        layers.append(kit.line(name, axes, f"var(--d{i})"))
        places = [(float(n + 1), float(mean[n])) for n in at[::-1]]
        layers.append(kit.name(num.short(stage, 18), axes, f"var(--t{i})", places, BESIDE))
        told.append(say("locality.curve", stage=stage, first=mean[0], last=mean[-1], k=len(mean)))
    text = say("locality.chart", curves="; ".join(told))
    return chart("areas", layers, data, text, height=280, padding={"right": 120})


def _row(stage: str, found: Locality) -> list[Text]:
    low, high = found.interval
    numbers = [found.first.mean, found.first.se, found.last.mean, found.last.se]
    rank = [found.correlation.mean, found.correlation.se]
    return [
        stage,
        *map(num.known, numbers),
        f"{found.holds} of {found.n}",
        f"{num.fixed(low, 2)} to {num.fixed(high, 2)}",
        *map(num.known, rank),
    ]
