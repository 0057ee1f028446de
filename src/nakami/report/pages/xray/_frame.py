"""All of the page but its sections: the verdict, each part by rule from the numbers, and tables."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from nakami.results import PairedChange, StageSummary, span, unit_text

from ...page._origin import measured
from ...page._sections import Frame, Section, Verdict
from ...words import _numbers as num
from ._completeness import computed, counted, cut_stages, possible, so_far, unfinished
from ._curves import direction
from ._data import Reading, label, say
from ._key_figures import key_figures
from ._methods import how_table
from ._spectrum_chart import WHOLE
from ._tables import figures_tables, words

NOTE = Markup(
    "Values in the charts have four digits, pictures eight bits. The full arrays lie in "
    "<code>pieces/*/arrays.safetensors</code> of the run’s folder, the settings in "
    "<code>run.json</code>."
)
THINNED = f"Curves are thinned for drawing beyond index {WHOLE}. "


def frame(reading: Reading, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    drawn = [c.data["src"] for s in sections for f in s.figures for c in f.charts if c.curves]
    thinned = any(max(rows["i"]) > WHOLE for rows in drawn)
    settings, name = reading.main.run.settings, reading.subject or reading.main.label
    return Frame(
        kind="X-ray report",
        title=f"nakami x-ray: {num.short(name, 60)}",
        name=name,
        verdict=verdict(reading),
        tables=figures_tables(reading),
        how=how_table(reading),
        note=THINNED + NOTE if thinned else NOTE,
        words=words(reading),
        n_curves=max(len(reading.stages), *(len(n.own) for n in reading.networks)),
        **measured(settings),
    )


WORDS = 14  # a headline has no more
NAME_LIMIT = 26  # a longer name does not fit a headline; the stage is then called by its number


def verdict(reading: Reading) -> Verdict:
    """Everything above the first section."""
    first, second = (_depth(reading), _second(reading)) if reading.solid else ("", "")
    standfirst = [first, second, _doubt(reading), unfinished(reading), _looks(reading)]
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
        spectra = [s for net in reading.networks for s in net.run.spectra]
        case = "none_solid" if any(s.converged for s in spectra) else "none_converged"
        return reading.say(f"headline.{case}", total=len(spectra))
    stage = reading.solid[-1]
    text = survivors(reading.main.rows[stage], place(reading, stage))
    tails = [] if reading.comparison is None else _gains(reading, stage)
    if reading.n == 1:
        tails = [reading.say(f"headline.{case}") for case in ("at_one_read", "at_one")]
    return next((text + t for t in tails if len((text + t).split()) <= WORDS), text)


def survivors(row: StageSummary, where: str) -> str:
    """``Eleven of 784 directions survive to``, or ``About six of at most 10``; and where."""
    count, least, smaller = row.count, min(row.shape), row.shape[0] < row.shape[1]
    mean: float = count.mean
    if row.largest.mean == 0:
        case = "zero"
    elif count.lower_bound:
        case, mean = "bound", int(count.mean)
    elif count.interval is not None:
        text = num.tallied(count)
        text = text[:1].upper() + text[1:]
        return say("headline.estimated", of=possible(row), place=where, count=text)
    elif mean == 0:
        case = "none"
    elif mean < 0.75:
        case = "few"
    elif mean == least:
        case = "all" if least > 1 else "only"
    else:
        case = "some"
    one = num.about(mean).endswith("one")
    return say(
        f"headline.{case}", of=possible(row), place=where, count=mean, one=one, smaller=smaller
    )


def place(reading: Reading, stage: str) -> str:
    """The stage by name, or by number where the name is long."""
    if len(stage) <= NAME_LIMIT:
        return stage
    i, n = reading.stages.index(stage) + 1, len(reading.stages)
    case = "nth_stage" if i < n else "last_stage" if n > 1 else "only_stage"
    return say(f"headline.{case}", number=i)


def _gains(reading: Reading, stage: str) -> list[str]:
    """What a comparison adds, in words that grow fewer."""
    assert reading.comparison is not None
    bounds = [net.rows[stage].count.lower_bound for net in reading.networks]
    if any(bounds):
        return [say("headline.both_bounds")] if all(bounds) else []
    change = reading.comparison.change(stage, "count")
    old, new = (label(n, 20) for n in reading.networks)
    if change.verdict == "not distinguishable":
        return [say("headline.same", old=old)]
    size = abs(change.mean)
    many = num.about(size) if size >= 0.75 else num.fixed(size, 1)
    if change.open:
        many = f"about {num.rounded(size, change.low, change.high)}"
    data: dict[str, Any] = {"old": old, "new": new, "size": many, "more": change.verdict == "rises"}
    return [say("headline.change", **data), say("headline.change_short", **data)]


def _depth(reading: Reading) -> str:
    rows = [reading.main.rows[s] for s in reading.solid]
    bounded = [r.count.lower_bound for r in rows]
    if all(bounded):
        return reading.say("verdict.bounds", cut=cut_stages(rows), stages=len(rows))
    case = "verdict.depth_cut" if any(bounded) else "verdict.depth"
    if any(r.count.interval for r in rows):
        case = "verdict.depth_estimated"
    return reading.say(case, course=_course(reading, rows), cut=cut_stages(rows))


def _course(reading: Reading, rows: list[StageSummary]) -> str:
    """``falls from 61 to 18 to 11 over three stages``."""
    counts, first, last = [counted(r) for r in rows], rows[0], rows[-1]
    bounded = any(r.count.lower_bound for r in rows)
    if bounded and 1 < len(rows) <= 4:
        each = zip(counts, rows, strict=True)
        told = [say("verdict.course_at", count=count, stage=row.stage) for count, row in each]
        return say("verdict.course_each", counts=told)
    way = direction(reading.count_trend(reading.solid))
    if way not in ("falls", "rises") or bounded:
        way = "goes"
    case = "few" if len(rows) <= 4 else "long"
    if len(rows) == 1:
        case = "one"
    elif len(set(counts)) == 1:
        case = "level"
    return say(
        f"verdict.course_{case}", way=way, counts=" to ".join(counts), count=counts[0],
        of=possible(first), stage=first.stage, stages=len(rows), first=counts[0], last=counts[-1],
        start=first.stage, end=last.stage,
    )  # fmt: skip


def _second(reading: Reading) -> str:
    stage = reading.solid[-1]
    row = reading.main.rows[stage]
    if reading.comparison is None or reading.n == 1:
        return reading.say("verdict.rank", rank=row.effective_rank, top=row.largest, stage=stage)
    old, new = (label(n) for n in reading.networks)
    top = told(reading.comparison.change(stage, "largest"))
    if any(net.rows[stage].effective_rank.lower_bound for net in reading.networks):
        return reading.say("verdict.change_largest", old=old, new=new, stage=stage, top=top)
    rank = told(reading.comparison.change(stage, "effective_rank"))
    return reading.say("verdict.change", old=old, new=new, stage=stage, rank=rank, top=top)


def told(change: PairedChange, se: bool = True) -> str:
    """``rises by 2.1 ± 0.7 (s.e.)``, or that no change can be told."""
    if change.steady:
        return say("change.still")
    if change.open:  # the s.e. is the smaller part of the doubt
        low, high = change.low, change.high
        if change.verdict == "not distinguishable":
            return say("change.unclear_open", ends=num.ends(low, high))
        ends = sorted((abs(low), abs(high)))
        return say("change.clear_open", verdict=change.verdict, ends=span(*ends))
    if change.verdict == "not distinguishable":
        return say("change.unclear", amount=num.pair(change.mean, change.se, sign=True), se=se)
    amount = num.pair(abs(change.mean), change.se)
    return say("change.clear", verdict=change.verdict, amount=amount, se=se)


def _doubt(reading: Reading) -> str:
    every = [s for net in reading.networks for s in net.run.spectra]
    missing = sum(not s.converged for s in every)
    return say("verdict.doubt", missing=missing, total=len(every)) if missing else ""


def _looks(reading: Reading) -> str:
    """Which looks of two trainings are compared; empty for x-rays."""
    both = reading.comparison
    if both is None or both.step is None or both.last_steps is None:
        return ""
    ends = zip(map(label, reading.networks), both.last_steps, strict=True)
    each = [say("verdict.last_look", name=name, step=step) for name, step in ends]
    same = len({*both.last_steps}) == 1
    return say("verdict.looks", step=both.step, same=same, ends=each)


def _kicker(reading: Reading) -> str:
    if reading.comparison is None:
        return reading.say("verdict.kicker", name=label(reading.main, 60))
    old, new = (label(n, 40) for n in reading.networks)
    subject = f"{num.short(reading.subject, 40)}: " if reading.subject else ""
    return reading.say("verdict.kicker_two", subject=subject, old=old, new=new)


def _meta(reading: Reading) -> list[tuple[str, str]]:
    s = reading.main.run.settings
    model = s.get("model") or {}
    names = (reading.subject or reading.main.label, str(model.get("name") or ""))
    name = ", ".join(dict.fromkeys(num.short(n, 60) for n in names if n))
    count, n = model.get("parameters"), len(reading.stages)
    date = num.date(str(s.get("created", "")))
    stages = f"{reading.origin} to {num.spelled(n)} stage{'' if n == 1 else 's'}"
    measured = f"{date}, {stages}, {computed([reading.main.rows[s] for s in reading.stages])}"
    data = num.short(str(s.get("data") or f"{reading.inputs()}"), 260).rstrip(".")
    return [
        ("Model", f"{name}, {num.whole(count)} parameters" if count else name),
        ("Data", f"{data}; unit: {num.short(unit_text(reading.main.run.input_unit), 60)}"),
        ("Measured", "; ".join(filter(None, (measured, so_far(reading))))),
        ("Versions", _versions(s)),
    ]


def _versions(s: dict[str, Any]) -> str:
    versions, device = s.get("versions") or {}, str(s.get("device") or "").upper()
    parts = [
        f"{name} {str(versions[name]).partition('+')[0]}"
        for name in ("nakami", "torch")
        if name in versions
    ]
    if device and parts:
        parts[-1] += f" ({device})"
    seed = s.get("seed")
    parts += [str(s.get("dtype") or "").replace("torch.", "")]
    return ", ".join(p for p in [*parts, "" if seed is None else f"seed {seed}"] if p)
