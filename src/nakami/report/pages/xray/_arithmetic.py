"""The section of float64 beside float32: what of a difference is the network's own."""

from __future__ import annotations

import numpy as np

from nakami.results import Arithmetic

from ...charts import _marks as kit
from ...charts._axes import index_axes
from ...charts._chart import Chart, Columns, chart, columns
from ...charts._labels import AROUND
from ...charts._marks import AFTER, BEFORE, DASHES, INK, Axes
from ...page._sections import Figure, Section, Table, Text
from ...words import _numbers as num
from ._data import Reading, say

RIGHT = 30  # pixels beside the plot
LEAST = 1e-16  # what float64 cannot tell from 0
LINES = {"total": (AFTER, ()), "rest": (BEFORE, ()), "bound": (INK, DASHES)}


def arithmetic_section(reading: Reading) -> Section | None:
    """Values in float64 beside those of the run; None where none were computed."""
    found = reading.main.run.experiments.get("arithmetic")
    if not isinstance(found, Arithmetic):
        return None
    at, (flipped, units) = found.largest(), found.flipped()
    few = len(found.inputs)
    data = {"stage": at.stage, "sample": f"{few} {reading.noun}{'' if few == 1 else 's'}"}
    title = reading.say("arithmetic.title", whose=reading.whose, **data)
    caption = reading.say("arithmetic.caption", **data)
    charts = [made for stage in found.stages[-1:] if (made := _differences(found, stage))]
    figure = Figure(title, caption, charts, table=_table(found))
    heading = reading.say(f"arithmetic.heading_{at.cause}", **data)
    case = "none" if at.cause == "unknown" else "text"
    text: str = reading.say(
        f"arithmetic.{case}", flipped=flipped, units=units, total=at.total, kinks=at.kinks,
        rest=at.rest, rounding=at.rounding, engine=at.engine, value=at.index + 1, **data,
    )  # fmt: skip
    unexplained = 1 - found.explained()
    if unexplained > 0:
        text += reading.say("arithmetic.unexplained", share=100 * unexplained)
    return reading.section("arithmetic", heading, text, [figure], **data)


def _differences(found: Arithmetic, stage: str) -> Chart | None:
    """The largest of each part over the inputs, by index."""
    parts = {name: _most(found.relative(name, stage)) for name in ("total", "rest")}
    parts["bound"] = _most(found.relative("rounding", stage) + found.relative("engine", stage))
    known = np.flatnonzero(np.isfinite(parts["total"]))
    if not known.size:
        return None
    lines = {name: np.maximum(values[known], LEAST) for name, values in parts.items()}
    low, high = (f([f(v) for v in lines.values()]) for f in (min, max))
    index = (known + 1).tolist()
    x = {"type": "quantitative", "title": say("arithmetic.index"),
         **index_axes(index[-1], small=True)["linear"]}  # fmt: skip
    y = kit.axis(low / 2, high * 2, say("arithmetic.axis"), log=True)
    axes = Axes(x, y)
    layers: kit.Layers = []
    data: dict[str, Columns] = {}
    for name, values in lines.items():
        colour, dash = LINES[name]
        data[f"arithmetic-{name}"] = columns(x=index, y=values)
        layers.append(kit.line(f"arithmetic-{name}", axes, colour, dash=dash))
        words = say(f"arithmetic.line_{name}")
        layers.append(kit.name(words, axes, colour, kit.along(index, values.tolist()), AROUND))
    told = [
        say("arithmetic.told", name=say(f"arithmetic.line_{name}"), least=v.min(), most=v.max())
        for name, v in lines.items()
    ]
    text = say("arithmetic.chart", values="; ".join(told))
    return chart("arithmetic", layers, data, text, height=300, padding={"right": RIGHT})


def _most(values: np.ndarray) -> np.ndarray:
    """The largest over inputs; NaN where none is known."""
    known = np.isfinite(values)
    most = np.where(known, values, -1.0).max(0)
    return np.where(known.any(0), most, np.nan)


def _table(found: Arithmetic) -> Table:
    head: list[Text] = ["stage", "value", "difference", "by kinks", "the rest", "bound of rounding",
                        "bound of the engine", "units on another side", "of"]  # fmt: skip
    names = ("total", "kinks", "rest", "rounding", "engine")
    rows: list[list[Text]] = [
        [
            num.short(row["stage"]),
            num.whole(row["value"] + 1),
            *(num.known(row[name], 2) for name in names),
            num.whole(row["flipped"]),
            num.whole(row["units"]),
        ]
        for row in found.rows()
    ]
    return Table(say("arithmetic.table"), head, rows, tuple(range(1, len(head))), 640)
