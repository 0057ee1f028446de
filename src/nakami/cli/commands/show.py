"""``nakami show``: the numbers of a run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nakami import results

from .._command import Command
from .._groups import PageOptions

if TYPE_CHECKING:
    from nakami.results import Xray


def run(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    output: PageOptions,
) -> None:
    """Print the numbers of a run again, finished or not."""
    from .. import _runs, _tables

    found = results.load(folder)
    if isinstance(found, results.Record):
        _runs.refuse_page(output.out, found.kind)
        _runs.tell(found, None, output.as_json)
        return
    page = _runs.page(found, output.out)
    body = {"runs": [finished(found)]} if output.as_json else {}
    _tables.tell(output, page, body, [_tables.xray_table(found)])


def finished(run: Xray) -> dict[str, Any]:
    """What ``result.json`` of a finished run holds, and where it lies."""
    path = Path(run.folder or "") / "result.json"
    if not path.exists():
        raise results.UsageError(
            f"run must be finished for --json, got an unfinished one in {run.folder}; start the "
            "command that made it again."
        )
    return {"folder": str(run.folder), **json.loads(path.read_text(encoding="utf-8"))}


ENTRY = Command(run)
