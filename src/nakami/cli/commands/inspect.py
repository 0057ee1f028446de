"""``nakami data inspect``: what is in a file or folder, as a schema to be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nakami.results import wrong

from .._command import DATA, Command
from .._groups import JsonOptions

NO_TARGET = (
    'note: no column is the target; write use = "target" below the one to be foreseen, and '
    'type = "category" where its values name classes.'
)


def run(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A table (.csv, .tsv, .jsonl, .parquet), lines of text (.txt), arrays (.npz, "
            ".npy, IDX), a folder of pictures or sounds, or a data set on disk of Hugging Face.",
        ),
    ],
    *,
    rows: Annotated[int, typer.Option(min=1, metavar="N", help="Rows to look at.")] = 1000,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the schema is written; default: NAME.toml."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a schema that is there.")
    ] = False,
    output: JsonOptions,
) -> None:
    """Look into a file or folder, and propose what each column is and how it becomes numbers.

    The schema is a small file to be looked at and changed. Then:

    nakami data check FILE

    nakami train NAME --data FILE
    """
    from nakami.data import schema

    from .. import _tables

    found = schema.inspect(path, rows)
    file = to or Path(f"{path.resolve().stem}.toml")
    if file.exists() and not force:
        way_out = "pass --force to write over it, or --to for another file"
        raise wrong("--to", "be a file that is not there yet", file, way_out)
    found.save(file)
    table = _tables.TextTable(
        f"Columns of {path.name}",
        "",
        ("column", "type", "use", "becomes", "seen"),
        tuple((c.name, c.type, c.use, c.vector, c.seen) for c in found.columns),
        left=5,
    ).drawn()
    missing = () if found.used("target") else (NO_TARGET,)
    lines = [*missing, f"Schema: {file}", f"To read all rows: nakami data check {file}"]
    columns = {c.name: {"type": c.type, "use": c.use, "vector": c.vector} for c in found.columns}
    _tables.tell(output, None, {"schema": str(file), "columns": columns}, [table], lines)


ENTRY = Command(run, group=DATA)
