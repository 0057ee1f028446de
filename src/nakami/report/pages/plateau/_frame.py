"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...page._study import study_frame
from ...words import _numbers as num
from ._sections import say

if TYPE_CHECKING:
    from nakami.theory.plateau import PlateauStudy


def frame(found: PlateauStudy, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    name = say("page.name")
    tables = [lengths_table(found)]
    how = ("model", "equations", "length", "line")
    return study_frame(say, name, _verdict(found, name), tables, how)


def _verdict(found: PlateauStudy, name: str) -> Verdict:
    by = found.by_outputs
    figures = [
        KeyFigure(num.number(float(length)), "", say("figure.length", outputs=int(outputs)))
        for outputs, length in zip(by.outputs[:4], by.length, strict=False)
    ]
    facts = {"few": int(by.outputs[0]), "many": int(by.outputs[-1]),
             "first": float(by.length[0]), "last": float(by.length[-1])}  # fmt: skip
    return Verdict(
        kicker=name,
        headline=say(f"verdict.{by.trend}", **facts),
        standfirst=[say("verdict.model"), say("verdict.why")],
        figures=figures,
        meta=[
            (say("meta.rate"), num.number(found.rate)),
            (say("meta.starts"), num.whole(found.starts)),
            (say("meta.seed"), str(found.seed)),
        ],
    )


def lengths_table(found: PlateauStudy) -> Table:
    """A row for each number of outputs."""
    rows: list[list[Text]] = [
        [
            num.whole(row["outputs"]), *(num.number(row[c]) for c in ("length", "low", "high")),
            num.number(row["hit"]) if row["hit"] < float("inf") else say("table.never"),
            f"{row['reached']} / {found.starts}", num.number(row["doubt"]),
            f"{row['converged']} / {found.starts}",
        ]
        for row in found.by_outputs.rows()
    ]  # fmt: skip
    names = ("outputs", "length", "low", "high", "hit", "reached", "doubt", "converged")
    head: list[Text] = [say(f"head.{each}") for each in names]
    return Table(say("table.lengths"), head, rows, tuple(range(8)), 640, say("table.note"))
