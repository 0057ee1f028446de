"""Losses by blur, what is nearest, and barycenters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...charts import _marks as kit
from ...charts._chart import Chart, chart, columns
from ...charts._curves import Curve, Scale, curves
from ...page._sections import Figure, Section, section, side_by_side
from ...words import _numbers as num
from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.transport._study import BarycenterRow, TransportStudy

say = Sentences(__file__)
PICTURE = 220  # longer side in pixels; the page shows three beside each other from 3 x 220 on


def losses_section(found: TransportStudy) -> Section:
    """Divergences and the entropic cost by blur."""
    c = found.losses
    figure = Figure(say("losses.title"), say("losses.caption", exact=c.exact),
                    [divergences_chart(found), cost_chart(found)], layout="duo")  # fmt: skip
    text = say("losses.text", own=float(c.own[-1]), reg=float(c.reg[-1]))
    return section(say, "losses", say("losses.heading"), text, [figure])


def blur_section(found: TransportStudy) -> Section:
    """Where the entropic cost is least."""
    lines = [
        Curve(say("axis.p"), found.x, found.p),
        Curve(say("axis.blurred"), found.x, found.blurred),
    ]
    away = float(np.abs(found.p - found.blurred).sum())
    text = say("blur.alt", reg=found.reg, away=away)
    made = curves("blur", lines, Scale("x"), Scale(say("axis.mass"), ends=(0.0,)), text, apart=True)
    figure = Figure(say("blur.title"), say("blur.caption", reg=found.reg), [made])
    heading = say("blur.heading", away=away)
    return section(say, "blur", heading, say("blur.text", reg=found.reg), [figure])


def between_section(found: TransportStudy) -> Section:
    """Barycenters of the two histograms."""
    rows = [row for row in found.barycenters if row.of == "histograms"]
    lines = [Curve("", found.x, found.between, dashed=True)]  # which the caption names
    lines += [Curve(say(f"kind.{row.kind}"), found.x, row.mass) for row in rows]
    best = min(rows, key=lambda row: row.distance)
    listed = _listed(rows)
    made = curves("between", lines, Scale("x"), Scale(say("axis.mass"), ends=(0.0,)),
                  say("between.alt", rows=listed), height=340, apart=True)  # fmt: skip
    figure = Figure(say("between.title"), say("between.caption", reg=found.reg), [made])
    heading = say("between.heading", kind=say(f"kind.{best.kind}"))
    return section(say, "between", heading, say("between.text", rows=listed), [figure])


def pictures_section(found: TransportStudy) -> Section:
    """Barycenters of the two pictures."""
    rows = [row for row in found.barycenters if row.of == "pictures"]
    given = zip(found.shapes, found.pictures, strict=True)
    inputs = [picture_chart(f"input{i}", name, mass) for i, (name, mass) in enumerate(given)]
    results = [picture_chart(row.kind, say(f"kind.{row.kind}"), row.mass) for row in rows]
    figures = [
        Figure(say("pictures.inputs"), say("pictures.inputs_caption"), inputs, layout="trio"),
        Figure(say("pictures.title"), say("pictures.caption", reg=found.reg), results,
               layout=side_by_side(results)),
    ]  # fmt: skip
    facts: dict[str, Any] = {row.kind: row.entropy for row in rows}
    facts["inputs"] = rows[0].input_entropy
    text = say("pictures.text", **facts)
    return section(say, "pictures", say("pictures.heading", **facts), text, figures)


def divergences_chart(found: TransportStudy) -> Chart:
    """Both divergences beside the exact cost."""
    c = found.losses
    lines = [
        Curve(say("axis.lambda"), c.reg, c.lambda_divergence, marks=True),
        Curve(say("axis.sinkhorn"), c.reg, c.sinkhorn_divergence, marks=True),
    ]
    text = say("losses.alt", exact=c.exact, first=float(c.lambda_divergence[0]),
               last=float(c.lambda_divergence[-1]))  # fmt: skip
    x, y = Scale("reg", log=True), Scale(say("axis.loss"), ends=(0.0,))
    return curves("divergences", lines, x, y, text, title=say("losses.divergences"), level=c.exact)


def cost_chart(found: TransportStudy) -> Chart:
    """The entropic cost of the pair, and of p with itself."""
    c = found.losses
    lines = [
        Curve("C(p, q)", c.reg, c.entropic, marks=True),
        Curve("C(p, p)", c.reg, c.own, marks=True),
    ]
    text = say("losses.alt_cost", last=float(c.entropic[-1]), reg=float(c.reg[-1]))
    return curves("cost", lines, Scale("reg", log=True), Scale(say("axis.loss")), text,
                  title=say("losses.cost"), level=0.0)  # fmt: skip


def picture_chart(name: str, title: str, mass: np.ndarray) -> Chart:
    """Masses as dark as they are large, each picture on its own scale."""
    rows, width = mass.shape
    y, x = np.mgrid[0:rows, 0:width]
    data = columns(x=x.ravel(), y=y.ravel(), x2=x.ravel() + 1, y2=y.ravel() + 1,
                   v=np.round(mass.ravel() / mass.max(), 3))  # fmt: skip
    hidden = {"type": "quantitative", "axis": None}
    at = {
        "x": {"field": "x", "scale": {"domain": [0, width], "nice": False}, **hidden},
        "y": {"field": "y", "scale": {"domain": [rows, 0], "nice": False}, **hidden},
        "x2": {"field": "x2"}, "y2": {"field": "y2"},
        "opacity": {"field": "v", "type": "quantitative", "legend": None,
                    "scale": {"domain": [0, 1], "range": [0, 1]}},
    }  # fmt: skip
    layers = [
        kit.layer("cells", at, "rect", color="var(--ink)", stroke="var(--ink)", strokeWidth=0.4)
    ]
    text = say("pictures.alt", name=title, width=width, height=rows)
    size = PICTURE / max(rows, width)
    made = chart(name, layers, {"cells": data}, text, height=round(size * rows), title=title)
    spec = {**made.spec, "width": round(size * width), "padding": 0, "autosize": "pad"}
    return replace(made, spec=spec)  # so that pixels are square at every width of the page


def _listed(rows: list[BarycenterRow]) -> str:
    return ", ".join(f"{say(f'kind.{row.kind}')} {num.number(row.distance)}" for row in rows)
