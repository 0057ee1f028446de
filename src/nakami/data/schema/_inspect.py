"""A schema proposed from the first rows of a file or folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from nakami.results import as_path, check_at_least, counted, first_names

from .._pictures import SUFFIXES, is_picture
from ._empty import is_empty
from ._files import SOUNDS
from ._folders import CLASS, LABEL, PART, PARTS
from ._heads import proposed
from ._open import KINDS, opened
from ._schema import Column, Schema, Split
from ._source import Source
from ._vectors import usual_vector

TARGETS = ("label", "labels", "class", "target", "y", "category", "outcome", "sentiment", "species")
GROUPS = ("patient", "subject", "speaker", "user", "session", "group", "person", "customer")
TAKEN = 'missing = "mean" takes the mean'
LEFT_OUT = 'wrong_rows = "skip" leaves them out'  # of a target
NUMBERS = 0.8  # share of the texts of a column of numbers that are some
FEW = 20  # kinds that a column of texts or of a target may always have
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2}.*)?")


def inspect(path: str | PathLike[str], rows: int = 1000) -> Schema:
    """What is in a file or folder, as a schema to be looked at and changed.

    Types are told from the first rows: numbers; categories where a few texts come again and again;
    texts; files that are named. Columns that number the rows, are the same everywhere, or hold
    dates are proposed as ignored. The target is the column called label, class, target or the like,
    else the last one where it holds categories.

    Args:
        path: A table (.csv, .tsv, .jsonl, .parquet), a text of lines, arrays (.npz, .npy, IDX), a
            folder of pictures or sounds, or what Hugging Face's ``save_to_disk`` wrote.
        rows: How many rows are looked at.

    Raises:
        UsageError: Nothing there, or nothing that can be read.
        RunError: What reads it is not installed.
    """
    path = as_path("path", path, f"give {KINDS}")
    rows = check_at_least("rows", rows, 1, "pass how many rows to look at")
    source = opened(path)
    seen = _seen(source, rows)
    columns = [_column(name, source, seen.get(name)) for name in source.columns]
    columns = _with_target(columns, seen)
    split = _split(columns, seen)
    columns = [_ignored(c) if c.name == split.by else c for c in columns]
    return Schema(path, tuple(columns), split, reading=source.described())


def _seen(source: Source, rows: int) -> dict[str, Sequence[Any]]:
    """First values of each column that holds texts, numbers, files or arrays."""
    types = {"number": "number", "text": "text", "array": "array"}
    wanted = {
        name: types.get(stored, "picture" if stored in ("file", "picture") else stored)
        for name, stored in source.columns.items()
        if stored != "other"
    }
    found: dict[str, list[Any]] = {name: [] for name in wanted}
    for part in source.parts(wanted):
        for name, values in part.values.items():
            right = [i for i in range(len(part.names)) if not _empty(part, i, name)]
            found[name] += [values[i] for i in right]
        if sum(len(v) for v in found.values()) >= rows * len(found):
            break
    return {name: values[:rows] for name, values in found.items()}


def _empty(part: Any, i: int, name: str) -> bool:
    return i in part.wrong and part.wrong[i].column == name


def _column(name: str, source: Source, values: Sequence[Any] | None) -> Column:
    stored = source.columns[name]
    if values is None:
        return Column(name, "text", "ignored", seen="of a type that is not read")
    if not len(values):
        return Column(name, "text", "ignored", seen="nothing in it")
    if stored in ("picture", "sound", "file"):
        ending = Path(str(values[0])).suffix.lower()
        sound = stored == "sound" or (stored == "file" and ending in SOUNDS)
        return _file_column(name, "sound" if sound else "picture", values)
    if stored == "array":
        shape = tuple(np.asarray(values[0]).shape)
        return Column(name, "array", "input", "as stored", seen=f"arrays of {shape}")
    if stored == "number":
        return _number_column(name, np.asarray(values, dtype=np.float64))
    return _text_column(name, source, [str(value) for value in values])


def _file_column(name: str, kind: str, values: Sequence[Any]) -> Column:
    options, said = proposed(kind, values)
    return Column(name, kind, "input", usual_vector(kind, "input"), options, seen=said)


def _number_column(name: str, values: np.ndarray) -> Column:
    said = f"numbers from {values.min():g} to {values.max():g}"
    use = "input"
    if len(values) > 2 and ((np.diff(values) == 1).all() or _names_rows(name, values)):
        use, said = "ignored", "numbers its rows"
    elif (values == values[0]).all() and len(values) > 1:
        use, said = "ignored", f"always {values[0]:g}"
    return Column(name, "number", use, "standardise", seen=said)


def _names_rows(name: str, values: np.ndarray) -> bool:
    """Whether it is called id and holds a whole number for each row."""
    whole = (values == np.floor(values)).all() and len(set(values.tolist())) == len(values)
    return bool(whole) and name.lower().endswith("id")


def _text_column(name: str, source: Source, values: list[str]) -> Column:
    filled = [value for value in values if value]
    numbers = _as_numbers([value for value in values if not is_empty(value)])
    if numbers is not None:
        column = _number_column(name, numbers)
        return replace(column, seen=f"{column.seen}{_no_numbers(values)}")
    kinds = sorted(set(filled))
    ending = {Path(value).suffix.lower() for value in filled[:50]}
    for kind, endings in (("picture", SUFFIXES), ("sound", SOUNDS)):
        if ending <= set(endings):
            folder = source.path if source.path.is_dir() else source.path.parent
            there = [f for value in filled if (f := folder / value).is_file()]
            if there and (kind == "sound" or is_picture(there[0])):
                return _file_column(name, kind, there)
    if len(kinds) == 1 and len(filled) > 1:
        return Column(name, "category", "ignored", seen=f"always {kinds[0]}")
    said = f"{counted(len(kinds), 'kind')}: {first_names([*map(repr, kinds)])}"
    if all(DATE.fullmatch(value) for value in filled[:50]):
        return Column(name, "text", "ignored", seen="dates or times")
    few = len(kinds) <= max(FEW, len(filled) // 20)
    spoken = sum(len(value.split()) for value in filled) / max(1, len(filled)) > 3
    if few and len(kinds) < len(filled) and not (spoken and len(kinds) > len(filled) // 2):
        return Column(name, "category", "input", "one-hot", seen=said)
    if len(kinds) == len(filled) and not any(" " in value for value in filled):
        return Column(name, "text", "ignored", seen="a name for each row")
    return Column(name, "text", "input", "bag", seen=f"texts, as {filled[0][:40]!r}")


def _as_numbers(values: list[str]) -> np.ndarray | None:
    """Texts as numbers, where nearly all are; one in five may be wrong."""
    found = []
    for value in values:
        try:
            found.append(float(value))
        except ValueError:
            continue
    right = np.array([x for x in found if np.isfinite(x)])
    return right if len(right) and len(right) >= NUMBERS * len(values) else None


def _no_numbers(values: list[str]) -> str:
    """How many are no numbers, with the most frequent word, and what takes them."""
    empty = Counter(value.strip() for value in values if is_empty(value))
    others = Counter(v for v in values if not is_empty(v) and _as_numbers([v]) is None)
    said = ""
    for found, what in ((empty, TAKEN), (others, "no numbers")):
        if found:
            word = found.most_common(1)[0][0]
            more = " and the like" if len(found) > 1 else ""
            said += f"; {found.total()} of {len(values)} are {repr(word) if word else 'empty'}"
            said += f"{more}: {what}"
    return said


def _classes(kinds: Sequence[float], values: Sequence[Any]) -> str:
    """How many classes whole numbers make, with the words beside them, which are classes too."""
    texts = {str(value).strip() for value in values}
    odd = sorted(text for text in texts if is_empty(text) or _as_numbers([text]) is None)
    said = counted(len(kinds) + len(odd), "class", "classes")
    if odd:
        named = first_names([repr(text) for text in odd], 3)
        said += f", {named} among them: name those that are wanted by classes = [...]"
    return said


def _with_target(columns: list[Column], seen: Mapping[str, Sequence[Any]]) -> list[Column]:
    named = [c for c in columns if c.name.lower() in (*TARGETS, CLASS, LABEL)]
    last = [c for c in columns[-1:] if c.type == "category" and c.use == "input"]
    chosen = (named or last)[:1]
    others = [c for c in columns if c not in chosen and c.use == "input"]
    if not chosen or not others:
        return columns
    column = chosen[0]
    if column.type == "number":
        filled = [str(value) for value in seen[column.name] if not is_empty(value)]
        found = _as_numbers(filled)
        kinds = [] if found is None else sorted({*found.tolist()})
        if len(kinds) <= FEW and all(kind.is_integer() for kind in kinds):
            column = Column(column.name, "category", seen=_classes(kinds, seen[column.name]))
    if column.type == "text":
        column = Column(column.name, "category", seen=column.seen)
    vector = usual_vector(column.type, "target")
    remark = column.seen.replace(TAKEN, LEFT_OUT)
    target = Column(column.name, column.type, "target", vector, seen=remark)
    return [target if c is chosen[0] else c for c in columns]


def _split(columns: list[Column], seen: Mapping[str, Sequence[Any]]) -> Split:
    for column in columns:
        values = {str(value).lower() for value in seen.get(column.name, ())}
        if column.name.lower() in (PART, "split", "fold", "set") and values <= set(PARTS):
            tests = [value for value in values if PARTS[value] == "test"]
            held = tests or [value for value in values if PARTS[value] == "validation"]
            as_stored = {str(v) for v in seen[column.name] if str(v).lower() in held}
            if as_stored:
                return Split(by=column.name, values=tuple(sorted(as_stored)))
    for column in columns:
        if column.name.lower().removesuffix("_id").removesuffix("id") in GROUPS:
            return Split(by=column.name)
    return Split()


def _ignored(column: Column) -> Column:
    kind = "category" if column.type == "number" else column.type
    return Column(column.name, kind, "ignored", seen=f"{column.seen}; rows are split by it")
