"""Tables: CSV, Parquet in one file or a folder of parts, data sets on disk, by Arrow."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nakami.results import UsageError, wrong

from ._arrow import arrow, stored_as, values_of
from ._empty import EMPTY
from ._gaps import GAPS
from ._names import Numbered
from ._parts import batches, most_rows, parts_in
from ._signs import as_points, is_number, signs_of
from ._source import Part, Source, WrongRow, rows_of

SNIFFED = 1 << 16  # characters of a CSV file that its form is guessed from
DELIMITERS = ";\t|,"  # of equal right, the first: a comma may be a decimal point
BUFFER = 1 << 20  # bytes of a Parquet file that are read at a time
BLOCK = 1 << 22  # likewise of a CSV file
LOOKED_AT = 1 << 20  # likewise, to see which columns there are
ENDINGS = {
    ".csv": "CSV", ".tsv": "CSV", ".parquet": "Parquet", ".arrow": "Arrow",
}  # fmt: skip


def is_table(path: Path) -> bool:
    """Whether it is a table, a folder of Parquet files, or what ``save_to_disk`` wrote."""
    return kind_of(path) is not None


def kind_of(path: Path) -> str | None:
    """What reads it, of tables; None of others."""
    if not path.is_dir():
        return ENDINGS.get(path.suffix.lower())
    if (path / "dataset_info.json").is_file():
        return "data set on disk"
    return "Parquet" if any(parts_in(path)) else None


class Table(Source):
    """Rows of a table; numbers, texts, and files that are named or held."""

    def __init__(self, path: Path, reading: Mapping[str, Any] | None = None):
        arrow()
        self.path, self._folder = path, path if path.is_dir() else path.parent
        self.kind = kind_of(path) or ""
        self._form: Mapping[str, Any] = {}
        if self.kind == "CSV":
            self._form = {**_form(path), **(reading or {})}
            if self._form.get("thousands") == self._form["decimal"]:
                got, way_out = repr(self._form["decimal"]), 'write decimal = "," too'
                raise wrong("thousands of reading", "differ from decimal", got, way_out)
        elif reading:
            raise wrong("reading", "be left out, which is for CSV", path.name, "leave it out")
        with self._readable():
            fields = self._fields()
        if fields is None:
            raise wrong("path", "hold a row", f"none in {path.name}", "give a table with rows")
        self.columns = {
            field.name: "text" if self.kind == "CSV" else stored_as(field.type) for field in fields
        }

    def _fields(self) -> Any:
        """The columns with their Arrow types; None where there is no row."""
        if self.kind == "Parquet" and self.path.is_file():
            from pyarrow import parquet

            with parquet.ParquetFile(self.path) as file:
                return file.schema_arrow if file.metadata.num_rows else None
        if self.kind == "CSV":
            slow = dict.fromkeys(_names(self.path, self._form), arrow().string())
            first = next(_read_csv(self.path, self._form, {}, slow, [], LOOKED_AT), None)
        else:
            first = next(self._batches({}, {}), None)
        return None if first is None else first.schema

    def described(self) -> Mapping[str, Any]:
        """Of CSV what is not usual."""
        usual = {"delimiter": ",", "decimal": ".", "thousands": "", "header": True}
        return {name: value for name, value in self._form.items() if value != usual[name]}

    def parts(self, types: Mapping[str, str]) -> Iterator[Part]:
        """All rows, in batches of the file's own size."""
        self.check_columns(types)
        first, told, ragged = 0, 0, dict[int, WrongRow]()
        with self._readable():
            for batch in self._batches(ragged, types):
                names = Numbered("row", _numbers(first, batch.num_rows, ragged))
                new = tuple(ragged.values())[told:]
                yield self._part(batch, names, types, new)
                first, told = first + batch.num_rows, told + len(new)

    def _part(
        self,
        batch: Any,
        names: Sequence[str],
        types: Mapping[str, str],
        left_out: tuple[WrongRow, ...],
    ) -> Part:
        values, faults = dict[str, Any](), dict[int, WrongRow]()
        for name, kind in types.items():
            values[name], wrongs = values_of(batch.column(name), kind, name, self._folder)
            for i, why in wrongs.items():
                faults.setdefault(i, WrongRow(names[i], name, why))
        return Part(names, values, faults, left_out)

    def _batches(self, ragged: dict[int, WrongRow], types: Mapping[str, str]) -> Iterator[Any]:
        if self.kind == "CSV":
            yield from _csv_batches(self.path, self._form, ragged, types)
        elif self.kind == "Parquet" and self.path.is_dir():
            yield from batches(self.path, types)
        elif self.kind == "Parquet":
            from pyarrow import parquet

            # as it is without these, all of the file stays in memory (pyarrow 26.0.1)
            streamed: dict[str, Any] = {"pre_buffer": False, "buffer_size": BUFFER}
            streamed["read_dictionary"] = [n for n, kind in types.items() if kind == "category"]
            with parquet.ParquetFile(self.path, **streamed) as file:
                most = most_rows([file.metadata])
                yield from file.iter_batches(most, columns=[*types] or None)
        else:
            files = sorted(self.path.glob("*.arrow")) if self.path.is_dir() else [self.path]
            for file in files:
                with arrow().memory_map(str(file)) as mapped:
                    for batch in _ipc(mapped):
                        most = rows_of(batch.nbytes // max(1, batch.num_rows))
                        yield from (batch[i : i + most] for i in range(0, batch.num_rows, most))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        pa = arrow()
        try:
            yield
        except (pa.ArrowException, UnicodeError, OSError) as error:
            text = " ".join(str(error).split())
            raise UsageError(
                f"{self.path} cannot be read as {self.kind} ({text}); repair the file."
            ) from error


def _ipc(mapped: Any) -> Iterator[Any]:
    ipc = arrow().ipc
    try:
        yield from ipc.open_stream(mapped)
    except arrow().ArrowInvalid:
        mapped.seek(0)
        file = ipc.open_file(mapped)
        for i in range(file.num_record_batches):
            yield file.get_batch(i)


def _numbers(first: int, n: int, left_out: Collection[int]) -> np.ndarray:
    """Numbers of ``n`` rows behind ``first`` others, both without those that were left out."""
    found = np.arange(first + 1, first + n + 1)
    if not left_out:
        return found
    gaps = np.sort(np.fromiter(left_out, dtype=np.int64)) - np.arange(len(left_out))
    return found + np.searchsorted(gaps, found, side="right")


def _csv_batches(
    path: Path, form: Mapping[str, Any], ragged: dict[int, WrongRow], types: Mapping[str, str]
) -> Iterator[Any]:
    """Numbers as numbers, until one is wrong; from there on as text, so that it can be named."""
    pa, done = arrow(), 0
    names = _names(path, form)
    kinds = {
        "number": pa.float64(),
        GAPS: pa.float64(),
        "category": pa.dictionary(pa.int32(), pa.string()),
    }
    quick = {name: kinds.get(kind, pa.string()) for name, kind in types.items()}
    slow = dict.fromkeys(names, pa.string())
    foreign = form["decimal"] != "." or form["thousands"]
    try:
        if not foreign and pa.float64() in quick.values():
            for batch in _read_csv(path, form, ragged, {**slow, **quick}, [*types]):
                yield batch
                done += 1
            return
    except pa.ArrowInvalid:
        pass  # a number that is none, or what is wrong below too
    for batch in islice(_read_csv(path, form, ragged, slow, [*types]), done, None):
        if foreign:
            columns = [as_points(column, form) for column in batch.columns]
            batch = pa.RecordBatch.from_arrays(columns, batch.schema.names)
        yield batch


def _read_csv(
    path: Path,
    form: Mapping[str, Any],
    ragged: dict[int, WrongRow],
    types: Mapping[str, Any],
    columns: list[str],
    block: int = BLOCK,
) -> Iterator[Any]:
    """Record batches of a block, whatever the types; of these columns, or of all."""
    from pyarrow import csv as reader

    def left_out(row: Any) -> str:
        number = row.number - (1 if form["header"] else 0)
        why = f"{row.actual_columns} fields in place of {row.expected_columns}"
        ragged[number] = WrongRow(f"row {number}", "", why)
        return "skip"

    yield from reader.open_csv(
        path,
        read_options=reader.ReadOptions(
            use_threads=False,
            block_size=block,
            column_names=None if form["header"] else [*types],
        ),
        parse_options=reader.ParseOptions(
            delimiter=form["delimiter"], newlines_in_values=True, invalid_row_handler=left_out
        ),
        convert_options=reader.ConvertOptions(
            column_types=types,
            include_columns=columns,
            strings_can_be_null=False,
            null_values=[*EMPTY],
        ),
    )


def _first_rows(path: Path, delimiter: str) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter)
        return [row for row, _ in zip(rows, range(20), strict=False)]


def _names(path: Path, form: Mapping[str, Any]) -> list[str]:
    first = _first_rows(path, form["delimiter"])[0]
    if not form["header"]:
        return [f"column {i + 1}" for i in range(len(first))]
    if len(set(first)) < len(first):
        twice = next(name for name in first if first.count(name) > 1)
        rule, way_out = "name each column once in its first line", "rename one"
        raise wrong(path.name, rule, f"{twice!r} twice", way_out)
    return first


def _form(path: Path) -> Mapping[str, Any]:
    """Delimiter, decimal sign and whether there is a line of names, guessed from the beginning."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read(SNIFFED)
    except UnicodeDecodeError as error:
        raise wrong("path", "hold text in UTF-8", f"{path} ({error})", "convert it") from error
    if not text.strip():
        raise wrong("path", "hold a row", f"none in {path.name}", "give a table with rows")
    lines = text.splitlines()[:20]
    counts = {sign: [line.count(sign) for line in lines] for sign in DELIMITERS}
    best = max(DELIMITERS, key=lambda sign: (min(counts[sign]) > 0, min(counts[sign])))
    delimiter = best if counts[best][0] else ","
    rows = list(csv.reader(lines, delimiter=delimiter))
    numbers = [value for value in rows[0] if is_number(value, ".,")]
    whole = all(value.isdigit() for value in numbers)  # years may be names of columns
    header = whole and len(numbers) < len(rows[0])
    cells = [value for row in rows[1:] for value in row]
    signs = signs_of(cells, delimiter)
    return {"delimiter": delimiter, "header": header, **signs}
