"""Charts outside the page, for documents: plain colours, a legend in place of the read-out."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, final

from nakami.results import as_path, unknown, write_whole, wrong

from ..charts._chart import CONFIG, Chart, Spec
from ._palette import BASE, variables

SCHEMA = "https://vega.github.io/schema/vega-lite/v{}.json"
NOTEBOOK = "application/vnd.vegalite.v5+json"  # what notebooks draw; charts keep to both versions
LEGEND = {
    "title": None, "symbolType": "stroke", "symbolOpacity": 1, "symbolStrokeWidth": 2,
    "labelFontSize": 12.5, "labelColor": "var(--ink-2)",
}  # fmt: skip


@final
@dataclass(frozen=True, repr=False)
class Drawing:
    """One chart as a complete Vega-Lite specification, data included.

    Attributes:
        spec: For any tool of Vega-Lite: ``altair.Chart.from_dict(drawing.spec)``.
        name: Of the chart.
    """

    spec: Spec
    name: str = ""

    def __repr__(self) -> str:
        return f"Drawing({self.name!r}: {self.spec.get('description', '')})"

    def save(self, path: str | PathLike[str]) -> Path:
        """Draw the chart to a file that ends in ``.svg``, ``.png``, ``.html`` or ``.json``.

        Missing folders are made, as wherever a file is written; an older file is replaced. The
        ``.html`` holds all that it needs and works without a network; ``.json`` is ``spec``.
        """
        import vl_convert

        target = as_path("path", path)
        made: dict[str, Callable[[], str | bytes]] = {
            ".svg": lambda: vl_convert.vegalite_to_svg(self.spec),
            ".png": lambda: vl_convert.vegalite_to_png(self.spec, scale=2),
            ".html": lambda: vl_convert.vegalite_to_html(self.spec, bundle=True),
            ".json": lambda: json.dumps(self.spec, ensure_ascii=False),
        }
        if target.suffix not in made:
            rule = "end in .svg, .png, .html or .json"
            raise wrong("path", rule, str(path), "pass 'chart.svg'")
        return write_whole(target, made[target.suffix](), "path")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """How a notebook shows the chart: drawn there, or the picture where it cannot."""
        import vl_convert

        picture = base64.b64encode(vl_convert.vegalite_to_png(self.spec, scale=2)).decode()
        return {
            NOTEBOOK: {**self.spec, "$schema": SCHEMA.format(5)},
            "image/svg+xml": vl_convert.vegalite_to_svg(self.spec),
            "image/png": picture,
            "text/plain": repr(self),
        }


def drawings(charts: list[Chart], theme: str, n_curves: int) -> dict[str, Drawing]:
    """The charts by name, with the colours of one theme.

    Raises:
        UsageError: ``theme`` is unknown.
    """
    if theme not in BASE:
        raise unknown("theme", theme, BASE)
    colours = variables(n_curves)[theme]
    return {c.name: Drawing(_painted(c, colours), c.name) for c in charts}


def _painted(chart: Chart, colours: dict[str, str]) -> Spec:
    spec = deepcopy(chart.complete())
    if chart.curves:
        _for_paper(spec)
    if spec["width"] == "container":
        spec["width"] = 640
    spec |= {"autosize": {"type": "pad"}, "config": CONFIG}
    painted = re.sub(r"var\(--([a-z0-9-]+)\)", lambda m: colours[m[1]], json.dumps(spec))
    out: Spec = json.loads(painted)
    return {**out, "$schema": SCHEMA.format(6), "background": colours["paper"]}


def _for_paper(spec: Spec) -> None:
    """A legend in place of the read-out and of the names that the page's script places."""
    spec["layer"] = [layer for layer in spec["layer"] if "name" not in layer]
    spec.pop("params")
    for layer in spec["layer"]:
        if "color" in layer["encoding"]:
            layer["encoding"]["color"]["legend"] = LEGEND
