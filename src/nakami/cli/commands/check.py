"""``nakami data check``: all rows of a schema read, split and counted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .._command import DATA, Command
from .._groups import JsonOptions

SHOWN = 5  # rows that are named


def run(
    schema: Annotated[Path, typer.Argument(metavar="SCHEMA", help="A schema, .toml.")],
    *,
    output: JsonOptions,
) -> None:
    """Read all rows of a schema: how many are wrong and why, and what lies in both parts.

    Inputs are turned into numbers as training would, and nothing is held or written.
    """
    from nakami.data import schema as reading

    from .. import _tables

    made, report, examples = reading.survey(reading.read_schema(schema))
    rows = [
        ("rows", f"{report.rows:,}"),
        ("wrong, left out", f"{len(report.wrong):,}"),
        ("to train on", f"{report.train:,}"),
        *_tested(made, report),
        ("inputs", examples),
        ("target", _target(made)),
        ("tested on, with inputs of a row to train on", f"{len(report.copies):,}"),
        ("inputs as in an earlier row", f"{report.repeated:,}"),
        ("of these with another target", f"{report.contradictory:,}"),
    ]
    group = made.schema.split.grouped
    where = {"train": "to train on", "test": "to test on", "both": "in both parts"}
    rows += [(f"groups ({group}) {where[part]}", f"{n:,}") for part, n in report.groups.items()]
    rows += [(what, f"{n:,}") for what, n in report.reduced.items()]
    table = _tables.TextTable(f"Rows of {made.schema.path.name}", "", ("", "found"), tuple(rows))
    named = [f"wrong: {row}" for row in report.wrong[:SHOWN]]
    named += [f"in both parts: {name}" for name in report.copies[:SHOWN]]
    named += [f"group in both parts: {name}" for name in report.torn[:SHOWN]]
    body = {**asdict(report), "inputs": examples, "classes": [*made.classes]}
    _tables.tell(output, None, body, [table.drawn()], named)


def _tested(made, report) -> list[tuple[str, str]]:  # type: ignore[no-untyped-def]
    if not made.schema.split.choose:
        return [("to test on", f"{report.test:,}")]
    left = ("to test on, left aside", f"{report.aside:,}")
    return [("to choose settings by", f"{report.test:,}"), left]


def _target(made) -> str:  # type: ignore[no-untyped-def]  # a Preparation, imported in run
    if made.target is None:
        return "none"
    if made.classes:
        shown = ", ".join(made.classes[:SHOWN]) + (", ..." if len(made.classes) > SHOWN else "")
        return f"{made.target.name}: {len(made.classes)} classes ({shown})"
    return f"{made.target.name}: numbers"


ENTRY = Command(run, group=DATA)
