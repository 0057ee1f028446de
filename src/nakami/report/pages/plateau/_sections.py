"""Lengths of plateaus, errors over time, curvature on the line of equal students."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...charts._chart import Chart
from ...charts._curves import Curve, Scale, curves
from ...page._sections import Figure, Section, section
from ...words import _numbers as num
from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.theory.plateau import PlateauStudy

say = Sentences(__file__)
SHOWN = 300  # points of a curve


def length_section(found: PlateauStudy) -> Section:
    """By the number of outputs."""
    by = found.by_outputs
    first, last = (float(by.length[i]) for i in (0, -1))
    facts = {"first": first, "last": last, "few": int(by.outputs[0]), "many": int(by.outputs[-1])}
    figure = Figure(
        say("length.title"), say("length.caption", starts=found.starts), [length_chart(found)]
    )
    heading = say(f"length.{by.trend}", **facts)
    text, may = say("length.text", rate=found.rate), [say(f"length.may_{by.trend}", **facts)]
    do: list[str] | None = None if by.trend == "falls" else []
    return section(say, "length", heading, text, [figure], may=may, do=do)


def time_section(found: PlateauStudy) -> Section:
    """One start for each number of outputs."""
    figure = Figure(say("time.title"), say("time.caption"), [time_chart(found)])
    stood = bool((found.by_outputs.length > 0).any())
    heading = say("time.level" if stood else "time.never")
    if stood:
        return section(say, "time", heading, say("time.text"), [figure])
    may = [say("time.fast")]
    return section(say, "time", heading, say("time.text"), [figure], may=may, may_not=[])


def line_section(found: PlateauStudy) -> Section:
    """The least eigenvalue on the line."""
    one = found.line[0]
    figure = Figure(say("line.title"), say("line.caption"), [line_chart(found)])
    text = say("line.text", height=one.error)
    return section(say, "line", say("line.heading"), text, [figure])


def length_chart(found: PlateauStudy) -> Chart:
    """Medians with quartiles, and the times to the target."""
    by = found.by_outputs
    lines = [
        Curve(say("axis.length"), by.outputs, by.length, by.low, by.high, marks=True),
        Curve(say("axis.hit"), by.outputs, by.hit, marks=True, dashed=True),
    ]
    pairs = [f"{o} {num.number(float(v))}" for o, v in zip(by.outputs, by.length, strict=True)]
    text = say("length.alt", pairs="; ".join(pairs))
    ends = (1.0,) if len(by.outputs) > 1 else (float(by.outputs[0] - 1), float(by.outputs[0] + 1))
    x = Scale(say("axis.outputs"), ends=ends)
    return curves("length", lines, x, Scale(say("axis.time"), ends=(0.0,)), text)


def time_chart(found: PlateauStudy) -> Chart:
    """Errors over time."""
    lines = []
    for place, one in enumerate(found.curves):
        at = np.unique(np.linspace(0, len(one.times) - 1, SHOWN).astype(int))
        name = say("axis.of_outputs", outputs=one.outputs)
        lines.append(Curve(name, one.times[at], one.error[at], colour=place))
    ends = [f"{one.outputs}: {num.number(float(one.times[-1]))}" for one in found.curves]
    text = say("time.alt", ends="; ".join(ends))
    x, y = Scale(say("axis.time")), Scale(say("axis.error"), log=True)
    return curves("time", lines, x, y, text, height=340)


def line_chart(found: PlateauStudy) -> Chart:
    """Least eigenvalues over the share."""
    lines = [
        Curve(say("axis.overlap", overlap=one.overlap), one.share, one.least) for one in found.line
    ]
    middles = [f"{one.overlap:g}: {num.number(float(one.least.min()))}" for one in found.line]
    text = say("line.alt", least="; ".join(middles))
    x, y = Scale(say("axis.share")), Scale(say("axis.least"), ends=(0.0,))
    return curves("line", lines, x, y, text, level=0.0)
