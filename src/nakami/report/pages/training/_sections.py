"""Losses by epoch, facts of the networks, pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nakami.results import Lines, Picture, Show, TrainedPhase, TrainingReport, Tree

from ...charts._chart import Chart
from ...charts._curves import Curve, Scale, curves
from ...page._mosaic import mosaic
from ...page._sections import Figure, Section, Table, Text, section, side_by_side
from ...words import _numbers as num
from ...words._sentences import Sentences
from ._tree import tree_chart

say = Sentences(__file__)
SHOWN = 400  # points of a curve
MARKED = 30  # epochs up to which each is marked


def losses_section(found: TrainingReport) -> Section | None:
    """A curve for each phase; None where no phase has an epoch."""
    phases = [phase for phase in found.phases if phase.losses]
    if not phases:
        return None
    fell = sum(phase.losses[-1] < phase.losses[0] for phase in phases)
    first, last = phases[0].losses[0], phases[-1].losses[-1]
    data = {"phases": len(phases), "fell": fell, "name": phases[0].name}
    case = "one" if len(phases) == 1 else "many"
    heading = say(f"losses.{case}", first=first, last=last, **data)
    charts = [loss_chart(i, phase) for i, phase in enumerate(phases)]
    figure = Figure(
        say("losses.title"),
        say("losses.caption", **data),
        charts,
        layout=side_by_side(charts),
        table=phases_table(found),
    )
    may_not = [say("losses.not_test")]
    if any("reconstruction" in phase.loss for phase in phases):
        may_not.append(say("losses.not_likelihood"))
    text = say("losses.text")
    return section(say, "losses", heading, text, [figure], may_not=may_not, wide=len(phases) > 1)


def loss_chart(index: int, phase: TrainedPhase) -> Chart:
    """The mean loss of each epoch."""
    n = len(phase.losses)
    at = np.unique(np.linspace(0, n - 1, SHOWN).astype(int))
    losses = np.asarray(phase.losses)
    line = Curve("", at + 1, losses[at], marks=n <= MARKED, colour=0)
    text = say(
        "losses.alt", name=phase.name, loss=phase.loss, n=n, first=losses[0], last=losses[-1]
    )
    x = Scale(say("axis.epoch"), ends=(1.0, float(max(n, 2))), whole=True)
    title = f"{phase.name}: {phase.loss}"
    return curves(f"loss{index}", [line], x, Scale(say("axis.loss")), text, height=220, title=title)


def phases_table(found: TrainingReport) -> Table:
    """A row for each phase."""
    rows: list[list[Text]] = [
        [
            phase.name, phase.loss, num.whole(len(phase.losses)), num.whole(phase.batch),
            *(num.number(phase.losses[i]) if phase.losses else "" for i in (0, -1)),
            num.seconds(phase.seconds),
        ]
        for phase in found.phases
    ]  # fmt: skip
    names = ("phase", "loss", "epochs", "batch", "first", "last", "seconds")
    head: list[Text] = [say(f"head.{name}") for name in names]
    return Table(say("losses.title"), head, rows, (2, 3, 4, 5, 6), 640)


def facts_section(found: TrainingReport) -> Section | None:
    """What is known of each network, with its doubt."""
    if not any(network.facts for network in found.networks):
        return None
    heading = say("facts.heading", n=len(found.networks))
    figure = Figure(say("facts.title"), say("facts.caption"), table=facts_table(found))
    return section(say, "facts", heading, say("facts.text"), [figure])


def facts_table(found: TrainingReport) -> Table:
    """A row for each fact of each network."""
    rows: list[list[Text]] = [
        [network.name, fact["label"], fact_text(fact), str(fact.get("spread_kind") or "")]
        for network in found.networks
        for fact in network.facts
    ]
    head: list[Text] = [say(f"head.{name}") for name in ("network", "fact", "value", "doubt")]
    return Table(say("facts.title"), head, rows, (2,), 560)


def fact_text(fact: Mapping[str, Any]) -> str:
    """``8.4 ± 0.9 %``."""
    return " ".join(filter(None, (*split(fact), str(fact.get("unit") or ""))))


def split(fact: Mapping[str, Any]) -> tuple[str, str]:
    """The value of a fact, and its spread, or nothing."""
    value, spread = fact.get("value"), fact.get("spread")
    mean = math.nan if value is None else float(value)
    return num.split(mean, math.nan if spread is None else float(spread))


def pictures_section(found: TrainingReport) -> Section | None:
    """The pictures of the recipe."""
    if not found.pictures:
        return None
    figures = [shown(i, picture) for i, picture in enumerate(found.pictures)]
    n = len(figures)
    if any(isinstance(picture, Picture) for picture in found.pictures):
        heading, text = say("pictures.heading", n=n), say("pictures.text")
        return section(say, "pictures", heading, text, figures, wide=True)
    heading, text = say("drawn.heading", n=n), say("drawn.text")  # nothing of filters
    made = section(say, "drawn", heading, text, figures, wide=True)
    return replace(made, id="pictures")


def shown(index: int, found: Show) -> Figure:
    """A picture, curves, a tree or texts as a figure."""
    if isinstance(found, Picture):
        return Figure(found.title, found.caption, mosaic=mosaic(found))
    if isinstance(found, Lines):
        return Figure(found.title, found.caption, [lines_chart(index, found)])
    if isinstance(found, Tree):
        return Figure(found.title, found.caption, [tree_chart(index, found)])
    rows = [list[Text](row) for row in found.rows]
    return Figure(found.title, found.caption, table=Table(found.title, [*found.head], rows))


def lines_chart(index: int, found: Lines) -> Chart:
    """Curves or points that a recipe offers."""
    made = [Curve(name, x, y, line=found.joined) for name, (x, y) in found.lines.items()]
    axes = Scale(found.x, ends=found.ends), Scale(found.y, ends=found.ends)
    return curves(f"lines{index}", made, *axes, f"{found.title}. {found.caption}")
