"""One self-contained HTML file from sections, tables and words."""

from __future__ import annotations

import base64
import functools
import importlib
import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nakami.results import UsageError, write_whole

if TYPE_CHECKING:
    from ..charts._chart import Chart
    from ..xray._verdict import Verdict
    from ._sections import Section, Table, Text

ASSETS = Path(__file__).parent / "assets"
NEEDED = ("jinja2", "altair", "vl_convert", "PIL")


@dataclass(frozen=True)
class Page:
    """What stands on a page.

    Attributes:
        kind: In the bar: ``"X-ray report"``. title: Of the browser's window. name: Of the subject,
            above the contents.
        verdict: Above the first section. sections: In order.
        tables: All figures. how: How they were made. note: Below that.
        words: Words with their meaning.
        n_curves: Colours needed for curves.
        made: ``"Measured"`` or ``"Computed"``. version: Of nakami. created: ISO date.
    """

    kind: str
    title: str
    name: str
    verdict: Verdict
    sections: list[Section]
    tables: list[Table]
    how: Table
    note: Text
    words: list[tuple[str, Text]]
    n_curves: int
    made: str
    version: str
    created: str

    @property
    def charts(self) -> list[Chart]:
        """Every chart, in order."""
        return [c for s in self.sections for f in s.figures for c in f.charts]


def require() -> None:
    """Refuse where the extra that draws is not installed."""
    missing = []
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise UsageError(
            f"a report needs the extra 'report', got no {', '.join(missing)}; "
            'pip install "nakami[report]".'
        )


def render(page: Page, **more: Any) -> str:
    """The page as HTML; ``more`` is for figures that need it."""
    import jinja2

    from ..words import _numbers as num
    from ._palette import filters, variables

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=num.kept_together,
    )  # fmt: skip
    environment.filters["unbroken"] = num.unbroken
    return environment.get_template("page.html").render(
        page=page, num=num, created=num.date(page.created),
        themes=variables(page.n_curves), filters=filters(), fonts=_fonts(),
        data=_script_json(_payload(page.charts)), bundle=bundle(),
        style=(ASSETS / "page.css").read_text(), script=(ASSETS / "page.js").read_text(), **more,
    )  # fmt: skip


def save(text: str, path: str | PathLike[str]) -> Path:
    """Write the file whole or not at all; missing folders are made."""
    return write_whole(path, text, "path")


def _payload(charts: list[Chart]) -> dict[str, Any]:
    from ..charts._chart import CONFIG
    from ._export import check

    check(charts)
    return {
        "config": CONFIG,
        "charts": {
            c.name: {"spec": c.spec, "data": c.data, "modes": c.modes, "state": c.state,
                   "group": c.group, "curves": c.curves, "text": c.text}
            for c in charts
        },
    }  # fmt: skip


def _script_json(value: Any) -> str:
    """JSON that no text inside can end the script element with."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@functools.cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script (BSD-3-Clause), made once a process."""
    import vl_convert

    text: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@functools.cache
def _fonts() -> dict[str, str]:
    names = ("nakami-serif", "nakami-sans")
    return {n: base64.b64encode((ASSETS / f"{n}.woff2").read_bytes()).decode() for n in names}
