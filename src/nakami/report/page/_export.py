"""Charts outside the page: checked against the schema, and with plain colours for documents."""

from __future__ import annotations

import json
import re

import altair

from nakami.results import unknown

from ..charts._chart import CONFIG, Chart, Spec
from ._palette import BASE, variables

LEGEND = {
    "title": None,
    "symbolType": "stroke",
    "symbolOpacity": 1,
    "symbolStrokeWidth": 2,
    "labelFontSize": 12.5,
    "labelColor": "var(--ink-2)",
}


def check(charts: list[Chart]) -> None:
    """Check every specification against Vega-Lite's schema (altair raises if one is wrong)."""
    for chart in charts:
        altair.LayerChart.from_dict(_bare(chart))


def static(charts: list[Chart], theme: str, n_stages: int) -> dict[str, altair.LayerChart]:
    """Altair charts with the colours of one theme."""
    if theme not in BASE:
        raise unknown("theme", theme, BASE)
    colours = variables(n_stages)[theme]
    check(charts)  # with one row of data: all rows would only be slower
    return {
        c.name: altair.LayerChart.from_dict(_painted(c, colours), validate=False) for c in charts
    }


def _bare(chart: Chart) -> dict[str, object]:
    spec = chart.drawn()
    names = {"names": [], **spec["datasets"]} if chart.curves else spec["datasets"]
    return {**spec, "datasets": {name: rows[:1] for name, rows in names.items()}}


def _painted(chart: Chart, colours: dict[str, str]) -> dict[str, object]:
    spec = chart.drawn()
    if chart.curves:
        _for_paper(spec)
    spec |= {"width": 640, "autosize": {"type": "pad"}, "config": CONFIG}
    text = json.dumps(spec)
    painted = re.sub(r"var\(--([a-z0-9-]+)\)", lambda m: colours[m[1]], text)
    out: dict[str, object] = json.loads(painted)
    out["background"] = colours["paper"]
    return out


def _for_paper(spec: Spec) -> None:
    """A legend in place of the read-out and of the names that the page's script places."""
    spec["layer"] = [layer for layer in spec["layer"] if not _moves(layer)]
    spec.pop("params")
    for layer in spec["layer"]:
        if "color" in layer["encoding"]:
            layer["encoding"]["color"]["legend"] = LEGEND


def _moves(layer: Spec) -> bool:
    follows = any("idx" in str(step.get("filter", "")) for step in layer.get("transform", []))
    return follows or layer["data"].get("name") == "names"
