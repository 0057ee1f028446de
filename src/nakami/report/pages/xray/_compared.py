"""The section of two networks, compared input by input."""

from __future__ import annotations

from dataclasses import replace

from nakami.results import PairedChange, span

from ...page._sections import Figure, Section, side_by_side
from ...words import _numbers as num
from ._curves import described, ends_caption, panels, some, spread_caption, values_table
from ._data import Reading, label, say
from ._frame import told
from ._spectrum_chart import Series, series, spectrum_chart
from ._stage_charts import change_chart


def compared_section(reading: Reading) -> Section | None:
    """Two networks, paired by input; None for one network."""
    if reading.comparison is None:
        return None
    # where a count is a lower bound, counts cannot be compared
    bound = any(n.rows[s].count.lower_bound for n in reading.networks for s in reading.stages)
    quantity = "largest" if bound else "count"
    figures = [_panels_figure(reading), _paired_figure(reading, quantity)]
    heading, text = _heading(reading, quantity), _text(reading, quantity)
    return reading.section("compared", heading, text, figures, may=[_may(reading, quantity)])


def _panels_figure(reading: Reading) -> Figure:
    shown = panels(reading.stages)
    pairs = [_two_curves(reading, s) for s in shown]
    every = [c for pair in pairs for c in pair]
    names = num.unique([num.short(s, 20) for s in shown])
    both = list(zip(names, pairs, strict=True))
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
        for i, (name, curves) in enumerate(both)
    ]
    rows = [reading.main.rows[s] for s in shown]
    headed = [replace(c, name=f"{name}, {c.name}") for name, pair in both for c in pair]
    spectra = [s for net in reading.networks for stage in shown for s in net.run.at(stage)]
    caption = spread_caption(reading, every, spectra) + ends_caption(rows, headed, drawn[0])
    caption += say("compared.shared")
    if len(shown) < len(reading.stages):
        caption += say("compared.drawn", drawn=len(shown), stages=len(reading.stages))
    title, table, layout = say("compared.title"), values_table(headed), side_by_side(drawn)
    return Figure(title, caption, drawn, layout=layout, tools=True, key=reading.key, table=table)


def _two_curves(reading: Reading, stage: str) -> list[Series]:
    old, new = reading.networks
    names = num.unique([label(old), label(new)])
    return [
        series(old.run, stage, "input", names[0], ("before", "before", True)),
        series(new.run, stage, "input", names[1], ("after", "after", False)),
    ]


def _paired_figure(reading: Reading, quantity: str) -> Figure:
    changes, unit = _changes(reading, reading.stages, quantity), say(f"compared.unit_{quantity}")
    nan = float("nan")
    ends = [f"{num.short(c.stage)} {num.pair(c.mean, nan, sign=True)}" for c in changes]
    text = say("compared.chart", unit=unit, changes=", ".join(ends))
    chart = change_chart("change", changes, reading.say("compared.axis", unit=unit), text)
    old, new = (label(net) for net in reading.networks)
    title = reading.say("compared.paired_title", old=old, new=new)
    caption: str = reading.say("compared.caption")
    if any(c.open for c in changes):
        caption += say("compared.caption_open")
    return Figure(title, caption, [chart])


def _changes(reading: Reading, stages: tuple[str, ...], quantity: str) -> list[PairedChange]:
    assert reading.comparison is not None
    return [reading.comparison.change(s, quantity) for s in stages]


def _heading(reading: Reading, quantity: str) -> str:
    old, new, n = *(label(net, 18) for net in reading.networks), len(reading.solid)
    if n == 0 or reading.n == 1:
        return reading.say("compared.one" if n else "compared.none")
    changes = _changes(reading, reading.solid, quantity)
    up, down = ([c.stage for c in changes if c.verdict == way] for way in ("rises", "falls"))
    if not up and not down:
        return say("compared.still", old=old, new=new)
    case = "both" if up and down else "up" if up else "down"
    more = {"up": len(up), "down": len(down), "stages": n, "where": _where(up or down, n)}
    return say(f"compared.{quantity}_{case}", old=old, new=new, **more)


def _where(stages: list[str], n: int) -> str:
    if len(stages) == n > 1:
        return say("compared.where_all")
    if len(stages) <= 2:
        return num.listing([num.short(s, 14) for s in stages])
    return say("compared.where_many", some=len(stages), stages=n)


def _text(reading: Reading, quantity: str) -> str:
    changes = _changes(reading, some(reading.solid), quantity)
    if not changes or reading.n == 1:
        return reading.say("compared.text_one" if changes else "compared.text_none")
    if all(c.steady for c in changes):
        return reading.say(f"compared.same_{quantity}")
    parts = [say("compared.change_at", change=told(c, se=False), stage=c.stage) for c in changes]
    verdicts = {c.verdict for c in changes}
    if len(verdicts) == 1 and verdicts <= {"rises", "falls"}:  # the verb is said once
        amounts = [_amount(c) for c in changes[1:]]
        rest = zip(changes[1:], amounts, strict=True)
        parts[1:] = [say("compared.by_at", amount=a, stage=c.stage) for c, a in rest]
    last = changes[-1].stage
    a, b = (net.rows[last].largest.mean for net in reading.networks)
    top = told(_changes(reading, (last,), "largest")[0])
    return reading.say(f"compared.text_{quantity}", changes=parts, stage=last, top=top, a=a, b=b)


def _amount(c: PairedChange) -> str:
    if c.open:
        return span(*sorted((abs(c.low), abs(c.high))))
    return num.pair(abs(c.mean), c.se)


def _may(reading: Reading, quantity: str) -> str:
    """What may be concluded from the changes of ``quantity``."""
    changes = _changes(reading, reading.solid, quantity)
    sure = [c for c in changes if c.verdict != "not distinguishable"][:3]
    errors = [num.fixed(abs(c.mean / c.se), 1) for c in sure if c.se > 0 and not c.open]
    stages = [num.short(c.stage, 16) for c in sure]
    if reading.n == 1:
        case = "one"
    elif not sure:
        case = "same" if changes else "none"
    else:
        case = "change_se" if len(errors) == len(sure) else "change"
    return reading.say(f"compared.may_{case}", stages=stages, errors=errors)
