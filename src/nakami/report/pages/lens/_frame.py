"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...page._origin import BESIDE, measured, versions
from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...words import _numbers as num
from ._data import WANTED, Data, say

if TYPE_CHECKING:
    from nakami.results import Jackknifed


def frame(data: Data, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    name = data.found.subject
    return Frame(
        kind="Jacobian lens",
        title=f"nakami lens: {num.short(name, 60)}",
        name=name,
        verdict=_verdict(data),
        tables=[_stages_table(data)],
        how=_how(data),
        note=BESIDE,
        words=say.words,
        n_curves=2,
        **measured(data.found.settings),
    )


def _verdict(data: Data) -> Verdict:
    first, last, settings = data.first, data.last, data.found.settings
    if data.square:
        case = "carries" if last.identity_share.value >= 0.5 else "mixes"
        headline = say(f"verdict.{case}", stage=last.stage, share=100 * last.identity_share.value)
    else:
        rank = num.pair(first.participation.value, first.participation.se)
        headline = say("verdict.rank", stage=first.stage, rank=rank, of=len(first.values))
    where = say("verdict.where", first=first.stage, last=last.stage, to=data.found.to)
    held = [say("verdict.detached")] if data.detached else []
    return Verdict(
        kicker=say("verdict.kicker", stages=len(data.lenses), prompts=first.n_prompts),
        headline=headline,
        standfirst=[where, *held, say("verdict.mean", prompts=first.n_prompts,
                                       positions=data.positions)],
        figures=_key_figures(data),
        meta=[
            ("Network", say("meta.network", name=data.found.subject,
                            size=settings["model"]["parameters"],
                            training=num.short(data.text("training"), 120))),
            ("Data", num.short(data.text("data"), 200)),
            ("Measured", num.date(data.text("created", ""))),
            versions(settings),
        ],
    )  # fmt: skip


def _key_figures(data: Data) -> list[KeyFigure]:
    first = data.first
    value, unit = num.split(float(first.values[0]), float(first.value_errors[0]))
    largest = say("figure.largest", stage=first.stage)
    out = [KeyFigure(value, unit, largest, reference=say("figure.one"))]
    if data.square:
        for lens in dict.fromkeys((first.stage, data.last.stage)):
            share = data.found[lens].identity_share
            value, unit = num.split(share.value, share.se)
            label = say("figure.share", stage=lens)
            out.append(KeyFigure(value, unit, label, reference=say("figure.all")))
        beyond = first.participation_beyond
        label = say("figure.rank", stage=first.stage)
    else:
        beyond, label = first.participation, say("figure.rank_whole", stage=first.stage)
    value, unit = num.split(beyond.value, beyond.se)
    reference = say("figure.of", of=len(first.values))
    return [*out, KeyFigure(value, unit, label, reference=reference)]


def _stages_table(data: Data) -> Table:
    head: list[Text] = [
        "stage", "s₁", "agreement", "a", "share of aI", "rank", "rank without",
        "error of J", f"prompts for {100 * WANTED:g} %", "check",
    ]  # fmt: skip
    rows: list[list[Text]] = []
    for lens in data.lenses:
        numbers = (
            lens.identity, lens.identity_share, lens.participation,
            lens.participation_beyond,
        )  # fmt: skip
        known = data.known
        rows.append([
            num.short(lens.stage), num.pair(float(lens.values[0]), float(lens.value_errors[0])),
            _pair(lens.agreement) if known else "", *map(_pair, numbers),
            f"{num.number(100 * lens.error)} %" if known else "",
            num.whole(lens.prompts_for(WANTED)) if known else "", num.known(lens.check, 1),
        ])  # fmt: skip
    return Table(
        "Stages", head, rows, tuple(range(1, 10)), 860, say("table.stages", known=data.known)
    )


def _pair(number: Jackknifed) -> str:
    finite = number.value == number.value
    return num.pair(number.value, number.se) if finite else ""


def _how(data: Data) -> Table:
    settings, lens = data.found.settings, data.first
    rows: list[list[Text]] = [
        ["Mean", say("how.mean", positions=data.positions)],
        ["Exact at each prompt", say("how.exact")],
        ["Errors", say("how.errors", groups=lens.settings["groups"])],
        ["Check", say("how.check", check=max(one.check for one in data.lenses))],
        ["Arithmetic", say("how.arithmetic", dtype=settings["dtype"])],
        ["Source", say("how.source")],
    ]
    if name := settings.get("select"):
        rows.insert(1, ["Output read", name])
    if data.detached:
        residual = max(float(one.settings["residual"]) for one in data.lenses)
        rows.insert(1, ["Derivative", say("how.detached", residual=residual)])
    return Table("How it was measured", ["", "this network"], rows, (), 480)
