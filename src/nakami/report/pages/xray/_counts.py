"""The section of directions kept and effective rank by depth."""

from __future__ import annotations

from nakami.results import StageSummary

from ...charts._chart import Chart
from ...page._sections import Figure, Section
from ._completeness import cut_stages
from ._curves import direction, some
from ._data import Reading, converged, label, say
from ._stage_charts import Group, stage_chart

FEW = 8  # up to so many inputs their spread is uncertain itself
ROW = 5  # up to so many stages the two charts stand side by side


def kept_section(reading: Reading) -> Section:
    """Directions kept and effective rank by depth."""
    charts = [
        _chart(reading, "count", "count", "count_above_one"),
        _chart(reading, "rank", "effective_rank", "effective_rank"),
    ]
    figure = Figure(
        say("kept.title"),
        _caption(reading),
        charts,
        layout="duo" if len(reading.stages) <= ROW else "stack",
        key=reading.key,
    )
    may, may_not = _aids(reading)
    heading, text = _heading(reading), _text(reading)
    return reading.section("kept", heading, text, [figure], may=[may], may_not=may_not)


def _caption(reading: Reading) -> str:
    text: str = reading.say("kept.caption")
    rows = [r for net in reading.networks for r in net.rows.values()]
    if any(r.count.lower_bound or r.effective_rank.lower_bound for r in rows):
        each = [[net.rows[s] for s in reading.stages] for net in reading.networks]
        cut = dict.fromkeys(cut_stages(rows) for rows in each)
        text += say("kept.caption_bound", cut=" and ".join(t for t in cut if t))
    if any(r.count.interval or r.effective_rank.interval for r in rows):
        text += say("kept.caption_estimate")
    if len(reading.solid) < len(reading.stages):
        text += say("kept.caption_hollow")
    return text


def _chart(reading: Reading, name: str, summed: str, each: str) -> Chart:
    """One quantity: its field in a summary, and in one spectrum."""
    groups, texts = [], []
    for i, net in enumerate(reading.networks):
        rows = [net.rows[s] for s in reading.stages]
        estimates = [getattr(r, summed) for r in rows]
        inputs = [[float(getattr(s, each)) for s in net.run.at(r.stage)] for r in rows]
        before = i == 0 and len(reading.networks) > 1
        groups.append(Group(before, estimates, inputs, [not converged(r) for r in rows]))
        values = [
            say("kept.value", stage=s, bound=e.lower_bound, value=e)
            for s, e in zip(reading.stages, estimates, strict=True)
        ]
        texts.append(f"{label(net)}: {', '.join(values)}")
    text = say(f"kept.{name}_text", networks="; ".join(texts))
    return stage_chart(name, list(reading.stages), groups, say(f"kept.{name}"), text)


def _heading(reading: Reading) -> str:
    rows = [reading.main.rows[s] for s in reading.solid]
    if not rows:
        return say("kept.none")
    first, last = rows[0], rows[-1]
    if last.largest.mean == 0:
        return say("kept.zero")
    if len(rows) == 1 or any(r.count.lower_bound for r in rows):
        e = last.count
        return say("kept.one", bound=e.lower_bound, count=e, one=e.mean == 1, stage=last.stage)
    a, b = first.count, last.count
    way = direction(reading.count_trend((first.stage, last.stage)))
    case = "no_count" if way == "still" and a.mean == b.mean == 0 else way
    return say(f"kept.{case}", a=a, b=b)


def _text(reading: Reading) -> str:
    rows = [reading.main.rows[s] for s in reading.solid]
    if not rows:
        return say("kept.text_none")
    if all(r.largest.mean == 0 for r in rows):
        return say("kept.text_zero")
    cut = [r for r in rows if not r.complete]
    if any(r.count.lower_bound or r.effective_rank.lower_bound for r in cut):
        return _bounds(reading, rows, cut)
    if cut:
        return say("kept.text_estimated", cut=cut_stages(rows), ranks=_ranks(reading))
    if len(rows) == 1:
        return say("kept.text_one", rank=rows[0].effective_rank)
    return _from_to(reading, rows[0], rows[-1])


def _bounds(reading: Reading, rows: list[StageSummary], cut: list[StageSummary]) -> str:
    """Which figures are lower bounds and why, and the effective ranks."""
    both = sum(r.count.lower_bound for r in cut)
    if not any(r.effective_rank.lower_bound for r in cut):
        data = {"cut": cut_stages(rows), "marked": both < len(cut), "ranks": _ranks(reading)}
        return say("kept.text_probed", **data)
    return say(
        "kept.text_bounds",
        cut=cut_stages(rows),
        both=both > 0,
        every=len(cut) == len(rows),
        marked=0 < both < len(cut),
        ranks=_ranks(reading),
    )


def _ranks(reading: Reading) -> list[str]:
    shown = some(reading.solid)
    return [say("kept.rank_at", rank=reading.main.rows[s].effective_rank, stage=s) for s in shown]


def _from_to(reading: Reading, a: StageSummary, b: StageSummary) -> str:
    ends = (a.stage, b.stage)
    count = direction(reading.count_trend(ends))
    rank = direction(reading.rank_trend(ends))
    low, high = sorted((a.count.mean, b.count.mean))
    if count != "still" and low > 0:
        first = say("kept.factor", way=count, factor=high / low, start=a.stage, end=b.stage)
    else:
        means = {"a": a.count.mean, "b": b.count.mean}
        first = say("kept.values", **means, start=a.stage, end=b.stage)
    ranks = {"a": a.effective_rank.mean, "b": b.effective_rank.mean}
    case = "kept.rank_still" if rank == "still" else "kept.rank_moves"
    return first + say(case, way=rank, too=rank == count, **ranks)


def _aids(reading: Reading) -> tuple[str, list[str]]:
    """What may be concluded from the counts, and what may not."""
    rows = [reading.main.rows[s] for s in reading.solid]
    if not rows:
        may = say("kept.may_none")
    elif any(r.count.lower_bound for r in rows):
        may = say("kept.may_bound")
    else:
        guess = rows[-1].count.interval is not None
        may = reading.say("kept.may_estimate" if guess else "kept.may_count", stage=rows[-1].stage)
        wide, calm = (end(rows, key=lambda r: r.count.sd) for end in (max, min))
        if reading.n > 1 and len(rows) > 1 and wide.count.sd > calm.count.sd:
            sds = {"wide_sd": wide.count.sd, "calm_sd": calm.count.sd}
            may = reading.say("kept.may_spread", wide=wide.stage, calm=calm.stage, **sds)
    if reading.n == 1:
        return may, [reading.say("kept.not_one")]
    may_not: list[str] = [reading.say("kept.not_same")]
    if reading.n <= FEW:
        doubt = 100 / (2 * (reading.n - 1)) ** 0.5
        may_not.append(reading.say("kept.not_spread", doubt=doubt))
    return may, may_not
