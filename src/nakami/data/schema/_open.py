"""One door for the data of a schema: a path becomes rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nakami.results import wrong

from .._idx import is_idx
from ._folders import Arrays, Lines, files_in
from ._records import ENDINGS as RECORDS
from ._records import Records
from ._schema import Schema
from ._source import Source
from ._tables import Table, is_table

KINDS = (
    ".csv, .tsv, .jsonl, .json, .parquet, .txt, .npy, .npz, an IDX file, a folder of pictures, "
    "sounds or Parquet files, or a data set that Hugging Face's save_to_disk wrote"
)


def opened(path: Path, reading: Mapping[str, Any] | None = None) -> Source:
    """The rows of a file or folder.

    Raises:
        UsageError: Nothing is there, or nothing of the kinds above.
    """
    if not path.exists():
        way_out = f"pass a path that exists, relative to {Path.cwd()}"
        raise wrong("path", f"exist ({KINDS})", path, way_out)
    if is_table(path):
        return Table(path, reading)
    if path.suffix.lower() in RECORDS and not reading:
        return Records(path)
    if reading:
        raise wrong("reading", "be left out, which is for CSV", path.name, "leave it out")
    if path.is_dir():
        return Arrays(path) if any(map(is_idx, path.iterdir())) else files_in(path)
    if path.suffix.lower() in (".npy", ".npz") or is_idx(path):
        return Arrays(path)
    if path.suffix.lower() in (".txt", ".text"):
        return Lines(path)
    raise wrong("path", f"be {KINDS}", path, "save it as CSV")


def sources_of(schema: Schema) -> list[tuple[Source, bool]]:
    """The rows of a schema, each source with whether it is only tested on."""
    _check_there("path of the schema", schema.path)
    found = [(opened(schema.path, schema.reading or None), False)]
    if schema.split.path:
        path = schema.path.parent / schema.split.path
        _check_there("path below [split] of the schema", path)
        form = schema.reading if path.suffix == schema.path.suffix else None
        found.append((opened(path, form or None), True))
    return found


def _check_there(entry: str, path: Path) -> None:
    if not path.exists():
        way_out = "write where it is now (paths begin in the folder of the schema), or put it there"
        raise wrong(entry, "name a file or folder that exists", path, way_out)
