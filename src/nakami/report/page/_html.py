"""One self-contained HTML file from a page."""

from __future__ import annotations

import base64
import functools
import importlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from nakami.results import UsageError

from ..charts._chart import CONFIG, Chart
from ..words import _numbers as num
from ._palette import filters, variables
from ._sections import Page

if TYPE_CHECKING:
    import jinja2

ASSETS = Path(__file__).parent / "assets"
NEEDED = ("jinja2", "vl_convert", "PIL")
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", f"{num.MINUS}0123456789")


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


def render(page: Page) -> str:
    """The page as HTML."""
    return _template().render(
        page=page, frame=page.frame, num=num, created=num.date(page.frame.created),
        themes=variables(page.frame.n_curves), filters=filters(), fonts=_fonts(),
        data=_script_json(_payload(page.charts)), bundle=bundle(),
        style=(ASSETS / "page.css").read_text(), script=(ASSETS / "page.js").read_text(),
    )  # fmt: skip


@functools.cache
def _template() -> jinja2.Template:
    """The page's own, compiled once a process."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=shown,
    )  # fmt: skip
    environment.filters["unbroken"] = unbroken
    return environment.get_template("page.html")


def shown(x: object) -> object:
    """What a template shows: texts are made rich, markup stays."""
    return rich(x) if isinstance(x, str) and not isinstance(x, Markup) else x


def rich(text: str) -> Markup:
    """Escaped text: exponents of powers of ten are raised, and no line ends beside ±."""
    near = str(escape(text)).replace(" ±", f"{num.NBSP}±").replace("± ", f"±{num.NBSP}")
    return Markup(re.sub("(?<=10)[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", _raise, near))


def unbroken(text: str) -> Markup:
    """Rich text whose short words with a hyphen stay on one line."""
    words = [
        Markup('<span class="nb">{}</span>').format(w) if "-" in w and len(w) < 24 else rich(w)
        for w in text.split(" ")
    ]
    return Markup(" ").join(words)


def _raise(found: re.Match[str]) -> str:
    return f"<sup>{found[0].translate(RAISED)}</sup>"


def _payload(charts: list[Chart]) -> dict[str, Any]:
    kept = ("spec", "data", "modes", "state", "group", "curves", "text")
    drawn = {c.name: {key: getattr(c, key) for key in kept} for c in charts}
    return {"config": CONFIG, "charts": drawn}


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
