"""The section of directions kept and effective rank by depth."""

from __future__ import annotations

from nakami.results import StageSummary

from ...page._sections import Figure, Section, Text
from ...words import _numbers as num
from . import _stage_charts as charts
from ._completeness import cut_stages
from ._curves import direction, some
from ._interpretation import kept_aids
from ._page_data import Reading, converged, label

ROW = 5  # up to so many stages the two charts stand side by side


def kept_section(reading: Reading) -> Section:
    """Directions kept and effective rank by depth."""
    stages = list(reading.stages)
    both = [
        charts.stage_chart(
            name, stages, _groups(reading, key), title, _described(reading, key, title)
        )
        for name, key, title in (
            ("count", "count", "directions with s > 1"),
            ("rank", "effective_rank", "effective rank"),
        )
    ]
    figure = Figure(
        "How many directions survive",
        _caption(reading),
        both,
        layout="duo" if len(stages) <= ROW else "stack",
        key=reading.key,
    )
    text, aids = _text(reading), kept_aids(reading)
    return Section("kept", "Directions kept", _heading(reading), text, [figure], *aids)


def _caption(reading: Reading) -> str:
    text = f"One {reading.noun}."
    if reading.n > 1:
        text = f"One tick for each {reading.noun}; point and bar, mean ± 1 sd of {reading.n}."
    rows = [r for net in reading.networks for r in net.rows.values()]
    if any(r.count.lower_bound or r.effective_rank.lower_bound for r in rows):
        each = [[net.rows[s] for s in reading.stages] for net in reading.networks]
        told = dict.fromkeys(cut_stages(rows) for rows in each)
        text += f" ≥{num.NBSP}marks a lower bound, as only {' and '.join(t for t in told if t)}."
    if len(reading.solid) < len(reading.stages):
        text += " A hollow square holds an unconverged spectrum."
    return text


def _groups(reading: Reading, quantity: str) -> list[charts.Group]:
    out = []
    each = "count_above_one" if quantity == "count" else quantity
    for i, net in enumerate(reading.networks):
        before = i == 0 and len(reading.networks) > 1
        rows = [net.rows[s] for s in reading.stages]
        out.append(
            charts.Group(
                before=before,
                estimates=[getattr(r, quantity) for r in rows],
                inputs=[[float(getattr(s, each)) for s in net.run.at(r.stage)] for r in rows],
                doubtful=[not converged(r) for r in rows],
            )
        )
    return out


def _described(reading: Reading, quantity: str, title: str) -> str:
    parts = []
    for net in reading.networks:
        found = [(s, getattr(net.rows[s], quantity)) for s in reading.stages]
        values = [
            f"{num.short(s)} {'at least ' if e.lower_bound else ''}{num.number(e.mean)}"
            for s, e in found
        ]
        parts.append(f"{label(net)}: {', '.join(values)}")
    return f"Number of {title} by stage. {'; '.join(parts)}.".replace(
        "Number of effective", "Effective"
    )


def _heading(reading: Reading) -> str:
    rows = [reading.main.rows[s] for s in reading.solid]
    if not rows:
        return "Directions kept by depth; no stage converged"
    first, last = rows[0], rows[-1]
    if last.largest.mean == 0:
        return "No direction is left"
    if len(rows) == 1 or any(r.count.lower_bound for r in rows):
        bound = "At least " if last.count.lower_bound else ""
        count = num.tally(last.count.mean)
        return (
            f"{bound}{count} direction{'' if count == '1' else 's'} kept at {num.short(last.stage)}"
        )
    a, b = num.tally(first.count.mean), num.tally(last.count.mean)
    way = direction(reading.trend(lambda s: float(s.count_above_one), (first.stage, last.stage)))
    if way == "still":
        if first.count.mean == last.count.mean == 0:
            return "No direction is kept"
        return "The count does not change distinguishably"
    return f"The count {way} from {a} to {b}"


def _text(reading: Reading) -> Text:
    stages = reading.solid
    if not stages:
        return "The counts below come from unconverged spectra and decide nothing."
    rows = [reading.main.rows[s] for s in stages]
    cut = [r for r in rows if not r.complete]
    if cut:
        return _bounds(reading, rows, cut)
    if len(rows) == 1:
        rank = num.estimate(rows[0].effective_rank, "(sd)")
        return num.joined(
            "The effective rank is ", rank, "; it does not depend on the border s = 1."
        )
    return _from_to(reading, rows[0], rows[-1])


def _bounds(reading: Reading, rows: list[StageSummary], cut: list[StageSummary]) -> Text:
    """Which figures are lower bounds and why, and the effective ranks."""
    ranks: list[Text] = [
        num.joined(num.estimate(reading.main.rows[s].effective_rank), " at ", num.short(s))
        for s in some(reading.solid)
    ]
    both = sum(r.count.lower_bound for r in cut)
    what = "counts and effective ranks" if both else "effective ranks"
    there = "" if len(cut) == len(rows) else " there"
    verb = "are lower bounds" if both in (0, len(cut)) else "are lower bounds where marked"
    return num.joined(
        f"Only {cut_stages(rows)}, so {what}{there} {verb}. The effective rank is ",
        num.listing(ranks),
        ".",
    )


def _from_to(reading: Reading, a: StageSummary, b: StageSummary) -> Text:
    ends = (a.stage, b.stage)
    count = direction(reading.trend(lambda s: float(s.count_above_one), ends))
    rank = direction(reading.trend(lambda s: s.effective_rank, ends))
    here, there = num.short(a.stage), num.short(b.stage)
    if count != "still" and min(a.count.mean, b.count.mean) > 0:
        means = sorted((a.count.mean, b.count.mean))
        factor = num.number(means[1] / means[0], 2)
        first = f"The count {count} by a factor of {factor} from {here} to {there}. "
    else:
        values = [num.tally(r.count.mean) for r in (a, b)]
        first = f"The count is {values[0]} at {here} and {values[1]} at {there}. "
    a_rank, b_rank = (num.number(r.effective_rank.mean) for r in (a, b))
    told = f"does not change distinguishably ({a_rank} and {b_rank})"
    if rank != "still":
        too = " too," if rank == count else ""
        told = f"{rank}{too} from {a_rank} to {b_rank}"
    return f"{first}The effective rank, which does not depend on the border s = 1, {told}."
