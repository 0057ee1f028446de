"""Sections of curves: spectra from the input by depth, and those of each layer alone."""

from __future__ import annotations

from collections.abc import Iterable

from nakami.results import UNSTATED, PairedChange, StageSummary, span

from ...page._sections import Figure, Section
from ...words import _numbers as num
from ._completeness import counted, possible
from ._curves import (
    depth_curves,
    described,
    direction,
    ends_caption,
    some,
    spread_caption,
    step,
    values_table,
)
from ._data import Reading, converged, say
from ._spectrum_chart import spectrum_chart

NTH = {1: "first", 10: "tenth", 100: "hundredth"}


def spectra_section(reading: Reading) -> Section:
    """Singular values by depth, the evidence."""
    rows = [reading.main.rows[s] for s in reading.stages]
    title = reading.say("spectra.title", whose=reading.whose)
    axis, hint = reading.say("spectra.axis"), say("spectra.hint")
    figure = _figure(reading, "spectra", rows, title, axis, 380, "input", hint)
    may, may_not = _aids(reading)
    heading, text = _heading(reading), _spectra_text(reading)
    return reading.section("spectra", heading, text, [figure], may=may, may_not=may_not)


def own_section(reading: Reading) -> Section | None:
    """Spectra of each layer's own Jacobian, where they were measured."""
    rows = reading.main.own
    if not rows:
        return None
    title, axis = say("own.title", whose=reading.whose), say("own.axis")
    figure = _figure(reading, "own", rows.values(), title, axis, 320, None, "")
    heading, text = _own_words(reading, {s: r for s, r in rows.items() if converged(r)})
    return reading.section("own", heading, text, [figure])


def _figure(
    reading: Reading,
    name: str,
    rows: Iterable[StageSummary],
    title: str,
    axis: str,
    height: int,
    source: str | None,
    hint: str,
) -> Figure:
    """One chart of all stages, its caption and its table."""
    rows = list(rows)
    stages = tuple(row.stage for row in rows)
    spectra = [s for stage in stages for s in reading.main.run.at(stage, source)]
    curves = depth_curves(reading.main, stages, source)
    chart = spectrum_chart(name, curves, described(curves), height=height, y_title=axis)
    caption = spread_caption(reading, curves, spectra) + ends_caption(rows, curves, chart) + hint
    return Figure(title, caption, [chart], tools=True, table=values_table(curves))


def _heading(reading: Reading) -> str:
    stages, n = reading.solid, len(reading.stages)
    if not stages:
        return say("spectra.none")
    if len(stages) < n:
        return say("spectra.part", missing=n - len(stages), stages=n)
    rows = [reading.main.rows[s] for s in stages]
    if all(r.largest.mean == 0 for r in rows):
        return say("spectra.zero")
    if all(r.count.mean == 0 for r in rows):
        return say("spectra.shrink")
    if len(rows) == 1:
        count, of = rows[0].count, possible(rows[0])
        bound, stage = count.lower_bound, rows[0].stage
        return say("spectra.one", bound=bound, count=count, of=of, stage=stage)
    if any(r.count.lower_bound for r in rows):
        last = _shared(rows) - 1
        if last == 0:
            return say("spectra.first_value")
        return _trend("slope", reading.trend(lambda s: float(s.decay[last]), stages))
    return _trend("count", reading.count_trend(stages))


def _shared(rows: list[StageSummary]) -> int:
    """The index that every stage has a value at: shapes of spectra are compared up to there."""
    return min(row.k for row in rows)


def _trend(what: str, changes: list[PairedChange]) -> str:
    """The way of all steps in depth, or at how many of them it falls, and at how many it rises."""
    way = direction(changes)
    if way != "mixed":
        return say(f"spectra.{what}_{way}")
    words = [step(c) for c in changes]
    down, up = words.count("falls"), words.count("rises")
    case = "both" if down and up else "down" if down else "up"
    return say(f"spectra.{what}_{case}", down=down, up=up, steps=len(words))


def _spectra_text(reading: Reading) -> str:
    shown = some(reading.solid)
    if not shown:
        return say("spectra.text_none")
    if all(reading.main.rows[s].largest.mean == 0 for s in reading.stages):
        return reading.say("spectra.text_zero", stages=len(reading.stages))
    means = {s: reading.main.run.values(s).mean(0) for s in shown}
    k = min(map(len, means.values()))
    at = [i for i in (1, 10, 100) if i <= k][-2:] if k >= 10 else sorted({1, k})
    values = [[_value(reading, s, float(v[r - 1]), r) for s, v in means.items()] for r in at]
    names = [NTH.get(r, num.nth(r)) for r in at]
    case = "text_one" if len(at) == 1 else "text_two"
    text: str = say(f"spectra.{case}", i=names[0], values=values[0], j=names[-1], others=values[-1])
    rows = [reading.main.rows[s] for s in reading.solid]
    deep = len(rows) > 1 and _shared(rows) > 1
    if deep and any(r.count.lower_bound for r in rows):
        text += say("spectra.steep", k=_shared(rows))
    left = len(reading.stages) - len(reading.solid)
    return text + say("spectra.left_out", left=left) if left else text


def _value(reading: Reading, stage: str, mean: float, r: int) -> str:
    """A mean value at one stage, or that it is noise."""
    solid = all(s.reliable[r - 1] for s in reading.main.run.at(stage))
    return say("spectra.value" if solid else "spectra.value_noise", value=mean, stage=stage)


def _own_words(reading: Reading, rows: dict[str, StageSummary]) -> tuple[str, str]:
    if not rows:
        return say("own.none"), say("own.none_text")
    stretch, n = sum(r.largest.mean > 1 for r in rows.values()), len(rows)
    case = {0: "none", n: "all", 1: "one"}.get(stretch, "some") if n > 1 or not stretch else "one"
    values = [say("own.value", value=rows[s].largest, stage=s) for s in some(tuple(rows))]
    top = max(rows.values(), key=lambda r: r.largest.mean)
    text = "own.text" if n > 1 else "own.text_one"
    heading = say(f"own.stretch_{case}", layers=n, count=stretch)
    return heading, reading.say(text, values=values, stage=top.stage)


def _aids(reading: Reading) -> tuple[list[str], list[str]]:
    """What may be concluded from the spectra, and what may not."""
    may = [_arrives(reading)]
    steps = reading.count_trend(reading.solid)
    exact = not any(reading.main.rows[s].count.lower_bound for s in reading.solid)
    if exact and steps and reading.n > 1 and all(c.verdict == "falls" for c in steps):
        may.append(reading.say("spectra.may_fall"))
    doubt = len(reading.solid) < len(reading.stages)
    unit = reading.main.run.input_unit
    unit, stated = num.short(unit, 30), unit != UNSTATED
    first = say("spectra.not_dotted" if doubt else "spectra.not_shrunk")
    return may, [first, say("spectra.not_border", unit=unit, stated=stated)]


def _arrives(reading: Reading) -> str:
    if not reading.solid:
        return say("spectra.may_none")
    row = reading.main.rows[reading.solid[-1]]
    if row.largest.mean == 0:
        case = "zero"
    elif row.count.lower_bound:
        case = "bound"
    elif row.count.interval is not None:
        ends = span(*row.count.interval)
        return reading.say("spectra.may_some", stage=row.stage, count=ends)
    elif round(row.count.mean) == row.shape[1]:
        case = "all"
    else:
        case = "some" if row.count.mean else "no"
    count = counted(row).removeprefix("at least ")
    return reading.say(f"spectra.may_{case}", stage=row.stage, count=count)
