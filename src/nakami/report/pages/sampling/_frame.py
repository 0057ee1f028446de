"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...page._study import study_frame
from ...words import _numbers as num
from ._sections import avoiding_harms, best_gains, say

if TYPE_CHECKING:
    from nakami.sampling._study import SamplingStudy


def frame(found: SamplingStudy, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    name = say("page.name")
    tables = [times_table(found), bias_table(found), annealing_table(found)]
    how = ("times", "kernels", "bias", "annealing")
    return study_frame(say, name, _verdict(found, name), tables, how)


def _verdict(found: SamplingStudy, name: str) -> Verdict:
    inside, collapsed = best_gains(found)
    first = {one.kernel: float(one.bias[0]) for one in found.bias}
    figures = [
        KeyFigure(num.number(inside), "×", say("figure.inside")),
        KeyFigure(num.number(collapsed), "×", say("figure.collapsed")),
        KeyFigure(
            num.number(first["collapsed Suwa-Todo"] / first["block Gibbs"]), "×", say("figure.bias")
        ),
    ]
    return Verdict(
        kicker=name,
        headline=say("verdict.headline", inside=inside, collapsed=collapsed),
        standfirst=[
            say("verdict.where" if collapsed > max(inside, 1) else "verdict.nowhere"),
            say("verdict.long" if avoiding_harms(found) else "verdict.harmless"),
        ],
        figures=figures,
        meta=[
            (say("meta.machine"), say("meta.machine_is")),
            (say("meta.scales"), ", ".join(num.number(float(v)) for v in found.times[0].scale)),
            (say("meta.seed"), str(found.seed)),
        ],
    )


def times_table(found: SamplingStudy) -> Table:
    """A row for each kernel."""
    rows: list[list[Text]] = [
        [
            one.kernel,
            *(num.number(float(v)) for v in one.time),
            num.number(float(one.violation[-1])),
        ]
        for one in found.times
    ]
    scales = [say("head.scale", scale=float(v)) for v in found.times[0].scale]
    head: list[Text] = [say("head.kernel"), *scales, say("head.violation")]
    numeric = tuple(range(1, len(head)))
    return Table(say("table.times"), head, rows, numeric, 560, say("table.times_note"))


def bias_table(found: SamplingStudy) -> Table:
    """A row for each kernel, a column for each k."""
    rows: list[list[Text]] = [
        [one.kernel, *(num.number(float(v)) for v in one.bias)] for one in found.bias
    ]
    steps = [f"k {int(k)}" for k in found.bias[0].steps]
    head: list[Text] = [say("head.kernel"), *steps]
    note = say("table.bias_note", gradient=found.gradient)
    return Table(say("table.bias"), head, rows, tuple(range(1, len(head))), 560, note)


def annealing_table(found: SamplingStudy) -> Table:
    """A row for each number of temperatures."""
    a = found.annealed
    rows: list[list[Text]] = [
        [num.whole(row["temperatures"]), num.pair(row["value"], row["standard_error"], "s.e."),
         num.number(row["effective"])]
        for row in a.rows()
    ]  # fmt: skip
    head: list[Text] = [say("head.temperatures"), say("head.value"), say("head.effective")]
    note = say("table.annealing_note", exact=a.exact, runs=a.runs)
    return Table(say("table.annealing"), head, rows, (0, 1, 2), 420, note)
