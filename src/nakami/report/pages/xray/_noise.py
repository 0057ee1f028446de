"""The section of noise on the inputs: which decisions it changes, and what becomes of spectra."""

from __future__ import annotations

import numpy as np

from nakami.results import Noise, PairedChange, Share, share_text

from ...charts import _marks as kit
from ...charts._chart import Chart, Columns, chart, columns
from ...charts._labels import AROUND
from ...charts._marks import AFTER, BEFORE, DASHES, INK, Axes
from ...page._sections import Figure, Section, Table, Text, side_by_side
from ...words import _numbers as num
from ._data import Reading, say

COLOURS = (AFTER, BEFORE, INK, "var(--d1)")
RIGHT = 30  # pixels beside the plot


def noise_section(reading: Reading) -> Section | None:
    """Noise on the inputs of several kinds and strengths; None where none was tried."""
    found = reading.main.run.experiments.get("noise")
    if not isinstance(found, Noise):
        return None
    charts = [_decisions(found)] if found.decides else []
    charts += [_changes(found, stage) for stage in found.stages]
    data = {"stages": [num.short(stage) for stage in found.stages], "labels": bool(found.labels)}
    caption: str = reading.say(
        "noise.caption", k=found.settings["k"], draws=found.settings["repeats"]
    )
    if found.labels and found.decides:
        caption += say("noise.solid")
    title = reading.say("noise.title", whose=reading.whose, **data)
    layout = side_by_side(charts)
    figure = Figure(title, caption, charts, layout=layout, table=_table(found))
    heading, text = _words(reading, found)
    return reading.section("noise", heading, text, [figure], **data)


def _strongest(found: Noise) -> dict[str, PairedChange]:
    """The change of the mean value at the last stage by the strongest noise of each kind."""
    return {kind: found.change(kind, max(found.levels(kind))) for kind in found.kinds}


def _words(reading: Reading, found: Noise) -> tuple[str, str]:
    strongest, stage = _strongest(found), found.stages[-1]
    verdicts = {change.verdict for change in strongest.values()}
    only = verdicts.pop() if len(verdicts) == 1 else "mixed"
    case = {"falls": "falls", "rises": "rises", "mixed": "mixed"}.get(only, "still")
    said = [
        say("noise.change", kind=kind, size=found.size(kind)[-1].mean,
            change=num.pair(change.mean, change.se, sign=True), mean=float(change.before.mean()))
        for kind, change in strongest.items()
    ]  # fmt: skip
    text: str = reading.say("noise.text", stage=stage, changes=said)
    if found.decides:
        last = {kind: found.agreement(kind)[-1] for kind in found.kinds}
        stay = [say("noise.stays", kind=kind, share=100 * one.mean, low=100 * one.low,
                    high=100 * one.high) for kind, one in last.items()]  # fmt: skip
        text += say("noise.decided", shares=stay)
    return reading.say(f"noise.heading_{case}", stage=stage), text


def _ends(share: Share) -> tuple[float, float, float]:
    return share.mean, share.low, share.high


def _decisions(found: Noise) -> Chart:
    axes = Axes(_x(found), kit.axis(0, 1, say("noise.share"), log=False))
    layers: kit.Layers = []
    data: dict[str, Columns] = {}
    told, right = [], found.clean_accuracy
    for kind, colour in zip(found.kinds, COLOURS, strict=False):
        name, x = f"{kind}-decided", _sizes(found, kind)
        share = np.array([(1.0, 1.0, 1.0), *map(_ends, found.agreement(kind))]).T
        data[name] = columns(x=x, y=share[0], lo=share[1], hi=share[2])
        dash = DASHES if right is not None else ()
        if right is None:
            layers.append(kit.band(name, axes, colour, opacity=0.12))
        layers.append(kit.line(name, axes, colour, dash=dash))
        if right is not None:
            share = np.array([_ends(each) for each in (right, *found.accuracy(kind))]).T
            data[f"{kind}-right"] = columns(x=x, y=share[0], lo=share[1], hi=share[2])
            layers.append(kit.band(f"{kind}-right", axes, colour, opacity=0.12))
            layers.append(kit.line(f"{kind}-right", axes, colour))
        layers.append(kit.name(kind, axes, colour, kit.along(x, share[0].tolist()), AROUND))
        told.append(f"{kind}: {num.number(share[0, -1], 2)}")
    text = say("noise.chart", what=say("noise.share"), values="; ".join(told))
    return chart("noise-decisions", layers, data, text, height=300, padding={"right": RIGHT},
                 third=True, title=say("noise.decided_title"))  # fmt: skip


def _changes(found: Noise, stage: str) -> Chart:
    """Changes of the mean value over its clean mean, with 95 % intervals."""
    lines = {}
    for kind in found.kinds:
        changes = [found.change(kind, level, stage) for level in found.levels(kind)]
        unit = float(changes[0].before.mean()) or 1.0
        ends = [(c.mean, c.low, c.high) for c in changes]
        lines[kind] = np.array([(0.0, 0.0, 0.0), *ends]).T / unit
    every = np.concatenate([line[np.isfinite(line)] for line in lines.values()])
    low, high = float(every.min()), float(every.max())
    y = kit.axis(low, high if high > low else low + 1, say("noise.relative"), log=False)
    axes = Axes(_x(found), y)
    layers: kit.Layers = [*kit.level(0.0, axes)]
    data: dict[str, Columns] = {}
    for (kind, line), colour in zip(lines.items(), COLOURS, strict=False):
        name, x = f"{kind}-change", _sizes(found, kind)
        data[name] = columns(x=x, y=line[0], lo=line[1], hi=line[2])
        layers.append(kit.band(name, axes, colour, opacity=0.12))
        layers.append(kit.line(name, axes, colour))
        layers.append(kit.name(kind, axes, colour, kit.along(x, line[0].tolist()), AROUND))
    told = [f"{kind}: {num.number(line[0, -1], 2)}" for kind, line in lines.items()]
    text = say("noise.chart", what=say("noise.relative"), values="; ".join(told))
    at = f"noise-{found.stages.index(stage)}"
    return chart(at, layers, data, text, height=300, padding={"right": RIGHT},
                 third=True, title=say("noise.changes_title", stage=stage))  # fmt: skip


def _sizes(found: Noise, kind: str) -> list[float]:
    return [0.0, *(e.mean for e in found.size(kind))]


def _x(found: Noise) -> dict[str, object]:
    most = max(_sizes(found, kind)[-1] for kind in found.kinds)
    return kit.axis(0, most, say("noise.size"), log=False)


def _table(found: Noise) -> Table:
    head: list[Text] = ["noise", "level", "size in sd"]
    names = list[str]()
    if found.decides:
        head, names = [*head, "decisions kept (95 %)"], [*names, "agreement"]
    if found.labels is not None:
        head, names = [*head, "right (95 %)"], [*names, "accuracy"]
    head += ["stage", "change of the mean", "s.e.", "change of the largest", "s.e.", "verdict"]
    rows: list[list[Text]] = []
    for row in found.rows():
        changes = [row[name] for name in ("mean", "mean_se", "largest", "largest_se")]
        cells = [share_text(*(row[name + end] for end in ("", "_low", "_high"))) for name in names]
        cells = [num.number(row["size"], 2), *cells]
        ends = [num.known(v, 2) for v in changes]
        start: list[Text] = [row["kind"], num.number(row["level"]), *cells]
        rows.append([*start, num.short(row["stage"]), *ends, row["verdict"]])
    places = {3 + len(names), len(head) - 1}
    numeric = tuple(i for i in range(1, len(head)) if i not in places)
    return Table(say("noise.table"), head, rows, numeric, 640)
