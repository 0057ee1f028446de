"""The verdict: headline, standfirst and figures, each by rule from the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nakami.results import Estimate, Spectrum, StageSummary

from . import _numbers as num
from ._reading import Network, Reading

NAME_LIMIT = 26  # a longer name does not fit a headline; the stage is then called by its number


@dataclass(frozen=True)
class KeyFigure:
    """A large number with its unit and spread, and what it counts."""

    value: Markup
    unit: Markup
    label: str
    before: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a reader who stops at the top has learnt."""

    kicker: str
    headline: str
    standfirst: list[str | Markup]
    figures: list[KeyFigure]
    meta: list[tuple[str, str]]


def verdict(reading: Reading) -> Verdict:
    """Everything above the first section."""
    standfirst = [_depth_sentence(reading), _second_sentence(reading), _doubt(reading)]
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
        return text + _gain(reading, stage)
    return text + (f" at the one {reading.noun} read" if reading.n == 1 else "")


def survivors(row: StageSummary) -> str:
    """``Eleven of 784 directions survive to``."""
    of, count = num.whole(row.shape[1]), row.count
    n = round(count.mean)
    if row.largest.mean == 0:
        return f"None of {of} directions reaches"
    if count.lower_bound:
        return f"At least {num.spelled(int(count.mean))} of {of} directions survive to"
    if count.mean == 0:
        return f"None of {of} directions survives to"
    if n == 0:
        return f"Fewer than one of {of} directions survives to"
    if n == row.shape[1]:
        return f"All {of} directions survive to" if n > 1 else "The one direction survives to"
    word = num.spelled(n)
    return f"{word[0].upper()}{word[1:]} of {of} directions survive{'s' if n == 1 else ''} to"


def place(reading: Reading, stage: str) -> str:
    """The stage by name, or by number where the name is long."""
    if len(stage) <= NAME_LIMIT:
        return stage
    i, n = reading.stages.index(stage) + 1, len(reading.stages)
    if i == n:
        return "the last stage" if n > 1 else "the one stage measured"
    return f"the {num.ORDINALS[i - 1]} stage" if i <= 12 else f"stage {i}"


def label(net: Network, limit: int = 24) -> str:
    """A network's name, shortened."""
    return num.short(net.label, limit)


def _gain(reading: Reading, stage: str) -> str:
    assert reading.comparison is not None
    old, new = (label(n, 20) for n in reading.networks)
    if any(net.rows[stage].count.lower_bound for net in reading.networks):
        return " in both networks" if _all_bounds(reading, stage) else ""
    change = reading.comparison.change(stage, "count")
    if reading.n == 1:
        return f" at the one {reading.noun} read"
    if change.verdict == "not distinguishable":
        return f"; not distinguishable from {old}"
    size = abs(change.mean)
    many = num.spelled(round(size)) if round(size) >= 1 else num.fixed(size, 1)
    word = "more" if change.verdict == "rises" else "fewer"
    return f"; {new} keeps {many} {word} than {old}"


def _all_bounds(reading: Reading, stage: str) -> bool:
    return all(net.rows[stage].count.lower_bound for net in reading.networks)


def _depth_sentence(reading: Reading) -> Markup | str:
    stages = reading.solid
    if not stages:
        return ""
    rows = [reading.main.rows[s] for s in stages]
    at = f"At {reading.inputs()}" if reading.n > 1 else f"At one {reading.noun}"
    what = "the number of input directions that a small change can take without shrinking"
    if any(r.count.lower_bound for r in rows):
        full = sum(r.count.lower_bound for r in rows)
        where = "every stage" if full == len(rows) else f"{full} of {len(rows)} stages"
        return (
            f"{at}, only the {num.whole(max(r.k for r in rows))} largest singular values were "
            f"computed; at {where} all of them can lie above 1, so {what} is larger than counted."
        )
    counts = [num.fixed(r.count.mean, 0 if r.count.mean >= 10 else 1) for r in rows]
    if len(rows) == 1:
        return f"{at}, {what} is {counts[0]} of {num.whole(rows[0].shape[1])} at {stages[0]}."
    if len(rows) <= 4:
        return f"{at}, {what} {_moves(rows)} {' to '.join(f'{c}' for c in counts)} over {num.spelled(len(rows))} stages."  # noqa: E501
    return (
        f"{at}, {what} {_moves(rows)} {counts[0]} at {num.short(stages[0])} to {counts[-1]} at "
        f"{num.short(stages[-1])}, over {num.spelled(len(rows))} stages."
    )


def _moves(rows: list[StageSummary]) -> str:
    means = [r.count.mean for r in rows]
    if all(a > b for a, b in zip(means, means[1:], strict=False)):
        return "falls from"
    if all(a < b for a, b in zip(means, means[1:], strict=False)):
        return "rises from"
    return "goes from"


def _second_sentence(reading: Reading) -> Markup | str:
    if not reading.solid:
        return ""
    stage = reading.solid[-1]
    row = reading.main.rows[stage]
    if reading.comparison is None or reading.n == 1:
        rank, top = num.estimate(row.effective_rank, "(sd)"), num.estimate(row.largest, "(sd)")
        return num.joined(
            "The effective rank, which does not depend on the unit of the input, is ", rank,
            " at ", num.short(stage), "; the largest singular value there is ", top, ".",
        )  # fmt: skip
    old, new = (label(n) for n in reading.networks)
    ranks = reading.comparison.change(stage, "effective_rank")
    top = reading.comparison.change(stage, "largest")
    bound = any(net.rows[stage].effective_rank.lower_bound for net in reading.networks)
    first = "" if bound else num.joined(
        "the effective rank at ", num.short(stage), " ", told(ranks.verdict, ranks.mean, ranks.se),
        ", ",
    )  # fmt: skip
    return num.joined(
        f"From {old} to {new}, paired by {reading.noun}, ", first, "the largest singular value",
        f" at {num.short(stage)} " if bound else " ", told(top.verdict, top.mean, top.se), ".",
    )  # fmt: skip


def told(word: str, mean: float, se: float) -> Markup:
    """``rises by 2.1 ± 0.7 (s.e.)``, or that no change can be told."""
    if word == "not distinguishable":
        return num.joined("does not change distinguishably (", num.pair(mean, se, "s.e.", True), ")")
    return num.joined(f"{word} by ", num.pair(abs(mean), se, "(s.e.)"))


def _doubt(reading: Reading) -> str:
    every = [s for net in reading.networks for s in net.run.spectra]
    missing = sum(not s.converged for s in every)
    if not missing:
        return ""
    return (
        f"{num.whole(missing)} of {num.whole(len(every))} spectra did not converge; their values "
        "are drawn dotted and stay out of this verdict."
    )


def key_figures(reading: Reading) -> list[KeyFigure]:
    """Three or four numbers with unit and spread, the network's own facts last."""
    facts = _facts(reading)
    if not reading.solid:
        return [*_unconverged_figures(reading), *facts]
    stage = reading.solid[-1]
    row, where = reading.main.rows[stage], num.short(stage)
    spread = f"; mean ± sd of {reading.inputs()}" if reading.n > 1 else f"; one {reading.noun}"
    count = _figure(
        row.count, f"directions kept (s > 1) at {where}, of {num.whole(row.shape[1])}{spread}"
    )
    rank = _figure(row.effective_rank, f"effective rank at {where}{_was(reading, stage)}")
    top = _figure(row.largest, f"largest singular value at {where}, stage unit per input unit")
    if reading.comparison is None or reading.n == 1:
        return [count, rank, top, *facts]
    bound = any(net.rows[stage].count.lower_bound for net in reading.networks)
    change = reading.comparison.change(stage, "largest" if bound else "count")
    new = label(reading.main, 18)
    what = f"change of the largest value, {new}" if bound else f"directions gained by {new}"
    value, unit = num.split(change.mean, change.se, sign=True)
    gain = KeyFigure(value, unit, f"{what} at {where}; paired mean ± s.e.")
    return [count, gain, rank, *(facts or [top])]


def _figure(e: Estimate, label: str) -> KeyFigure:
    value, unit = num.split(e.mean, e.sd)
    return KeyFigure(value, unit, label, "at least" if e.lower_bound else "")


def _was(reading: Reading, stage: str) -> str:
    if reading.comparison is None:
        return ""
    old = reading.networks[0]
    row = old.rows[stage].effective_rank
    bound = "at least " if row.lower_bound else ""
    return f"; {bound}{num.plain(row.mean)} in {label(old, 18)}"


def _facts(reading: Reading) -> list[KeyFigure]:
    out = []
    for fact in reading.main.run.settings.get("facts") or []:
        spread, kind = fact.get("spread"), fact.get("spread_kind") or ""
        unit = str(fact.get("unit") or "")
        value, tail = num.split(float(fact["value"]), float("nan") if spread is None else spread)
        if unit:
            tail = num.joined(unit, num.NBSP if tail else "", tail)
        text = f"{fact['label']}{f', ± {kind}' if kind and spread is not None else ''}"
        out.append(KeyFigure(value, tail, text + _fact_before(reading, fact)))
    return out


def _fact_before(reading: Reading, fact: dict[str, Any]) -> str:
    if reading.comparison is None:
        return ""
    old = reading.networks[0]
    for other in old.run.settings.get("facts") or []:
        if other.get("label") == fact["label"]:
            return f"; {num.plain(float(other['value']))} in {label(old, 18)}"
    return ""


def _unconverged_figures(reading: Reading) -> list[KeyFigure]:
    every: list[Spectrum] = [s for net in reading.networks for s in net.run.spectra]
    worst = max(r.relative_residual for net in reading.networks for r in net.rows.values())
    tol = reading.main.run.settings.get("tol")
    aim = f" to the tolerance {num.plain(float(tol))}" if tol else ""
    done = sum(s.converged for s in every)
    return [
        KeyFigure(
            Markup(done), Markup(f"of {len(every)}"), f"spectra that converged{aim}"
        ),
        KeyFigure(num.number(worst, 2), Markup(""), "largest residual, relative to its value"),
        KeyFigure(
            Markup(num.whole(max(r.k for r in reading.main.rows.values()))),
            Markup(f"of {num.whole(min(reading.main.rows[reading.stages[-1]].shape))}"),
            f"singular values computed at {num.short(reading.stages[-1])}",
        ),
    ]  # fmt: skip


def _kicker(reading: Reading) -> str:
    if reading.comparison is None:
        return f"{label(reading.main, 60)}, X-ray at {reading.inputs()}"
    old, new = (label(n, 40) for n in reading.networks)
    return f"{old} and {new}, X-ray at the same {reading.inputs()}"


def _meta(reading: Reading) -> list[tuple[str, str]]:
    s = reading.main.run.settings
    model = s.get("model") or {}
    name = num.short(str(model.get("name") or reading.main.label), 60)
    count = model.get("parameters")
    sized = f"{name}, {num.whole(count)} parameters" if count else name
    version = s.get("versions") or {}
    rows = reading.main.rows
    some = rows[reading.stages[-1]]
    complete = all(x.complete for st in reading.stages for x in reading.main.run.at(st))
    values = "all singular values" if complete else f"the {num.whole(some.k)} largest values"
    place = f"{s.get('device', '')}".upper()
    engine = f"torch {version['torch']}{f' ({place})' if place else ''}" if "torch" in version else ""
    versions = [f"nakami {version.get('nakami', '')}".strip(), engine, s.get("dtype"),
                f"seed {s['seed']}" if s.get("seed") is not None else ""]  # fmt: skip
    data = num.short(str(s.get("data") or f"{reading.inputs()}"), 260)
    return [
        ("Model", sized),
        ("Data", f"{data.rstrip('.')}; unit: {num.short(reading.main.run.input_unit, 60)}"),
        ("Measured", f"{num.date(str(s.get('created', '')))}, input to {_stages(reading)}, {values}"),
        ("Versions", ", ".join(str(v).replace("torch.", "") for v in versions if v)),
    ]


def _stages(reading: Reading) -> str:
    n = len(reading.stages)
    return f"{num.spelled(n)} stage{'' if n == 1 else 's'}"
