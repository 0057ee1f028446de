"""The section of spectra over time: what is left of the state and of an input after some steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...charts import _marks as kit
from ...charts._axes import index_axes
from ...charts._chart import Chart, Columns, chart, columns
from ...charts._labels import AROUND
from ...charts._marks import Axes
from ...page._sections import Figure, Section, Table, Text, section
from ...words import _numbers as num
from ._data import Data, say, short

if TYPE_CHECKING:
    from nakami.results import Estimate, RecurrentLayer, SpectraOverTime

DRAWN = ("state", "first input")
LEAST = 1e-6  # of the largest value: what lies below is not drawn
RIGHT = 60  # pixels for the names of curves


def over_time_section(data: Data) -> Section | None:
    """Spectra after some steps; None in runs written before there were any."""
    layer = data.first
    found = layer.over_time
    if found is None:
        return None
    last = int(found.steps[-1])
    left, inputs = (found.above(source=source)[-1] for source in DRAWN)
    heading = say("time.heading", left=_pair(left), size=layer.state_size, steps=last)
    rates = found.exponents()
    text = say(
        "time.text", inputs=_pair(inputs), width=int(found.sizes[1, 0]), steps=last,
        first=_rate(rates[0]), last=_rate(rates[-1]), begin=int(found.steps[0]),
        both=len(found.steps) > 1, sequences=found.values.shape[1],
        layer=f"{short(layer)}: " if data.several else "",
    )  # fmt: skip
    charts = [_values(found, source) for source in DRAWN]
    caption: str = say("time.caption", sequences=found.values.shape[1])
    caption += "".join(_not_drawn(found, source) for source in DRAWN)
    figure = Figure(
        say("time.title", layer=short(layer)), caption, charts, layout="duo", table=_table(data)
    )
    return section(say, "time", heading, text, [figure])


def _pair(value: Estimate) -> str:
    bound = f"at least{num.NBSP}" if value.lower_bound else ""
    return f"{bound}{num.pair(value.mean, value.se)}"


def _rate(value: Estimate) -> str:
    return _pair(value) if np.isfinite(value.mean) else say("time.erased")


def _values(found: SpectraOverTime, source: str) -> Chart:
    """Mean values by index, a curve for each time."""
    means, low = _means(found, source)
    top = float(means.max()) or 1.0
    y = kit.axis(low / 1.5, top * 1.6, say("time.y"), log=True)
    x = {"type": "quantitative", "title": say("time.x"),
         **index_axes(means.shape[1], small=True)["linear"]}  # fmt: skip
    axes = Axes(x, y)
    layers: kit.Layers = [*kit.level(1.0, axes)] if low < 1 < top * 1.6 else []
    data: dict[str, Columns] = {}
    told = []
    for depth, (step, row) in enumerate(zip(found.steps.tolist(), means, strict=True), 1):
        seen = np.flatnonzero(row >= low)
        index, values = (seen + 1).tolist(), row[seen].tolist()
        name = f"{source.replace(' ', '-')}-{step}"
        data[name] = columns(x=index, y=values)
        layers.append(kit.line(name, axes, f"var(--d{depth})"))
        told.append(say("time.told", steps=step, most=float(row.max()), least=float(row.min())))
        if not index:  # all of it lies below
            continue
        words = say("time.curve", steps=step)
        layers.append(kit.name(words, axes, f"var(--t{depth})", kit.along(index, values)[::-1],
                               AROUND, dropped=True))  # fmt: skip
    case = source.replace(" ", "_")
    text = say("time.chart", what=say(f"time.{case}"), values="; ".join(told))
    return chart(f"time-{case}", layers, data, text, height=300, padding={"right": RIGHT},
                 title=say(f"time.{case}"))  # fmt: skip


def _means(found: SpectraOverTime, source: str) -> tuple[np.ndarray, float]:
    """Mean values by time and index, and the least that is drawn."""
    means = np.nan_to_num(found.of(source)).mean(0)
    top = float(means.max()) or 1.0
    return means, max(top * LEAST, float(means[means > 0].min(initial=top)))


def _not_drawn(found: SpectraOverTime, source: str) -> str:
    """Which indices a chart leaves out at each time, if any."""
    means, low = _means(found, source)
    gone = []
    for step, row in zip(found.steps.tolist(), means, strict=True):
        drawn = int((row >= low).sum())  # values fall with the index
        if drawn < len(row):
            case = "from" if drawn else "all"
            gone.append(say(f"time.gone_{case}", steps=step, index=drawn + 1))
    where = say(f"time.{source.replace(' ', '_')}")
    return f" {where}:" + say("time.floor", share=LEAST, gone=gone) if gone else ""


def _table(data: Data) -> Table:
    head: list[Text] = ["layer", "by", "steps", "largest", "s.e.", "above 1", "s.e.", "above 0.1",
                        "s.e.", "effective rank", "s.e.", "ln s₁ / t", "s.e."]  # fmt: skip
    rows = [row for layer in data.found.layers for row in _rows(layer)]
    return Table(say("time.table"), head, rows, tuple(range(2, len(head))), 760)


def _cells(row: dict[str, Any], name: str) -> list[Text]:
    """A number and its standard error."""
    mean, error = (num.known(row[each]) for each in (name, f"{name}_se"))
    return [f"≥ {mean}" if mean and row.get(f"{name}_lower_bound") else mean, error]


def _rows(layer: RecurrentLayer) -> list[list[Text]]:
    names = ("largest", "above_1", "above_0.1", "effective_rank", "exponent")
    return [
        [short(layer), row["source"], num.whole(row["steps"])]
        + [text for name in names for text in _cells(row, name)]
        for row in (layer.over_time.rows() if layer.over_time is not None else [])
    ]
