"""The section of leading subspaces: what depths, classes and differences of inputs share."""

from __future__ import annotations

import numpy as np

from nakami.results import PairContrast, Subspaces

from ...charts import _marks as kit
from ...charts._axes import index_axes
from ...charts._chart import Chart, Columns, Spec, chart, columns
from ...charts._labels import AROUND
from ...charts._marks import AFTER, BEFORE, DASHES, DOTS, INK, Axes
from ...page._sections import Figure, Section, Table, Text, side_by_side
from ...words import _numbers as num
from ._data import Reading, say

RIGHT = 30  # pixels beside the plot
Line = tuple[str, str, list[float]]  # name, colour, a value for each stage


def subspaces_section(reading: Reading) -> Section | None:
    """Leading subspaces of the inputs by depth; None where none were read."""
    found = reading.main.run.experiments.get("subspaces")
    if not isinstance(found, Subspaces):
        return None
    between = {stage: found.between(stage) for stage in found.stages}
    kept = {stage: found.kept(stage) for stage in found.stages}
    tried = _shares(found, "overlap", between), _shares(found, "kept", kept), _exponents(found)
    charts = [each for each in tried if each is not None]
    data = {"r": found.dimension, "labels": found.settings["labels"] is not None}
    caption = reading.say("subspaces.caption", **data)
    title = reading.say("subspaces.title", whose=reading.whose, **data)
    layout = side_by_side(charts)
    figure = Figure(title, caption, charts, layout=layout, table=_table(found))
    heading, text = _words(reading, found, between, kept)
    return reading.section("subspaces", heading, text, [figure], **data)


def _words(
    reading: Reading,
    found: Subspaces,
    between: dict[str, PairContrast],
    kept: dict[str, PairContrast],
) -> tuple[str, str]:
    stage = found.stages[-1]
    case = {"higher": "higher", "lower": "lower", "not distinguishable": "still"}.get(
        between[stage].verdict, "plain"
    )
    both = {"overlap": between[stage], "kept": kept[stage]}
    said = []
    for name, read in both.items():
        groups = {"same": read.same, "different": read.different}
        shares = [
            say(f"subspaces.{group}", share=_percent(mean.mean, mean.se))
            for group, mean in groups.items()
            if mean.pairs
        ]
        if shares:
            said.append(reading.say(f"subspaces.{name}", shares=shares, stage=stage))
        if len(shares) == 2:
            apart = read.difference
            change = num.pair(100 * apart.mean, 100 * apart.se, sign=True)
            said.append(say("subspaces.apart", change=change, verdict=read.verdict))
    doubt = float(found.arrays["doubt"].max())
    said += [say("subspaces.chance", chance=100 * found.chance(stage))]
    said += [say("subspaces.doubt", angle=float(np.degrees(np.arcsin(doubt))))] * (doubt > 0.2)
    return reading.say(f"subspaces.heading_{case}", stage=stage), "".join(said)


def _percent(mean: float, se: float) -> str:
    return f"{num.pair(100 * mean, 100 * se)}{num.NBSP}%"


def _shares(found: Subspaces, name: str, reads: dict[str, PairContrast]) -> Chart | None:
    """Shares by depth: within classes, between them, and of random subspaces."""
    each = list(reads.values())
    lines: list[Line] = [
        (say("subspaces.line_chance"), "var(--ink-2)", [r.chance for r in each]),
        (say("subspaces.line_same"), AFTER, [r.same.mean for r in each]),
        (say("subspaces.line_different"), BEFORE, [r.different.mean for r in each]),
    ]
    if name == "overlap" and any(found.following):
        steps = [
            float("nan") if after is None else found.overlap(stage, after).mean
            for stage, after in zip(found.stages, found.following, strict=True)
        ]
        lines.append((say("subspaces.line_next"), INK, steps))
    lines = [line for line in lines if np.isfinite(line[2]).any()]
    if len(lines) < 2:
        return None
    stages = num.unique([num.short(s, 14) for s in found.stages])
    top = max(float(np.nanmax(values)) for _, _, values in lines) or 1.0
    y = kit.axis(0, min(1.0, 1.05 * top), say(f"subspaces.axis_{name}"), log=False)
    axes = Axes(_depths(stages), y)
    data: dict[str, Columns] = {}
    layers: kit.Layers = []
    for text, colour, values in lines:
        at = [(s, v) for s, v in zip(stages, values, strict=True) if np.isfinite(v)]
        data[f"{name}-{text}"] = columns(x=[s for s, _ in at], y=[v for _, v in at])
        dash = {INK: DASHES, "var(--ink-2)": DOTS}.get(colour, [])
        layers.append(kit.line(f"{name}-{text}", axes, colour, dash=dash))
        layers.append(kit.layer(f"{name}-{text}", axes.at(), "point", filled=True, size=46,
                                opacity=1, color=colour))  # fmt: skip
        layers.append(kit.name(text, axes, colour, at[::-1], AROUND))
    told = [f"{text}: {num.number(v[0], 2)} to {num.number(v[-1], 2)}" for text, _, v in lines
            if np.isfinite(v[-1])]  # fmt: skip
    what = say(f"subspaces.axis_{name}")
    words = say("subspaces.chart", what=what, values="; ".join(told) or "none")
    return chart(f"subspaces-{name}", layers, data, words, height=300, padding={"right": RIGHT},
                 third=True, title=say(f"subspaces.title_{name}"))  # fmt: skip


def _depths(stages: list[str]) -> Spec:
    look = {
        "title": None,
        "labelAngle": -40 if sum(map(len, stages)) > 24 else 0,
        "labelLimit": 110,
    }
    scale = {"type": "point", "paddingOuter": 0.3, "domain": stages}
    return {"type": "ordinal", "sort": stages, "scale": scale, "axis": look}


def _exponents(found: Subspaces) -> Chart | None:
    """Exponents by index, a curve for each stage."""
    curves = {s: [e.mean for e in found.exponents(s)] for s in found.stages}
    curves = {s: values for s, values in curves.items() if values}
    if not curves:
        return None
    every = [v for values in curves.values() for v in values]
    x = {"type": "quantitative", "title": say("subspaces.index"),
         **index_axes(max(map(len, curves.values())), small=True)["linear"]}  # fmt: skip
    y = kit.axis(
        min(0.0, *every), max(0.0, *every) or 1.0, say("subspaces.axis_exponent"), log=False
    )
    axes = Axes(x, y)
    layers: kit.Layers = [*kit.level(0.0, axes)]
    data: dict[str, Columns] = {}
    for depth, (stage, values) in enumerate(curves.items(), 1):
        index = list(range(1, len(values) + 1))
        data[f"exponents-{depth}"] = columns(x=index, y=values)
        layers.append(kit.line(f"exponents-{depth}", axes, f"var(--d{depth})"))
        name = num.short(stage, 16)
        layers.append(kit.name(name, axes, f"var(--t{depth})", kit.along(index, values), AROUND,
                               dropped=True))  # fmt: skip
    told = [f"{s}: {num.number(v[0], 2)} to {num.number(v[-1], 2)}" for s, v in curves.items()]
    what = say("subspaces.axis_exponent")
    words = say("subspaces.chart", what=what, values="; ".join(told))
    return chart("subspaces-exponents", layers, data, words, height=300, padding={"right": RIGHT},
                 third=True, title=say("subspaces.title_exponent"))  # fmt: skip


def _table(found: Subspaces) -> Table:
    head: list[Text] = ["stage", "weight layers", "overlap with the next", "by chance",
                        "of one class", "of different classes", "difference kept, one class",
                        "different classes", "first exponent"]  # fmt: skip
    names = ("to_next", "chance", "same", "different", "kept_same", "kept_different", "exponent")
    rows: list[list[Text]] = [
        [
            num.short(row["stage"]),
            num.whole(row["depth"]),
            *(num.known(row[name], 2) for name in names),
        ]
        for row in found.rows()
    ]
    return Table(say("subspaces.table"), head, rows, tuple(range(1, len(head))), 640)
