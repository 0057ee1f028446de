"""Columns of Arrow as values: numbers, texts, files and arrays, and which of them are wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from nakami.results import RunError, wrong

from ._empty import is_empty
from ._files import Held
from ._gaps import GAPS
from ._texts import Texts
from ._vector import Values

Found = tuple[Values, dict[int, str]]  # values, and why some are wrong by place
MISSING = "missing"


def arrow() -> Any:
    """The module ``pyarrow``.

    Raises:
        RunError: It is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise RunError(
            "tables need pyarrow, which is not installed; pip install 'nakami[data]' adds it."
        ) from error
    return pyarrow


def stored_as(kind: Any) -> str:
    """What a column of an Arrow type holds: number, text, file, array or other."""
    types = arrow().types
    if types.is_dictionary(kind):
        return stored_as(kind.value_type)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind):
        return "text"
    if types.is_struct(kind) and {"bytes", "path"} <= {kind[i].name for i in range(len(kind))}:
        return "file"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return "array" if stored_as(kind.value_type) in ("number", "array") else "other"
    return "other"


def values_of(column: Any, kind: str, name: str, folder: Path) -> Found:
    """The values of an Arrow column as a type of a schema takes them.

    Args:
        column: Of a record batch.
        kind: One of ``TYPES``.
        name: Of the column, for errors.
        folder: Where files lie that are told by a relative path.
    """
    stored = stored_as(column.type)
    takes = {
        "number": ("number", "text"),
        GAPS: ("number", "text"),
        "array": ("array",),
        "picture": ("text", "file"),
        "sound": ("text", "file"),
    }.get(kind, ("number", "text"))
    if stored not in takes:
        way_out = f'write use = "ignored" below [columns.{name}], or another type'
        raise wrong(f"type of {name}", f"fit what is stored, {column.type}", kind, way_out)
    if kind in ("number", GAPS):
        return _numbers(column, kind == GAPS)
    if kind in ("category", "text"):
        return _texts(column, empty=kind == "text")
    return _arrays(column) if kind == "array" else _paths(column, folder)


def _numbers(column: Any, gaps: bool) -> Found:
    """With ``gaps`` those that are missing are NaN, and not wrong."""
    pa, faults = arrow(), dict[int, str]()
    import pyarrow.compute as compute

    try:
        cast = compute.cast(column, pa.float64())
        found = cast.to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        found = np.full(len(column), np.nan)
        for i, text in enumerate(column.to_pylist()):
            try:
                found[i] = math.nan if is_empty(text) else float(text)
            except ValueError:
                faults[i] = f"{_short(text)} is no number"
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        found = np.array(found)  # Arrow's own may not be changed
        empty = [is_empty(value) for value in column.take(pa.array(bad)).to_pylist()]
        for i, nothing in zip(bad.tolist(), empty, strict=True):
            if i in faults or not (gaps and (nothing or math.isnan(found[i]))):
                faults.setdefault(i, MISSING if nothing else f"{found[i]} is not finite")
                found[i] = 0.0
    return found, faults


def _texts(column: Any, empty: bool) -> Found:
    """Each kind once; a missing one stands as an empty text and is wrong."""
    import pyarrow.compute as compute

    pa = arrow()
    held = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    kinds = compute.cast(held.dictionary, pa.string()).to_pylist()
    places = held.indices.fill_null(len(kinds)).to_numpy(zero_copy_only=False)
    bad = np.array([k is None or (k == "" and not empty) for k in [*kinds, None]])
    faults = dict.fromkeys(np.flatnonzero(bad[places]).tolist(), MISSING)
    return Texts([kind or "" for kind in [*kinds, None]], places), faults


def _paths(column: Any, folder: Path) -> Found:
    found, faults = list[Any](), dict[int, str]()
    for i, value in enumerate(column.to_pylist()):
        data = value.get("bytes") if isinstance(value, dict) else None
        path = value.get("path") if isinstance(value, dict) else value
        if data is not None:
            found.append(Held(data, path or f"file {i}"))
            continue
        found.append(folder / (path or ""))
        if not path:
            faults[i] = MISSING
        elif not found[-1].is_file():
            faults[i] = f"{path} is not there"
    return found, faults


def _arrays(column: Any) -> Found:
    found = _regular(column)
    if found is None:
        return _ragged(column)
    finite = np.isfinite(found.reshape(len(found), -1)).all(1)
    faults = dict.fromkeys(np.flatnonzero(~finite).tolist(), "a number that is not finite")
    if faults:
        found[~finite] = 0.0
    return found, faults


def _regular(column: Any) -> np.ndarray | None:
    """Arrays of one shape in which nothing is missing, ``(n, ...)`` float64."""
    import pyarrow.compute as compute

    types, shape = arrow().types, [len(column)]
    while types.is_list(column.type) or types.is_large_list(column.type) or (
        types.is_fixed_size_list(column.type)
    ):  # fmt: skip
        ends = compute.min_max(compute.list_value_length(column)).as_py()
        if column.null_count or not ends["min"] or ends["min"] != ends["max"]:
            return None
        shape.append(ends["min"])
        column = column.flatten()
    if column.null_count or stored_as(column.type) != "number":
        return None
    numbers = compute.cast(column, arrow().float64()).to_numpy(zero_copy_only=False)
    return np.array(numbers).reshape(shape)


def _ragged(column: Any) -> Found:
    faults = dict[int, str]()
    rows = [None if row is None else _array(row) for row in column.to_pylist()]
    shape = next((row.shape for row in rows if row is not None and row.dtype == float), (0,))
    found = np.zeros((len(rows), *shape))
    for i, row in enumerate(rows):
        if row is None:
            faults[i] = MISSING
        elif row.dtype != float or row.shape != shape:
            faults[i] = f"an array of other lengths than {shape}"
        elif not np.isfinite(row).all():
            faults[i] = "a number that is not finite"
        else:
            found[i] = row
    return found, faults


def _array(row: Any) -> np.ndarray:
    try:
        return np.array(row, dtype=float)
    except (TypeError, ValueError):  # of lengths that differ, or with nothing inside
        return np.zeros((0,), dtype=object)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
