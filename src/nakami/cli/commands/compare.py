"""``nakami compare``: two runs of one kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nakami import results

from .._command import Command
from .._groups import PageOptions


def run(
    before: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    after: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of another of its kind.")],
    output: PageOptions,
) -> None:
    """Compare two runs: x-rays input by input, others number by number."""
    from .. import _runs, _tables

    result = results.compare(before, after)
    if isinstance(result, results.NumberChanges):
        _runs.refuse_page(output.out, result.before.kind)
        page, tables = None, _tables.numbers_tables(result)
        body = {
            key: [dict(zip(("name", "before", "after"), row, strict=True)) for row in rows]
            for key, rows in (("changes", result.numbers), ("settings", result.settings))
        }
    else:
        page, tables = _runs.page(result, output.out), [_tables.comparison_table(result)]
        body = {"changes": [results.plain(vars(c)) for c in result.changes]}
    _tables.tell(output, page, body, tables)


ENTRY = Command(run)
