"""A folder of Parquet files as one table, as Spark's ``df.write.parquet`` leaves it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from ._arrow import arrow
from ._source import rows_of

HIDDEN = (".", "_")  # how names begin that are no data: _SUCCESS, .part-00000.parquet.crc


def parts_in(folder: Path) -> Iterator[Path]:
    """Its Parquet files in order of name, also those below folders ``column=value``."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.name.startswith(HIDDEN):
            continue
        if entry.is_dir() and "=" in entry.name:
            yield from parts_in(entry)
        elif entry.suffix.lower() == ".parquet" and entry.is_file():
            yield entry


def batches(folder: Path, columns: Collection[str]) -> Iterator[Any]:
    """Record batches of all parts; none where they hold no row.

    A column that some parts lack is missing there; whole numbers and others side by side are
    numbers.

    Args:
        folder: With one part or more.
        columns: Which to read; empty: all.
    """
    from pyarrow import dataset

    files = [str(file) for file in parts_in(folder)]
    scan = dataset.ParquetFragmentScanOptions(pre_buffer=False)  # which holds all of a file
    kind = dataset.ParquetFileFormat(default_fragment_scan_options=scan)
    form = {"format": kind, "partitioning": "hive", "partition_base_dir": str(folder)}
    found = dataset.dataset(files, **form)
    parts = [*found.get_fragments()]
    kinds = [part.physical_schema for part in parts]
    whole = arrow().unify_schemas([*kinds, found.schema], promote_options="permissive")
    for batch in dataset.dataset(files, whole, **form).to_batches(
        columns=[*columns] or None,
        batch_size=most_rows([part.metadata for part in parts]),
        batch_readahead=1,
        fragment_readahead=1,
    ):
        if batch.num_rows:  # Spark also writes parts without rows
            yield batch


def most_rows(heads: Sequence[Any]) -> int:
    """Rows of a batch, by the heads of Parquet files."""
    groups = [head.row_group(i) for head in heads for i in range(head.num_row_groups)]
    rows = sum(head.num_rows for head in heads)
    return rows_of(sum(group.total_byte_size for group in groups) // max(1, rows))
