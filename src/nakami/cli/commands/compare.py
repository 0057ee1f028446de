"""``nakami compare``: two runs of one kind."""

from __future__ import annotations

from collections.abc import Iterator
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
    from .. import _comparison_tables, _runs, _tables

    result = results.compare(before, after)
    if isinstance(result, results.NumberChanges):
        _runs.refuse_page(output.out, result.before.kind)
        page, tables = None, _comparison_tables.numbers_tables(result)
        body = {
            key: [dict(zip(("name", "before", "after"), row, strict=True)) for row in rows]
            for key, rows in (("changes", result.numbers), ("settings", result.settings))
        }
    else:
        page, tables = _runs.page(result, output.out), [_comparison_tables.comparison_table(result)]
        body = {key: results.plain(value) for key, value in _paired(result)}
    _tables.tell(output, page, body, tables)


def _paired(result: results.Comparison) -> Iterator[tuple[str, object]]:
    """What ``--json`` prints of a comparison by input; of two trainings with the step."""
    yield "names", result.names
    if result.step is not None:
        yield "step", result.step
        yield "last_steps", result.last_steps
    yield "changes", [vars(change) for change in result.changes]


ENTRY = Command(run)
