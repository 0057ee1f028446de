"""Charts outside the page, for documents: plain colours, a legend in place of the read-out."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, final

from nakami.results import unknown, wrong

from ..charts._chart import CONFIG, Chart, Spec
from ._palette import BASE, variables

LEGEND = {
    "title": None, "symbolType": "stroke", "symbolOpacity": 1, "symbolStrokeWidth": 2,
    "labelFontSize": 12.5, "labelColor": "var(--ink-2)",
}  # fmt: skip


@final
@dataclass(frozen=True)
class Drawing:
    """One chart as a complete Vega-Lite specification, data included.

    Attributes:
        spec: For any tool of Vega-Lite: ``altair.Chart.from_dict(drawing.spec)``.
    """

    spec: Spec

    def save(self, path: str | PathLike[str]) -> Path:
        """Draw the chart to a file that ends in ``.svg``, ``.png`` or ``.json``."""
        import vl_convert

        target = Path(path)
        if target.suffix == ".png":
            target.write_bytes(vl_convert.vegalite_to_png(self.spec, scale=2))
        elif target.suffix == ".svg":
            target.write_text(vl_convert.vegalite_to_svg(self.spec), encoding="utf-8")
        elif target.suffix == ".json":
            target.write_text(json.dumps(self.spec, ensure_ascii=False), encoding="utf-8")
        else:
            raise wrong("path", "end in .svg, .png or .json", str(path), "pass 'chart.svg'")
        return target

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """How a notebook shows the chart."""
        import vl_convert

        return {"image/svg+xml": vl_convert.vegalite_to_svg(self.spec)}


def drawings(charts: list[Chart], theme: str, n_curves: int) -> dict[str, Drawing]:
    """The charts by name, with the colours of one theme.

    Raises:
        UsageError: ``theme`` is unknown.
    """
    if theme not in BASE:
        raise unknown("theme", theme, BASE)
    colours = variables(n_curves)[theme]
    return {c.name: Drawing(_painted(c, colours)) for c in charts}


def _painted(chart: Chart, colours: dict[str, str]) -> Spec:
    spec = deepcopy(chart.complete())
    if chart.curves:
        _for_paper(spec)
    if spec["width"] == "container":
        spec["width"] = 640
    spec |= {"autosize": {"type": "pad"}, "config": CONFIG}
    painted = re.sub(r"var\(--([a-z0-9-]+)\)", lambda m: colours[m[1]], json.dumps(spec))
    out: Spec = json.loads(painted)
    return {**out, "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "background": colours["paper"]}  # fmt: skip


def _for_paper(spec: Spec) -> None:
    """A legend in place of the read-out and of the names that the page's script places."""
    spec["layer"] = [layer for layer in spec["layer"] if "name" not in layer]
    spec.pop("params")
    for layer in spec["layer"]:
        if "color" in layer["encoding"]:
            layer["encoding"]["color"]["legend"] = LEGEND
