"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...page._study import study_frame
from ...words import _numbers as num
from ._sections import say

if TYPE_CHECKING:
    from nakami.transport._study import BarycenterRow, TransportStudy


def frame(found: TransportStudy, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    name = say("page.name", reg=found.reg)
    tables = [losses_table(found), barycenters_table(found)]
    how = ("cost", "entropic", "lambda", "debiased")
    return study_frame(say, name, _verdict(found, name), tables, how)


def _verdict(found: TransportStudy, name: str) -> Verdict:
    rows = {row.kind: row for row in found.barycenters if row.of == "histograms"}
    away = float(np.abs(found.p - found.blurred).sum())
    figures = [KeyFigure(num.number(away), "", say("figure.blur"))]
    figures += [
        KeyFigure(num.number(rows[kind].distance), "", say(f"figure.{kind}"))
        for kind in ("entropic", "debiased", "lambda")
    ]
    return Verdict(
        kicker=name,
        headline=say("verdict.headline", away=away),
        standfirst=[say("verdict.mended")],
        figures=figures,
        meta=[
            (say("meta.cost"), say("meta.cost_is")),
            (say("meta.reg"), num.number(found.reg)),
            (say("meta.pictures"), ", ".join(found.shapes)),
        ],
    )


def losses_table(found: TransportStudy) -> Table:
    """A row for each blur."""
    names = ("reg", "entropic", "lambda_divergence", "sinkhorn_divergence", "own", "marginal_error")
    rows: list[list[Text]] = [
        [*(num.number(row[name]) for name in names), num.whole(row["steps"])]
        for row in found.losses.rows()
    ]
    head: list[Text] = [say(f"head.{name}") for name in (*names, "steps")]
    note = say("table.losses_note", exact=found.losses.exact)
    return Table(say("table.losses"), head, rows, tuple(range(7)), 640, note)


def barycenters_table(found: TransportStudy) -> Table:
    """A row for each barycenter."""
    rows: list[list[Text]] = [
        [
            say(f"table.of_{row.of}"), say(f"kind.{row.kind}"), num.number(row.entropy),
            num.number(row.input_entropy),
            num.number(row.distance) if np.isfinite(row.distance) else "",
            num.number(row.residual), num.whole(row.steps),
            say(_ended(row)),
        ]
        for row in found.barycenters
    ]  # fmt: skip
    names = ("of", "kind", "entropy", "inputs", "distance", "residual", "steps", "converged")
    head: list[Text] = [say(f"head.{name}") for name in names]
    return Table(say("table.barycenters"), head, rows, (2, 3, 4, 5, 6), 640,
                 say("table.barycenters_note"))  # fmt: skip


def _ended(row: BarycenterRow) -> str:
    if row.converged:
        return "table.yes"
    return "table.no_reg" if row.reason.startswith("reg") else "table.no"
