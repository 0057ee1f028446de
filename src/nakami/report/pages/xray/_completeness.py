"""How much was computed, stage by stage, and how much of an unfinished run is there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nakami.results import Estimate, StageSummary, estimate

from ...words import _numbers as num
from ._data import Network, Reading, say

NAMED = 4  # up to so many stages are named, more are counted


def possible(row: StageSummary) -> str:
    """Of how many directions: ``784``, or ``at most 10`` where the stage is the smaller side."""
    m, n = row.shape
    return num.whole(n) if n <= m else f"at most {num.whole(m)}"


def computed(rows: list[StageSummary]) -> str:
    """``all singular values``, or which stages have them all and which are cut, and where."""
    cut: dict[int, list[str]] = {}
    for row in rows:
        if not row.complete:
            cut.setdefault(row.k, []).append(row.stage)
    if not cut:
        return say("extent.all")
    complete = [row.stage for row in rows if row.complete]
    if not complete and len(cut) == 1:
        return say("extent.largest", k=next(iter(cut)))
    parts = [say("extent.part_all", places=_places(complete))] if complete else []
    parts += [say("extent.part_cut", k=k, places=_places(stages)) for k, stages in cut.items()]
    return "; ".join(parts)


def cut_stages(rows: list[StageSummary]) -> str:
    """``the 100 largest values were computed at conv1``: the stages that are cut, or nothing."""
    cut = [row for row in rows if not row.complete]
    if not cut:
        return ""
    one = all(row.k == 1 for row in cut)
    if len({row.k for row in cut}) > 1:
        return say("extent.cut_mixed", one=one, computed=computed(cut))
    case = "extent.cut" if len(cut) == len(rows) else "extent.cut_at"
    values = say("extent.largest", k=cut[0].k)
    return say(case, one=one, largest=values, places=_places([row.stage for row in cut]))


def _places(stages: list[str]) -> str:
    if len(stages) > NAMED:
        return f"{num.spelled(len(stages))} stages"
    return ", ".join(num.short(s) for s in stages)


def counted(row: StageSummary) -> str:
    """The mean count of a stage as a short number, with "at least" before a lower bound.

    An estimate as ``about 12,900 (12,300 to 13,500)``.
    """
    e = row.count
    if e.interval is not None:
        return num.tallied(e)
    text = num.fixed(e.mean, 0) if e.mean >= 10 else num.number(e.mean, 2)
    return f"at least {text}" if e.lower_bound else text


def bounds(rows: list[StageSummary]) -> str:
    """Which figures are lower bounds, and where."""
    return _figures(rows, lambda e: e.lower_bound) or say("how.bounds_none")


def estimates(rows: list[StageSummary]) -> str:
    """Which figures are estimates, and where; nothing where none is."""
    return _figures(rows, lambda e: e.interval is not None)


def _figures(rows: list[StageSummary], marked: Callable[[Estimate], bool]) -> str:
    counts = [row.stage for row in rows if marked(row.count)]
    ranks = [row.stage for row in rows if marked(row.effective_rank)]
    at = {"how.counts_at": counts, "how.ranks_at": ranks}
    return "; ".join(say(case, places=_places(s)) for case, s in at.items() if s)


def so_far(reading: Reading) -> str:
    """``4 of 8 spectra so far``; nothing for a finished run."""
    pairs = _there(reading).values()
    have, total = (sum(pair[i] for pair in pairs) for i in (0, 1))
    return "" if have == total else say("extent.so_far", have=have, total=total)


def unfinished(reading: Reading) -> str:
    """A sentence on what an unfinished run lacks; nothing for a finished one."""
    short = so_far(reading)
    if not short:
        return ""
    lacks: dict[tuple[int, int], list[str]] = {}
    for what, (there, total) in _there(reading).items():
        if there < total:
            lacks.setdefault((total - there, total), []).append(what)
    parts = [
        reading.say("extent.missing", missing=m, total=n, places=_lacking(reading, stages))
        for (m, n), stages in lacks.items()
    ]
    case = "extent.unfinished" if reading.comparison is None else "extent.unfinished_two"
    return say(case, so_far=short, missing="; ".join(parts))


def _lacking(reading: Reading, stages: list[str]) -> str:
    return "every stage" if len(stages) == len(_there(reading)) > 1 else _places(stages)


def _there(reading: Reading) -> dict[str, tuple[int, int]]:
    """Spectra that are there, and that there should be, by stage."""
    run = reading.main.run
    shared = [s for s in run.names if all(s in net.run.names for net in reading.networks)]
    total = run.n_inputs
    out = {s: (min(len(net.run.at(s)) for net in reading.networks), total) for s in shared}
    if reading.comparison is None and run.settings.get("layers"):
        out |= {f"{s} alone": (len(run.at(s, None)), total) for s in shared[1:]}
    return out


def log_sums(reading: Reading, stage: str) -> list[tuple[Estimate, str]] | None:
    """Sum of ln s of each network with the number of values summed; None where nothing is shared.

    Two networks are summed over the indices that are reliable in both at that input, since sums
    over different values are not one quantity.
    """
    if reading.comparison is None:
        row = reading.main.rows[stage]
        return [(row.log_sum, _terms(row, *row.log_sum_terms))]
    change = reading.comparison.find(stage, "log_sum")
    if change is None:
        return None
    old, new = reading.networks
    row = min((net.rows[stage] for net in reading.networks), key=lambda r: r.k)
    text = _terms(row, *common_terms(old, new, stage))
    return [(estimate(list(map(float, side))), text) for side in (change.before, change.after)]


def common_terms(old: Network, new: Network, stage: str) -> tuple[int, int]:
    """Fewest and most indices over the inputs that are reliable and above zero in both."""
    counts = []
    for a, b in zip(old.run.at(stage), new.run.at(stage), strict=True):
        k = min(len(a.values), len(b.values))
        good = [s.reliable[:k] & (s.values[:k] > 0) for s in (a, b)]
        counts.append(int(np.logical_and(*good).sum()))
    counts = [c for c in counts if c]  # an input without a common index is not compared
    return min(counts), max(counts)


def _terms(row: StageSummary, least: int, most: int) -> str:
    of = min(row.shape)
    if least == of:
        return say("extent.terms_all", of=of)
    case = "extent.terms" if least == most else "extent.terms_range"
    cut = "" if row.complete else say("extent.terms_cut", k=row.k)
    return say(case, least=least, most=most, of=of) + cut
