"""The section of steps along directions: what they change, and when the decision changes."""

from __future__ import annotations

import numpy as np

from nakami.results import Perturbation, share_text

from ...charts import _marks as kit
from ...charts._chart import Chart, Columns, chart, columns
from ...charts._labels import BESIDE
from ...charts._marks import AFTER, BEFORE, DASHES, INK, Axes
from ...page._sections import Figure, Section, Table, Text, side_by_side
from ...words import _numbers as num
from ._data import Reading, say

COLOURS = {"top": AFTER, "middle": "var(--d1)", "bottom": BEFORE, "random": INK}
RIGHT = 84  # pixels for the names of curves


def perturbation_section(reading: Reading) -> Section | None:
    """Steps along singular and random directions; None where none were made."""
    found = reading.main.run.experiments.get("perturbation")
    if not isinstance(found, Perturbation):
        return None
    groups = list(dict.fromkeys(found.groups))
    charts = [_changes(found, groups)]
    if found.decides:
        charts.append(_decisions(found, groups))
    data = {"stage": found.stages[-1], "of": found.stage, "unit": found.unit == "norm"}
    data["decides"] = found.decides
    caption = reading.say("perturbation.caption", **data, whose=reading.whose)
    title = reading.say("perturbation.title", **data, whose=reading.whose)
    layout = side_by_side(charts)
    figure = Figure(title, caption, charts, layout=layout, table=_table(found, groups))
    heading, text = _words(reading, found, groups)
    name = "decides" if found.decides else "changes"
    may = [reading.say(f"perturbation.may_{name}", **data)]
    return reading.section("perturbation", heading, text, [figure], may=may, **data)


def _words(reading: Reading, found: Perturbation, groups: list[str]) -> tuple[str, str]:
    changes = {g: found.change(g)[0].mean for g in groups}
    first = float(found.lengths[0])
    text: str = reading.say(
        "perturbation.text", length=_length(first, found), stage=found.stages[-1],
        changes=[say("perturbation.change", value=v, group=g) for g, v in changes.items()],
        held=[say("perturbation.held", length=_length(found.radius(g), found), group=g)
              for g in groups if np.isfinite(found.radius(g))] or ["nothing"],
    )  # fmt: skip
    if found.decides:
        text += _borders(found, groups)
    top, least = changes["top"], changes.get("random", changes.get("bottom", 0.0))
    if not least > 0:
        return reading.say("perturbation.heading_plain"), text
    other = "random" if "random" in groups else "bottom"
    heading = reading.say("perturbation.heading", factor=top / least, other=other)
    return heading, text


def _borders(found: Perturbation, groups: list[str]) -> str:
    met = {g: found.border(g) for g in groups}
    near = [
        say("perturbation.border", length=_length(v, found), group=g)
        for g, v in met.items()
        if np.isfinite(v)
    ]
    far = [g for g, v in met.items() if not np.isfinite(v)]
    most = _length(float(found.lengths[-1]), found)
    text = say("perturbation.borders", near=near) if near else ""
    return text + (say("perturbation.far", groups=far, most=most) if far else "")


def _length(value: float, found: Perturbation) -> str:
    """A length: of the norm in per cent, of deviations as a number."""
    if found.unit == "sd":
        return f"{num.number(value, 2)}{num.NBSP}sd"
    return f"{num.number(100 * value, 2)}{num.NBSP}%"


def _changes(found: Perturbation, groups: list[str]) -> Chart:
    means = {g: np.array([e.mean for e in found.change(g)]) for g in groups}
    seen = np.concatenate([v[v > 0] for v in means.values()] or [np.ones(1)])
    top = float(seen.max(initial=1e-12))
    low = max(float(seen.min(initial=top)), top * 1e-7)
    y = kit.axis(low / 1.5, top * 1.6, say("perturbation.size"), log=True)
    axes = Axes(_x(found), y)
    layers: kit.Layers = []
    data: dict[str, Columns] = {}
    for g in groups:
        line = [e.mean for e in found.predicted(g)]
        data[g] = columns(x=found.lengths, y=means[g], p=line)
        layers.append(kit.line(g, axes, COLOURS[g], "p", dash=DASHES, width=1))
        layers.append(kit.line(g, axes, COLOURS[g]))
        at = [(float(x), float(v)) for x, v in zip(found.lengths, means[g], strict=True) if v > 0]
        layers.append(kit.name(g, axes, COLOURS[g], at[::-1] or [(1.0, low)], BESIDE))
    told = [f"{g}: {num.number(v[0])} to {num.number(v[-1])}" for g, v in means.items()]
    text = say("perturbation.chart", what=say("perturbation.size"), values="; ".join(told))
    return chart("steps", layers, data, text, height=300, padding={"right": RIGHT},
                 title=say("perturbation.changes_title"))  # fmt: skip


def _decisions(found: Perturbation, groups: list[str]) -> Chart:
    axes = Axes(_x(found), kit.axis(0, 1, say("perturbation.share"), log=False))
    layers: kit.Layers = []
    data: dict[str, Columns] = {}
    told = []
    for g in groups:
        each = found.decided(g)
        shares = np.array([e.mean for e in each])
        low, high = [e.low for e in each], [e.high for e in each]
        data[f"{g}-share"] = columns(x=found.lengths, y=shares, lo=low, hi=high)
        layers.append(kit.band(f"{g}-share", axes, COLOURS[g], opacity=0.08))
        layers.append(kit.line(f"{g}-share", axes, COLOURS[g]))
        at = [(float(x), float(v)) for x, v in zip(found.lengths, shares, strict=True)][::-1]
        layers.append(kit.name(g, axes, COLOURS[g], at, BESIDE))
        told.append(f"{g}: {num.number(shares[-1], 2)}")
    what = say("perturbation.share")
    text = say("perturbation.chart", what=what, values="; ".join(told))
    return chart("decisions", layers, data, text, height=300, padding={"right": RIGHT},
                 title=say("perturbation.decided_title"))  # fmt: skip


def _x(found: Perturbation) -> dict[str, object]:
    ends = float(found.lengths[0]), float(found.lengths[-1])
    low, high = ends if ends[0] < ends[1] else (ends[0] / 2, ends[1] * 2)
    return kit.axis(low, high, say(f"perturbation.axis_{found.unit}"), log=True)


def _table(found: Perturbation, groups: list[str]) -> Table:
    head: list[Text] = ["direction", "length", "change", "s.e.", "over the prediction"]
    head += ["changed decisions (95 %)"] if found.decides else []
    rows: list[list[Text]] = []
    for row in found.rows():
        names = ["change", "change_se", "ratio"]
        cells = [num.known(row[name]) for name in names]
        if found.decides:
            cells.append(share_text(row["decided"], row["decided_low"], row["decided_high"]))
        rows.append([row["group"], num.number(row["length"]), *cells])
    return Table(say("perturbation.table"), head, rows, tuple(range(1, len(head))), 520)
