"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from markupsafe import Markup

from ....results import StageSummary, evenly
from ...page._origin import measured, versions
from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...words import _numbers as num
from ._data import LINES, Data, say

ROWS = 12  # looks of a stage in the table


def frame(data: Data, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    name = data.found.subject
    return Frame(
        kind="X-rays during training",
        title=f"nakami: {num.short(name, 60)} over its training",
        name=name,
        verdict=_verdict(data),
        tables=[_looks_table(data)],
        how=_how(data),
        note=Markup("The last look lies in <code>result.json</code>, all in <code>pieces</code>."),
        words=say.words,
        n_curves=max(2, len(data.panels), *(len(data.lines(s)) for s in data.panels)),
        **measured(data.found.settings),
    )


def _verdict(data: Data) -> Verdict:
    found, rows = data.found, data.summaries[data.last]
    ends = [num.estimate(rows[i].largest) for i in (0, -1)]
    case = "one" if len(data.steps) < 2 else "moved"
    return Verdict(
        kicker=say("verdict.kicker", looks=len(found.looks), stages=len(found.names),
                   inputs=found.n_inputs),
        headline=say(f"verdict.{case}", stage=data.last, first=ends[0], last=ends[1],
                     begin=data.steps[0], end=data.steps[-1]),
        standfirst=[say("verdict.use", use=found.use)],
        figures=_key_figures(data),
        meta=[
            ("Network", say("meta.network", name=found.subject,
                            size=found.settings["model"]["parameters"])),
            ("Data", num.short(data.text("data"), 200)),
            ("Measured", num.date(data.text("created", ""))),
            versions(found.settings, f"seed {found.settings['seed']}"),
        ],
    )  # fmt: skip


def _key_figures(data: Data) -> list[KeyFigure]:
    first, last = data.summaries[data.last][0], data.summaries[data.last][-1]
    out = []
    for name, field in (("largest", "largest"), ("rank", "effective_rank"), ("count", "count")):
        before, now = getattr(first, field), getattr(last, field)
        reference = say("figure.before", before=num.estimate(before), step=data.steps[0])
        label = say(f"figure.{name}", stage=data.last)
        value, spread = num.split(now.mean, now.sd)
        out.append(KeyFigure(value, spread, label, reference=reference))
    if data.found.training:
        share = f"{num.number(100 * data.found.share, 2)} %"
        limited = data.found.max_share < float("inf")
        case = "budget" if limited else "free"
        reference = say(f"figure.{case}", budget=100 * data.found.max_share)
        out.append(KeyFigure(share, "", say("figure.share"), reference=reference))
    return out


def _looks_table(data: Data) -> Table:
    head: list[Text] = ["stage", "step", "s₁", "s > 1", "effective rank", "s_k/s₁", "residual"]
    rows: list[list[Text]] = []
    for stage in data.found.names:
        pairs = list(zip(data.steps, data.summaries[stage], strict=True))
        for step, row in evenly(pairs, ROWS):
            numbers = (row.largest, row.count, row.effective_rank)
            rows.append([
                num.short(stage), num.whole(step), *map(num.estimate, numbers),
                _decay(row), num.number(row.residual, 1),
            ])  # fmt: skip
    return Table(
        "Looks",
        head,
        rows,
        (1, 2, 3, 4, 5, 6),
        640,
        say("table.looks", rows=ROWS, inputs=data.found.n_inputs),
    )


def _decay(row: StageSummary) -> Text:
    """``s_k/s_1``; the floor in its place where it is noise at every input."""
    if row.decay_is_noise:
        return say("table.floor", floor=row.decay_floor)
    text = num.number(row.decay.mean)
    if row.decay_below_floor:
        note = say("table.floor_some", low=row.decay_below_floor, n=row.largest.n)
        return f"{text}, {note}"
    return text


def _how(data: Data) -> Table:
    settings, steps = data.found.settings, data.found.steps.tolist()
    k = settings["k"]
    rows: list[list[Text]] = [
        [
            "Looks",
            say(
                "how.looks",
                every=settings["every"],
                looks=len(steps),
                first=steps[0],
                last=steps[-1],
            ),
        ],
        ["Values", say("how.values", k=k, tol=settings["tol"])],
        ["The other values", say("how.others")],
        ["Time", say("how.time")],
        ["Drawn", say("how.drawn", lines=min(LINES, k))],
        ["Arithmetic", say("how.arithmetic", dtype=settings["dtype"], device=settings["device"])],
    ]
    return Table("How it was measured", ["", "this training"], rows, (), 480)
