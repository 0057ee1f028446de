"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from nakami.results import Lines, TrainingReport

from ...page._origin import BESIDE, measured, versions
from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...words import _numbers as num
from ._sections import fact_text, facts_table, phases_table, say, split

MOST_FIGURES = 4


def frame(found: TrainingReport, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    return Frame(
        kind=say("page.kind"),
        title=say("page.title", name=found.recipe),
        name=found.recipe,
        verdict=_verdict(found),
        tables=[phases_table(found), *([facts_table(found)] if found.networks else [])],
        how=_how(found),
        note=BESIDE,
        words=say.words,
        n_curves=max([1, *(len(p.lines) for p in found.pictures if isinstance(p, Lines))]),
        **measured(found.settings),
    )


def _verdict(found: TrainingReport) -> Verdict:
    last = found.networks[-1] if found.networks else None
    settings = found.settings
    meta = [
        (say("meta.data"), num.short(found.source, 200)),
        (say("meta.seed"), str(settings.get("seed", ""))),
        (say("meta.made"), num.date(str(settings.get("created") or ""))),
        versions(settings),
    ]
    return Verdict(
        kicker=say("verdict.kicker", name=found.recipe, phases=len(found.phases)),
        headline=_headline(found),
        standfirst=[say("verdict.how", how=_sentence(last.training))] if last else [],
        figures=_key_figures(found),
        meta=[(head, text) for head, text in meta if text],
    )


def _headline(found: TrainingReport) -> str:
    facts = [(network.name, fact) for network in found.networks[::-1] for fact in network.facts]
    if facts:
        name, fact = facts[0]
        return say("verdict.fact", name=name, label=fact["label"], value=fact_text(fact))
    ended = [phase for phase in found.phases if phase.losses]
    if not ended:
        return say("verdict.untrained", name=found.recipe)
    return say("verdict.loss", name=found.recipe, loss=ended[-1].loss, last=ended[-1].losses[-1])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _key_figures(found: TrainingReport) -> list[KeyFigure]:
    """Facts of the networks, the last first."""
    out = []
    for network in found.networks[::-1]:
        for fact in network.facts:
            value, spread = split(fact)
            unit = " ".join(filter(None, (spread, str(fact.get("unit") or ""))))
            kind = f", ± {fact['spread_kind']}" if spread and fact.get("spread_kind") else ""
            label = say("figure.fact", network=network.name, label=fact["label"], kind=kind)
            out.append(KeyFigure(value, unit, label))
    return out[:MOST_FIGURES]


def _how(found: TrainingReport) -> Table:
    rows: list[list[Text]] = [
        [name, ", ".join(map(str, v)) if isinstance(v, list) else str(v)]
        for name, v in found.chosen.items()
    ]
    seconds = sum(phase.seconds for phase in found.phases)
    rows.append([say("how.time"), num.seconds(seconds)])
    return Table(say("how.title"), ["", say("how.head")], rows, (), 480)
