"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...page._study import study_frame
from ...words import _numbers as num
from ._sections import jumps, say

if TYPE_CHECKING:
    from nakami.theory.phase import PhaseStudy


def frame(found: PhaseStudy, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    name = say("page.name", kappa=found.kappa)
    tables = [transitions_table(found), *instances_tables(found)]
    how = ("model", "theory", "instances", "assumed")
    return study_frame(
        say, name, _verdict(found, name), tables, how, size=found.instances.dimension
    )


def _verdict(found: PhaseStudy, name: str) -> Verdict:
    first, d = next(iter(jumps(found)), found.transitions[0]), found.diagram
    figures = [KeyFigure(num.number(d.weak_recovery), "", say("figure.weak"))]
    if np.isfinite(d.better_from):
        figures.append(KeyFigure(num.number(d.better_from), "", say("figure.better")))
    if first.first_order:
        figures.append(
            KeyFigure(num.number(first.beta_ends), "", say("figure.jump", alpha=first.alpha))
        )
    if d.critical.exists:
        figures.append(KeyFigure(num.number(d.critical.alpha), "", say("figure.end")))
    case = "jumps" if first.first_order else "smooth"
    stands = [say("verdict.stands")]
    if len(found.instances.alpha):
        stands.append(say("verdict.points"))
    facts = {"kappa": found.kappa, "alpha": first.alpha, "beta": first.beta_ends}
    return Verdict(
        kicker=name,
        headline=say(f"verdict.{case}", **facts),
        standfirst=[say("verdict.model"), *stands],
        figures=figures,
        meta=[
            (say("meta.margin"), num.number(found.kappa)),
            (say("meta.labels"), ", ".join(map(num.number, found.alphas))),
            (say("meta.size"), num.whole(found.instances.dimension)),
        ],
    )


def transitions_table(found: PhaseStudy) -> Table:
    """Spinodals and transition for each number of labels."""
    rows: list[list[Text]] = [
        [num.number(one.alpha), *(_cell(v) for v in (
            one.beta_appears, one.beta_t, one.beta_ends, one.q_before, one.q_after))]
        for one in found.transitions
    ]  # fmt: skip
    names = ("alpha", "appears", "equal", "ends", "before", "after")
    head: list[Text] = [say(f"head.{each}") for each in names]
    numeric = tuple(range(len(head)))
    return Table(say("table.transitions"), head, rows, numeric, 560, say("table.transitions_note"))


def instances_tables(found: PhaseStudy) -> list[Table]:
    """Message passing beside theory."""
    if not len(found.instances.alpha):
        return []
    rows: list[list[Text]] = [
        [num.number(row["alpha"]), num.number(row["beta"]), num.number(row["pretrained"]),
         num.number(row["error"]) if row["alpha"] else "", num.number(row["expected"]),
         num.whole(row["steps"]), str(row["unsettled"]) or say("table.none")]
        for row in found.instances.rows()
    ]  # fmt: skip
    names = ("alpha", "beta", "pretrained", "error", "expected", "steps", "unsettled")
    head: list[Text] = [say(f"head.{each}") for each in names]
    note = say("table.instances_note", size=found.instances.dimension, seed=found.seed)
    return [Table(say("table.instances"), head, rows, (0, 1, 2, 3, 4, 5), 640, note)]


def _cell(value: float) -> str:
    return num.number(float(value)) if np.isfinite(value) else ""
