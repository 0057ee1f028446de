"""Runs that are one result: kept with the tables that show it, and shown again from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

from nakami.results import Record, RecordFolder, UsageError, plain

from . import _tables

SHOWN = ("tables", "lines")  # for people; not printed as JSON


def keep(
    folder: Path,
    kind: str,
    settings: Mapping[str, Any],
    result: Mapping[str, Any],
    tables: Iterable[_tables.TextTable],
    lines: Iterable[str] = (),
) -> Record:
    """Write a run over what the folder held.

    Args:
        folder: Where.
        kind: Of the record.
        settings: All that decides the numbers.
        result: The numbers.
        tables: That show it.
        lines: Sentences below them.
    """
    shown = {"tables": [vars(table) for table in tables], "lines": list(lines)}
    run = RecordFolder(folder, kind, plain(settings), fresh=True)
    return run.finish(plain({**result, **shown}))


def tell(record: Record, page: Path | None, as_json: bool) -> None:
    """Print a run: its tables and sentences, or JSON."""
    if not record.result:
        raise UsageError(
            f"run must be finished, got an unfinished one in {record.folder}; start the command "
            "that made it again."
        )
    if as_json:
        body = {k: v for k, v in record.result.items() if k not in (*SHOWN, "settings")}
        where = {"page": str(page) if page else None, "folder": str(record.folder)}
        _tables.echo_json({**where, **record.settings, **body})
        return
    for table in record.result["tables"]:
        _tables.show(_tables.TextTable(**table))
    for line in (*record.result["lines"], *([f"Page: {page}"] if page else [])):
        typer.echo(line)
