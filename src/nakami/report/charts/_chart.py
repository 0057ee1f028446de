"""A chart of the page: a Vega-Lite specification, its data, and what it shows in words.

Colours are CSS variables, so that the theme changes without drawing again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ._labels import Label, placed

Spec = dict[str, Any]
Columns = dict[str, list[Any]]
CONFIG: Spec = json.loads(Path(__file__).with_name("style.json").read_text("utf-8"))


@dataclass(frozen=True)
class Chart:
    """One chart of the page.

    Attributes:
        name: Unique. spec: Vega-Lite, as first drawn.
        data: Named columns. text: What the chart shows, with its numbers.
        title: Short heading above the chart.
        modes: For axis x and y, scale and axis of each mode that the page can switch to.
        state: The mode drawn first.
        group: Charts of one group share read-out and switches; None for a chart without read-out.
        curves: name, colour and text colour of each curve, and what its name adds where it is cut
            before the others end. The page places their names.
    """

    name: str
    spec: Spec
    data: dict[str, Columns]
    text: str
    title: str = ""
    modes: dict[str, dict[str, Spec]] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    group: str | None = None
    curves: list[dict[str, str]] = field(default_factory=list)

    def complete(self) -> Spec:
        """The specification with its data as rows, and its description."""
        rows = {
            name: [dict(zip(cols, row, strict=True)) for row in zip(*cols.values(), strict=True)]
            for name, cols in self.data.items()
        }
        return {**self.spec, "datasets": rows, "description": self.text}


def chart(
    name: str,
    drawn: Sequence[Spec | Label],
    data: dict[str, Columns],
    text: str,
    *,
    height: int = 260,
    padding: Spec | None = None,
    third: bool = False,
    **more: Any,
) -> Chart:
    """A chart as wide as its place; labels among the layers are placed by what is drawn.

    ``more`` are fields of ``Chart``, padding is by side in pixels; ``third``
    is for charts of which three may stand side by side.
    """
    layers = [layer for layer in drawn if not isinstance(layer, Label)]
    labels = [label for label in drawn if isinstance(label, Label)]
    if labels:
        right = (padding or {}).get("right", CONFIG["padding"]["right"])
        found = placed(labels, layers, data, height, right, third)
        keys = ("x", "y", "t", "c", "modes", "dx", "dy", "align")
        data = {**data, "labels": {key: [row[key] for row in found] for key in keys}}
        layers.append(label_layer(labels[0].axes))
    fit = {"type": "fit-x", "contains": "padding"}
    spec: Spec = {"width": "container", "height": height, "autosize": fit, "layer": layers}
    if padding is not None:
        spec["padding"] = {**CONFIG["padding"], **padding}
    return Chart(name, spec, data, text, **more)


def label_layer(axes: dict[str, Spec]) -> Spec:
    """The layer of texts that ``placed`` made; its rows hold a place and the way beside it."""
    at = {way: {**axes[way], "field": way} for way in ("x", "y")}
    text = {"field": "t", "type": "nominal"}
    encoding = {**at, "text": text, "color": {"field": "c", "type": "nominal", "scale": None}}
    aside = {key: {"expr": f"datum.{key}"} for key in ("dx", "dy", "align")}
    look = {"fontSize": 13, "fontWeight": 600, "baseline": "middle"}
    mark = {"type": "text", **look, **aside}
    return {"name": "labels", "data": {"name": "labels"}, "mark": mark, "encoding": encoding}


def columns(**values: Sequence[Any] | np.ndarray | str) -> Columns:
    """Columns of a chart: numbers with four digits, None for NaN; a text alone stands in each row.

    The first column says how many rows there are.
    """
    n = len(next(iter(values.values())))
    return {
        name: [_cell(v) for v in ([column] * n if isinstance(column, str) else column)]
        for name, column in values.items()
    }


def digits(x: float, n: int = 4) -> float | None:
    """Four significant digits, None for NaN."""
    return float(f"{x:.{n}g}") if np.isfinite(x) else None


def _cell(v: Any) -> Any:
    if isinstance(v, (int, np.integer)):
        return int(v)
    return digits(float(v)) if isinstance(v, (float, np.floating)) else v
