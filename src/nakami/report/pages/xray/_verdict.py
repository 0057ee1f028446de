"""The verdict: headline, standfirst and figures, each by rule from the numbers."""

from __future__ import annotations

from typing import Any

from nakami.results import PairedChange, StageSummary

from ...page._sections import Verdict
from ...words import _numbers as num
from ._completeness import computed, counted, cut_stages, possible, so_far, unfinished
from ._curves import direction
from ._key_figures import key_figures
from ._page_data import Reading, label, outcome, steady

WORDS = 14  # a headline has no more
NAME_LIMIT = 26  # a longer name does not fit a headline; the stage is then called by its number


def verdict(reading: Reading) -> Verdict:
    """Everything above the first section."""
    standfirst = [
        _depth_sentence(reading),
        _second_sentence(reading),
        _doubt(reading),
        unfinished(reading),
    ]
    return Verdict(
        kicker=_kicker(reading),
        headline=headline(reading),
        standfirst=[s for s in standfirst if s],
        figures=key_figures(reading)[:4],
        meta=_meta(reading),
    )


def headline(reading: Reading) -> str:
    """Subject, verb, count of whole, place; a comparison adds the paired change.

    Unconverged numbers never stand here: the deepest stage where all converged is taken, and
    without one the headline says only that.
    """
    if not reading.solid:
        total = sum(len(net.run.spectra) for net in reading.networks)
        done = sum(s.converged for net in reading.networks for s in net.run.spectra)
        if done == 0:
            return f"None of {num.whole(total)} spectra converged; nothing is concluded here"
        return f"No stage converged at every {reading.noun}; nothing is concluded here"
    stage = reading.solid[-1]
    row = reading.main.rows[stage]
    text = f"{survivors(row)} {place(reading, stage)}"
    if reading.comparison is not None:
        return _longest(text, _gains(reading, stage))
    one = [f" at the one {reading.noun} read", f" at one {reading.noun}"]
    return _longest(text, one if reading.n == 1 else [])


def _longest(text: str, tails: list[str]) -> str:
    """The text with the first tail that leaves it short enough, if any does."""
    return next((text + t for t in tails if len((text + t).split()) <= WORDS), text)


def survivors(row: StageSummary) -> str:
    """``Eleven of 784 directions survive to``, or ``About six of at most 10``."""
    of, count = possible(row), row.count
    if row.largest.mean == 0:
        return f"None of {of} directions reaches"
    if count.lower_bound:
        least = int(count.mean)
        return f"At least {num.spelled(least)} of {of} directions survive{_s(least)} to"
    if count.mean == 0:
        return f"None of {of} directions survives to"
    if count.mean < 0.75:
        return f"Fewer than one of {of} directions survives to"
    if count.mean == min(row.shape):
        can = "possible " if row.shape[0] < row.shape[1] else ""
        n = min(row.shape)
        many = f"All {num.whole(n)} {can}directions survive"
        return f"{many if n > 1 else f'The one {can}direction survives'} to"
    word = num.about(count.mean)
    one = _s(1 if word.endswith("one") else 2)
    return f"{word[0].upper()}{word[1:]} of {of} directions survive{one} to"


def _s(n: int) -> str:
    return "s" if n == 1 else ""


def place(reading: Reading, stage: str) -> str:
    """The stage by name, or by number where the name is long."""
    if len(stage) <= NAME_LIMIT:
        return stage
    i, n = reading.stages.index(stage) + 1, len(reading.stages)
    if i == n:
        return "the last stage" if n > 1 else "the one stage measured"
    return f"the {num.nth(i)} stage"


def _gains(reading: Reading, stage: str) -> list[str]:
    """What a comparison adds, in words that grow fewer."""
    assert reading.comparison is not None
    old, new = (label(n, 20) for n in reading.networks)
    if any(net.rows[stage].count.lower_bound for net in reading.networks):
        return [" in both networks"] if _all_bounds(reading, stage) else []
    change = reading.comparison.change(stage, "count")
    if reading.n == 1:
        return [f" at the one {reading.noun} read", f" at one {reading.noun}"]
    if outcome(change) == "not distinguishable":
        return [f"; not distinguishable from {old}"]
    size = abs(change.mean)
    many = num.about(size) if size >= 0.75 else num.fixed(size, 1)
    word = "more" if change.verdict == "rises" else "fewer"
    return [f"; {new} keeps {many} {word} than {old}", f"; {many} {word} than {old}"]


def _all_bounds(reading: Reading, stage: str) -> bool:
    return all(net.rows[stage].count.lower_bound for net in reading.networks)


def _depth_sentence(reading: Reading) -> str:
    stages = reading.solid
    if not stages:
        return ""
    rows = [reading.main.rows[s] for s in stages]
    at = f"At {reading.inputs()}" if reading.n > 1 else f"At one {reading.noun}"
    what = (
        f"the number of {reading.origin} directions that a small change can take without shrinking"
    )
    if all(r.count.lower_bound for r in rows):
        who = f"some {reading.noun} has them all" if reading.n > 1 else "they all lie"
        where = "at every stage" if len(rows) > 1 else "there"
        return (
            f"{at}, only {cut_stages(rows)}; {where} {who} above 1, so the "
            f"{'counts are lower bounds' if len(rows) > 1 else 'count is a lower bound'}."
        )
    bounded = [r for r in rows if r.count.lower_bound]
    tail = f" Only {cut_stages(rows)}." if bounded else ""
    return f"{at}, {what} {_by_depth(reading, rows)}.{tail}"


def _by_depth(reading: Reading, rows: list[StageSummary]) -> str:
    """``falls from 61 to 18 to 11 over three stages``."""
    counts, stages = [counted(r) for r in rows], [r.stage for r in rows]
    first, last = num.short(stages[0]), num.short(stages[-1])
    over = f"over {num.spelled(len(rows))} stages"
    if len(rows) == 1:
        return f"is {counts[0]} of {possible(rows[0])} at {first}"
    if len(set(counts)) == 1:
        return f"is {counts[0]} at each of {num.spelled(len(rows))} stages"
    if len(rows) <= 4:
        return f"{_moves(reading)} {' to '.join(counts)} {over}"
    return f"{_moves(reading)} {counts[0]} at {first} to {counts[-1]} at {last}, {over}"


def _moves(reading: Reading) -> str:
    if any(reading.main.rows[s].count.lower_bound for s in reading.solid):
        return "goes from"
    way = direction(reading.trend(lambda s: float(s.count_above_one), reading.solid))
    return f"{way} from" if way in ("falls", "rises") else "goes from"


def _second_sentence(reading: Reading) -> str:
    if not reading.solid:
        return ""
    stage = reading.solid[-1]
    row = reading.main.rows[stage]
    if reading.comparison is None or reading.n == 1:
        rank, top = num.estimate(row.effective_rank, "(sd)"), num.estimate(row.largest, "(sd)")
        text = f"The effective rank, which does not depend on the unit of the {reading.origin}, is "
        there = "; the largest singular value there is "
        return num.joined(text, rank, " at ", num.short(stage), there, top, ".")
    return _change_sentence(reading, stage)


def _change_sentence(reading: Reading, stage: str) -> str:
    assert reading.comparison is not None
    old, new = (label(n) for n in reading.networks)
    start = f"From {old} to {new}, paired by {reading.noun}, "
    where = f" at {num.short(stage)} "
    top = told(reading.comparison.change(stage, "largest"))
    if any(net.rows[stage].effective_rank.lower_bound for net in reading.networks):
        return num.joined(start, "the largest singular value", where, top, ".")
    rank = told(reading.comparison.change(stage, "effective_rank"))
    middle = ", and the largest singular value "
    return num.joined(start, "the effective rank", where, rank, middle, top, ".")


def told(change: PairedChange, kind: str = " (s.e.)") -> str:
    """``rises by 2.1 ± 0.7 (s.e.)``, or that no change can be told."""
    if steady(change):
        return "does not change"
    if change.verdict == "not distinguishable":
        amount = num.pair(change.mean, change.se, sign=True)
        return num.joined("does not change distinguishably (", amount, kind and " s.e.", ")")
    return num.joined(f"{change.verdict} by ", num.pair(abs(change.mean), change.se), kind)


def _doubt(reading: Reading) -> str:
    every = [s for net in reading.networks for s in net.run.spectra]
    missing = sum(not s.converged for s in every)
    if not missing:
        return ""
    return (
        f"{num.whole(missing)} of {num.whole(len(every))} spectra did not converge; their values "
        "are drawn dotted and stay out of this verdict."
    )


def _kicker(reading: Reading) -> str:
    if reading.comparison is None:
        return f"{label(reading.main, 60)}, X-ray at {reading.inputs()}"
    old, new = (label(n, 40) for n in reading.networks)
    subject = f"{num.short(reading.subject, 40)}: " if reading.subject else ""
    return f"{subject}{old} and {new}, X-ray at the same {reading.inputs()}"


def _meta(reading: Reading) -> list[tuple[str, str]]:
    s = reading.main.run.settings
    model = s.get("model") or {}
    names = (reading.subject or reading.main.label, str(model.get("name") or ""))
    name = ", ".join(dict.fromkeys(num.short(n, 60) for n in names if n))
    count = model.get("parameters")
    sized = f"{name}, {num.whole(count)} parameters" if count else name
    values = computed([reading.main.rows[s] for s in reading.stages])
    share = so_far(reading)
    date = num.date(str(s.get("created", "")))
    measured = f"{date}, {reading.origin} to {_stages(reading)}, {values}"
    data = num.short(str(s.get("data") or f"{reading.inputs()}"), 260)
    return [
        ("Model", sized),
        ("Data", f"{data.rstrip('.')}; unit: {num.short(reading.main.run.input_unit, 60)}"),
        ("Measured", f"{measured}{f'; {share}' if share else ''}"),
        ("Versions", _versions(s)),
    ]


def _versions(s: dict[str, Any]) -> str:
    found, place = s.get("versions") or {}, str(s.get("device") or "").upper()
    parts = [
        f"{name} {str(found[name]).partition('+')[0]}"
        for name in ("nakami", "torch")
        if name in found
    ]
    if place and parts:
        parts[-1] += f" ({place})"
    seed = s.get("seed")
    parts += [
        str(s.get("dtype") or "").replace("torch.", ""),
        "" if seed is None else f"seed {seed}",
    ]
    return ", ".join(p for p in parts if p)


def _stages(reading: Reading) -> str:
    n = len(reading.stages)
    return f"{num.spelled(n)} stage{'' if n == 1 else 's'}"
