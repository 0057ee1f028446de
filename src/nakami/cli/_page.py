"""The page, where the extra that draws it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nakami.results import wrong

from . import _options

if TYPE_CHECKING:
    from nakami.results import Xray

DRAWN_BY = ("jinja2", "vl_convert", "PIL")


def possible() -> bool:
    """Whether the extra ``report`` is there; says so on standard error where it is not."""
    missing = [name for name in DRAWN_BY if find_spec(name) is None]
    if missing:
        typer.echo(
            f"note: no page will be written, {', '.join(missing)} is missing; "
            "pip install 'nakami[report]' and the same command adds it.",
            err=True,
        )
    return not missing


def maybe(what: Any, path: Path | None, about: dict[str, Any] | None = None) -> Path | None:
    """The page of a result at ``path``, if one is asked for and possible."""
    if path is None or not possible():
        return None
    from nakami import report

    _options.writable("out", path.parent)
    return report.write(what, path, about)


def refuse(out: Path | None, kind: str) -> None:
    """Refuse to draw a page from a run whose page is written when it is made."""
    if out is not None:
        way_out = "open report.html in the run's folder"
        raise wrong("--out", "come with an x-ray", f"a run of kind {kind}", way_out)


def write_runs(runs: tuple[Xray, ...], path: Path) -> Path:
    """One run, or two as a comparison, as one self-contained page."""
    from nakami import report, results

    return report.write(results.compare(*runs) if len(runs) == 2 else runs[0], path)
