"""The page, where the extra that draws it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from . import _options

if TYPE_CHECKING:
    from nakami.results import Comparison, Xray

DRAWN_BY = ("jinja2", "vl_convert", "PIL")


def page_possible() -> bool:
    """Whether the extra ``report`` is there; says so on standard error where it is not."""
    missing = [name for name in DRAWN_BY if find_spec(name) is None]
    if missing:
        typer.echo(
            f"note: no page will be written, {', '.join(missing)} is missing; "
            "pip install 'nakami[report]' and the same command adds it.",
            err=True,
        )
    return not missing


def write_page(runs: tuple[Xray, ...], path: Path) -> Path:
    """One run, or two as a comparison, as one self-contained page."""
    from nakami import results

    what = results.compare(*runs) if len(runs) == 2 else runs[0]
    return write(what, path)


def write(what: Xray | Comparison, path: Path) -> Path:
    """The page of a result at ``path``."""
    from nakami import report

    _options.writable("--out", path.parent)
    return report.write(what, path)
