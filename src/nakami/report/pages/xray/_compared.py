"""The section of two networks, compared input by input."""

from __future__ import annotations

from dataclasses import replace

from ...page._sections import Figure, Section, Text
from ...words import _numbers as num
from ._curves import (
    described,
    ends_caption,
    panels,
    some,
    spread_caption,
    values_table,
)
from ._interpretation import compared_aids
from ._page_data import Reading, label, outcome, steady
from ._series import Series, series
from ._spectrum_chart import spectrum_chart
from ._stage_charts import change_chart
from ._verdict import told


def compared_section(reading: Reading) -> Section | None:
    """Two networks, paired by input; None for one network."""
    if reading.comparison is None:
        return None
    quantity = "largest" if _any_bound(reading) else "count"
    figures = [_panels_figure(reading), _paired_figure(reading, quantity)]
    heading, text = _heading(reading, quantity), _text(reading, quantity)
    aids = compared_aids(reading, quantity)
    return Section("compared", "Before and after", heading, text, figures, *aids)


def _any_bound(reading: Reading) -> bool:
    """Whether a count is a lower bound somewhere: then counts cannot be compared."""
    return any(n.rows[s].count.lower_bound for n in reading.networks for s in reading.stages)


def _panels_figure(reading: Reading) -> Figure:
    shown = panels(reading.stages)
    pairs = [_two_curves(reading, s) for s in shown]
    every = [c for pair in pairs for c in pair]
    names = num.unique([num.short(s, 20) for s in shown])
    drawn = [
        spectrum_chart(
            f"pair{i}",
            curves,
            f"{name}. {described(curves)}",
            height=230,
            title=name,
            group="pair",
            like=every,
            linear=True,
        )
        for i, (name, curves) in enumerate(zip(names, pairs, strict=True))
    ]
    rows = [reading.main.rows[s] for s in shown]
    headed = [
        replace(c, name=f"{name}, {c.name}")
        for name, pair in zip(names, pairs, strict=True)
        for c in pair
    ]
    spectra = [s for net in reading.networks for stage in shown for s in net.run.at(stage)]
    caption = spread_caption(reading, every, spectra) + ends_caption(rows, headed, drawn[0])
    caption += " All panels share their scales and the read-out."
    if len(shown) < len(reading.stages):
        caption += f" {len(shown)} of {len(reading.stages)} stages drawn; the table holds all."
    title = "Spectra of both networks, one panel for each stage"
    table = values_table(headed)
    return Figure(title, caption, drawn, layout="trio", tools=True, key=reading.key, table=table)


def _two_curves(reading: Reading, stage: str) -> list[Series]:
    old, new = reading.networks
    names = num.unique([label(old), label(new)])
    return [
        series(old.run, stage, "input", names[0], "before", "before", dashed=True),
        series(new.run, stage, "input", names[1], "after", "after"),
    ]


def _paired_figure(reading: Reading, quantity: str) -> Figure:
    assert reading.comparison is not None
    unit = "largest singular value" if quantity == "largest" else "number of directions with s > 1"
    changes = [reading.comparison.change(s, quantity) for s in reading.stages]
    ends = [
        f"{num.short(c.stage)} {'+' if c.mean > 0 else ''}{num.number(c.mean)}" for c in changes
    ]
    chart = change_chart(
        "change",
        changes,
        f"change in the {unit}, for each {reading.noun}",
        f"Paired change of the {unit}: {', '.join(ends)}.",
    )
    caption = f"One {reading.noun}: a difference without a standard error."
    if reading.n > 1:
        caption = (
            f"Faint dots, single {reading.noun}s; diamond and bar, mean and 95 % interval (t); the "
            "number is mean ± s.e."
        )
    names = f"{label(reading.main)} minus {label(reading.networks[0])}"
    return Figure(f"The same {reading.inputs()}, {names}", caption, [chart])


def _heading(reading: Reading, quantity: str) -> str:
    assert reading.comparison is not None
    old, new, n = *(label(net, 18) for net in reading.networks), len(reading.solid)
    if n == 0:
        return "Before and after; no stage converged in both networks"
    if reading.n == 1:
        return f"Before and after at one {reading.noun}"
    words = {s: outcome(reading.comparison.change(s, quantity)) for s in reading.solid}
    up = [s for s, w in words.items() if w == "rises"]
    down = [s for s, w in words.items() if w == "falls"]
    more, fewer = ("Larger gain", "smaller") if quantity == "largest" else ("More kept", "fewer")
    if up and down:
        return f"{more} at {len(up)} of {n} stages in {new} than in {old}, {fewer} at {len(down)}"
    if not up and not down:
        return f"No distinguishable change from {old} to {new}"
    first = more if up else {"Larger gain": "Smaller gain", "More kept": "Fewer kept"}[more]
    return f"{first} at {_where(up or down, n)} in {new} than in {old}"


def _where(stages: list[str], n: int) -> str:
    if len(stages) == n > 1:
        return "every stage"
    if len(stages) <= 2:
        return num.listing([num.short(s, 14) for s in stages])
    return f"{len(stages)} of {n} stages"


def _text(reading: Reading, quantity: str) -> Text:
    assert reading.comparison is not None
    stages = some(reading.solid)
    if not stages:
        return "Unconverged spectra are shown, not compared."
    if reading.n == 1:
        return (
            f"One {reading.noun} gives a difference, but no standard error, so nothing is said to "
            "rise or fall."
        )
    if all(steady(reading.comparison.change(s, quantity)) for s in stages):
        same = "largest value is" if quantity == "largest" else "count is"
        return f"Compared {reading.noun} by {reading.noun}, the {same} the same in both networks."
    changes = [reading.comparison.change(s, quantity) for s in stages]
    parts = [num.joined(told(c, ""), " at ", num.short(c.stage)) for c in changes]
    verb = outcome(changes[0])
    if len({outcome(c) for c in changes}) == 1 and verb in ("rises", "falls"):
        parts = [parts[0], *(p.replace(f"{verb} ", "", 1) for p in parts[1:])]
    name = "largest value" if quantity == "largest" else "count"
    what = f"Compared {reading.noun} by {reading.noun}, the {name} "
    text = num.joined(what, num.listing(list(parts)), " (paired mean ± s.e.).")
    if quantity == "largest":
        return text
    last = stages[-1]
    a, b = (num.number(net.rows[last].largest.mean) for net in reading.networks)
    top = told(reading.comparison.change(last, "largest"))
    return num.joined(
        text, f" The largest value at {num.short(last)} ", top, ", from ", a, " to ", b, "."
    )
