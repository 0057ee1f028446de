"""Sections of curves: spectra from the input by depth, and those of each layer alone."""

from __future__ import annotations

from markupsafe import Markup

from nakami.results import PairedChange, StageSummary

from ...page._sections import Figure, Section, Text
from ...words import _numbers as num
from ._completeness import possible
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
from ._interpretation import own_aids, spectra_aids
from ._page_data import Reading, converged, label
from ._spectrum_chart import spectrum_chart

HINT = " Move over the chart, or use the slider, to read values."
SLOPE = ("The spectrum steepens", "The spectrum flattens", "flattens")
KEPT = ("Fewer directions are kept", "More directions are kept", "more")
NTH = {1: "first", 10: "tenth", 100: "hundredth"}


def spectra_section(reading: Reading) -> Section:
    """Singular values by depth, the evidence."""
    rows = [reading.main.rows[s] for s in reading.stages]
    spectra = [s for stage in reading.stages for s in reading.main.run.at(stage)]
    curves = depth_curves(reading.main, reading.stages, "input")
    chart = spectrum_chart(
        "spectra",
        curves,
        described(curves),
        height=380,
        y_title=f"singular value s (stage unit per {reading.origin} unit)",
    )
    figure = Figure(
        f"Singular values of the Jacobian from the {reading.origin} to each stage{_whose(reading)}",
        spread_caption(reading, curves, spectra) + ends_caption(rows, curves, chart) + HINT,
        [chart],
        tools=True,
        table=values_table(curves),
    )
    text = _spectra_text(reading)
    aids = spectra_aids(reading)
    return Section("spectra", "Spectra by depth", _heading(reading), text, [figure], *aids)


def _whose(reading: Reading) -> str:
    return f", {label(reading.main, 40)}" if len(reading.networks) > 1 else ""


def _heading(reading: Reading) -> str:
    stages, n = reading.solid, len(reading.stages)
    if not stages:
        return "Spectra by depth; no stage converged"
    if len(stages) < n:
        missing = num.spelled(n - len(stages))
        return f"Spectra by depth; {missing} of {num.spelled(n)} stages not converged"
    rows = [reading.main.rows[s] for s in stages]
    if all(r.largest.mean == 0 for r in rows):
        return "Nothing passes: every singular value is zero"
    if all(r.count.mean == 0 for r in rows):
        return "Every direction shrinks on its way in"
    if len(rows) == 1:
        return f"{_amount(rows[0])} kept at {num.short(rows[0].stage)}"
    if any(r.count.lower_bound for r in rows):
        changes = reading.trend(lambda s: float(s.decay[_shared(rows) - 1]), stages)
        return {
            "falls": "The spectrum steepens with depth",
            "rises": "The spectrum flattens with depth",
            "still": "The spectrum keeps its slope with depth",
        }.get(direction(changes)) or _steps(changes, *SLOPE)
    changes = reading.trend(lambda s: float(s.count_above_one), stages)
    return {
        "falls": "Each stage keeps fewer directions",
        "rises": "Each stage keeps more directions",
        "still": "Depth makes no distinguishable difference",
    }.get(direction(changes)) or _steps(changes, *KEPT)


def _shared(rows: list[StageSummary]) -> int:
    """The index that every stage has a value at: shapes of spectra are compared up to there."""
    return min(row.k for row in rows)


def _steps(changes: list[PairedChange], falls: str, rises: str, more: str) -> str:
    """At how many steps from a stage to the next a reading falls, and at how many it rises."""
    words = [step(c) for c in changes]
    down, up = words.count("falls"), words.count("rises")
    what, n = (falls, down) if down else (rises, up)
    also = f", {more} at {num.spelled(up)}" if down and up else ""
    return f"{what} at {num.spelled(n)} of {num.spelled(len(words))} steps in depth{also}"


def _amount(row: StageSummary) -> str:
    bound = "At least " if row.count.lower_bound else ""
    return f"{bound}{num.tally(row.count.mean)} of {possible(row)} directions"


def _spectra_text(reading: Reading) -> Text:
    shown = some(reading.solid)
    if not shown:
        return "No stage converged, so no value is stated here; the curves are drawn dotted."
    values = [reading.main.run.values(s).mean(0) for s in shown]
    k = min(map(len, values))
    parts: list[Text] = []
    for r in [i for i in (1, 10, 100) if i <= k][-2:] if k >= 10 else sorted({1, k}):
        pieces = [
            _value(reading, s, float(v[r - 1]), r) for v, s in zip(values, shown, strict=True)
        ]
        name = NTH.get(r, num.nth(r))
        what = f"; the {name} is " if parts else f"The {name} singular value is "
        parts.append(num.joined(what, num.listing(pieces)))
    left = len(reading.stages) - len(reading.solid)
    many = f"{num.spelled(left).capitalize()} unconverged stage{'s are' if left > 1 else ' is'}"
    tail = f" {many} left out of this sentence." if left else ""
    return num.joined(*parts, ". At s = 1 a small step keeps its length.", _slope(reading), tail)


def _value(reading: Reading, stage: str, mean: float, r: int) -> Text:
    """A mean value at one stage, or that it is noise."""
    where = num.short(stage)
    if all(s.reliable[r - 1] for s in reading.main.run.at(stage)):
        return num.joined(num.number(mean, 2), " at ", where)
    return f"below the floor of the arithmetic at {where}"


def _slope(reading: Reading) -> str:
    """What steep means, where the heading speaks of it."""
    rows = [reading.main.rows[s] for s in reading.solid]
    k = _shared(rows)
    if len(rows) < 2 or k < 2 or not any(r.count.lower_bound for r in rows):
        return ""
    return f" Steeper means that the {num.nth(k)} value is a smaller share of the first."


def own_section(reading: Reading) -> Section | None:
    """Spectra of each layer's own Jacobian, where they were measured."""
    rows = reading.main.own
    if not rows:
        return None
    curves = depth_curves(reading.main, tuple(rows), None)
    spectra = [s for stage in rows for s in reading.main.run.at(stage, None)]
    chart = spectrum_chart(
        "own",
        curves,
        described(curves),
        height=320,
        y_title="singular value s (stage unit per unit of the stage before)",
    )
    figure = Figure(
        f"Singular values of each layer’s own Jacobian{_whose(reading)}",
        spread_caption(reading, curves, spectra) + ends_caption([*rows.values()], curves, chart),
        [chart],
        tools=True,
        table=values_table(curves),
    )
    heading, text = _own_words(reading, {s: r for s, r in rows.items() if converged(r)})
    return Section("own", "Each layer alone", heading, text, [figure], *own_aids(reading))


def _own_words(reading: Reading, rows: dict[str, StageSummary]) -> tuple[str, Text]:
    if not rows:
        return "Each layer alone; none converged", "The curves are dotted and decide nothing."
    stretch = sum(r.largest.mean > 1 for r in rows.values())
    total = num.spelled(len(rows))
    if stretch == 0:
        heading = "No layer alone stretches any direction"
    elif stretch == len(rows):
        heading = f"Each of the {total} layers alone can stretch a step"
    else:
        can = f"{num.spelled(stretch).capitalize()} of {total} layers alone"
        heading = f"{can} {'can' if stretch > 1 else 'alone can'} stretch a step"
    parts: list[Text] = [
        num.joined(num.estimate(rows[s].largest), " at ", num.short(s)) for s in some(tuple(rows))
    ]
    spread = " (mean ± sd)" if reading.n > 1 else ""
    text = num.joined("The largest value of a layer taken alone is ", num.listing(parts), spread)
    top = max(rows.values(), key=lambda r: r.largest.mean)
    tail = (
        Markup("") if len(rows) == 1 else f"; the largest of all stands at {num.short(top.stage)}"
    )
    return heading.replace("alone alone", "alone"), num.joined(text, tail, ".")
