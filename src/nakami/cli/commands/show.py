"""``nakami show``: the numbers of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nakami import results

from .._command import Command
from .._groups import PageOptions


def run(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    output: PageOptions,
) -> None:
    """Print the numbers of a run again, finished or not."""
    from .. import _runs, _tables

    found = results.load(folder)
    if isinstance(found, results.Record):
        _runs.tell(found, _runs.page_again(found, output.out), output)
        return
    page = _runs.page(found, output.out)
    if isinstance(found, results.LensRun):
        from .. import _lens

        _lens.tell(found, page, output)
        return
    if isinstance(found, results.RecurrentXray):
        from .. import _recurrent

        _recurrent.tell(found, page, output)
        return
    if isinstance(found, results.XrayHistory):
        from .. import _film

        _film.tell(found, page, output)
        return
    body = {"runs": [_runs.finished(folder)]} if output.as_json else {}
    tables = _tables.run_tables(found)
    _tables.tell(output, page, body, tables, _runs.references(found))


ENTRY = Command(run)
