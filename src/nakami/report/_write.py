"""Write the page: one HTML file that asks for nothing."""

from __future__ import annotations

import base64
import functools
import importlib
import json
import os
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nakami.results import Comparison, UsageError, Xray, wrong

if TYPE_CHECKING:
    import altair

    from ._charts import Chart
    from ._sections import Section

ASSETS = Path(__file__).parent / "assets"
NEEDED = ("jinja2", "altair", "vl_convert", "PIL")


def write(what: Xray | Comparison, path: str | PathLike[str]) -> Path:
    """Write an x-ray, or two compared ones, as one self-contained HTML page.

    The page holds its charts, pictures, fonts and scripts, and its content policy lets no request
    leave it. The same result gives the same bytes.

    Args:
        what: One network (``Xray``) or two over the same inputs (``Comparison``).
        path: The file to write; an older one is replaced, missing folders are made.

    Returns:
        The path written.

    Raises:
        UsageError: The extra ``report`` is not installed, a number is not finite, no spectrum from
            the input is there, or ``path`` cannot be written.
    """
    _require()
    page = _page(what)
    target = Path(path)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True) if part.parent.is_dir() else None
        why = f"{path} ({error.strerror})"
        raise wrong("path", "be a file that can be written", why, "choose another") from error
    return target


def figures(what: Xray | Comparison, theme: str = "light") -> dict[str, altair.LayerChart]:
    """The charts of the page as altair charts, with plain colours, for documents.

    Args:
        what: As for ``write``.
        theme: ``"light"`` or ``"dark"``.

    Returns:
        Charts by name, 640 px wide: ``spectra``, ``count``, ``rank``, and where there are any
        ``pair0``, ..., ``change``, ``own``. ``chart.save("name.svg")`` draws one.

    Raises:
        UsageError: As ``write``; or ``theme`` is unknown.
    """
    _require()
    from ._reading import read
    from ._static import static

    reading = read(what)
    return static([c for s in _sections(reading) for f in s.figures for c in f.charts], theme,
                  len(reading.stages))  # fmt: skip


def _require() -> None:
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


def _page(what: Xray | Comparison) -> str:
    import jinja2

    from . import _numbers as num
    from ._how import how_table
    from ._reading import read
    from ._tables import figures_tables, words
    from ._theme import filters, variables
    from ._verdict import verdict

    reading = read(what)
    sections = list(_sections(reading))
    charts = [c for s in sections for f in s.figures for c in f.charts]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=num.kept_together,
    )  # fmt: skip
    environment.filters["unbroken"] = num.unbroken
    settings = reading.main.run.settings
    n_curves = max(len(reading.stages), *(len(n.own) for n in reading.networks))
    return environment.get_template("page.html").render(
        reading=reading, verdict=verdict(reading), sections=sections, num=num,
        tables=figures_tables(reading), how=how_table(reading), words=words(reading),
        themes=variables(n_curves), filters=filters(), fonts=_fonts(),
        data=_script_json(_payload(charts)), bundle=bundle(),
        style=(ASSETS / "page.css").read_text(), script=(ASSETS / "page.js").read_text(),
        version=(settings.get("versions") or {}).get("nakami", ""),
        created=num.date(str(settings.get("created", ""))),
        thinned=any(c.data.get("src") and max(c.data["src"]["i"]) > 120 for c in charts),
    )  # fmt: skip


def _sections(reading: Any) -> Iterator[Section]:
    from ._compared import compared_section
    from ._gallery import pictures_section
    from ._kept import kept_section
    from ._positions import positions_section
    from ._spectra import own_section, spectra_section

    makers = (
        *(spectra_section, kept_section, compared_section),
        *(pictures_section, positions_section, own_section),
    )
    for make in makers:
        section = make(reading)
        if section is not None:
            yield section


def _payload(charts: list[Chart]) -> dict[str, Any]:
    from ._charts import CONFIG
    from ._static import check

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
