"""What is in a file of the caller's, and how it becomes numbers: a small TOML file.

It is proposed by ``inspect``, edited by the user, and read by ``read_schema``. It says nothing that
was measured on the data: means, words and classes are found by ``prepare`` in the training part.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

from nakami.results import (
    UsageError,
    as_path,
    check_choice,
    check_fraction,
    is_number,
    unknown,
    wrong,
)

from ._vectors import TYPES, VECTORS, fitting_vector, usual_vector

USES = ("input", "target", "ignored")
WRONG_ROWS = ("refuse", "skip")
CONTENT = "content"
NO_SIGN = ("thousands", "")
HEAD = "# Which columns are there, what they are used for, and how they become numbers."
NEAR = "begin with what nakami data inspect PATH writes"


@dataclass(frozen=True)
class Column:
    """One column of a table, or one thing that is known of each file of a folder.

    Attributes:
        name: As the file has it.
        type: One of ``TYPES``: what its values are.
        use: input, target, or ignored.
        vector: How they become numbers, one of ``VECTORS[type]``.
        options: What the vector takes beside, by name.
        classes: Of a category those that are taken, in order; empty: those seen in training.
        seen: A remark on what was found, for the reader of the file.
    """

    name: str
    type: str
    use: str = "input"
    vector: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    seen: str = ""


@dataclass(frozen=True)
class Split:
    """Which rows are tested on.

    Attributes:
        test: Share of the rows, by a hash of what ``by`` names, so that it does not hang on the
            order of rows and a row that is added moves no other.
        by: ``"content"``, all input columns, or a column: rows of one value stay together.
        values: Of the column ``by``, those that are tested on; empty: by the hash.
        path: A file or folder of its own to test on, from the schema's folder on.
        group: A column (speaker, patient, machine) of which no value shall lie in both parts: rows
            are parted by its hash; where ``values`` or ``path`` part them, those in both are told.
        choose: Share of the rows, of those to train on, by a hash, that stand in the place of the
            rows to test on, which are left out altogether: for choosing settings.
    """

    test: float = 0.1
    by: str = CONTENT
    values: tuple[str, ...] = ()
    path: str = ""
    group: str = ""
    choose: float = 0.0

    @property
    def grouped(self) -> str:
        """The column that says what belongs together; empty: none."""
        parted = self.by == CONTENT or self.values or self.path
        return self.group or ("" if parted else self.by)


@dataclass(frozen=True)
class Schema:
    """What ``prepare`` reads and how.

    Attributes:
        path: File or folder of the data. columns: in order of the file.
        split: Which rows are tested on.
        wrong_rows: ``"refuse"`` data with a row that breaks a rule, or ``"skip"`` such rows, which
            are counted and named.
        reading: How a table of text is read: ``delimiter``, ``decimal``, ``thousands``
            (the sign between them), ``header``.
    """

    path: Path
    columns: tuple[Column, ...]
    split: Split = field(default_factory=Split)
    wrong_rows: str = "refuse"
    reading: Mapping[str, Any] = field(default_factory=dict)

    def used(self, use: str) -> tuple[Column, ...]:
        """The columns of one use."""
        return tuple(column for column in self.columns if column.use == use)

    def to_toml(self, folder: Path | None = None) -> str:
        """The schema as a file, which ``read_schema`` reads again.

        Args:
            folder: Where it will lie, from which ``path`` is named; None: from the root on.
        """
        lines = [HEAD, *_pairs({"path": _named(self.path, folder), "wrong_rows": self.wrong_rows})]
        if self.reading:
            lines += ["", "[reading]", *_pairs(self.reading)]
        split: dict[str, Any] = {"by": self.split.by}
        if self.split.values:
            split["values"] = list(self.split.values)
        elif self.split.path:
            split = {"path": self.split.path}
        else:
            split["test"] = self.split.test
        if self.split.group:
            split["group"] = self.split.group
        if self.split.choose:
            split["choose"] = self.split.choose
        lines += ["", "[split]  # rows to test on", *_pairs(split)]
        for column in self.columns:
            remark = f"  # {column.seen}" if column.seen else ""
            values = {"type": column.type, "use": column.use}
            if column.use != "ignored":
                values["vector"] = column.vector
            more = {**column.options, **({"classes": [*column.classes]} if column.classes else {})}
            lines += ["", f"[columns.{_key(column.name)}]{remark}", *_pairs({**values, **more})]
        return "\n".join(lines) + "\n"

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the file; paths in it are told from its folder."""
        path = as_path("path", path, "give the file to write, as schema.toml")
        path.write_text(self.to_toml(path.resolve().parent), encoding="utf-8")
        return path


def read_schema(path: str | PathLike[str]) -> Schema:
    """A schema from its file.

    Raises:
        UsageError: It is not there, no TOML, or names what there is not.
    """
    path = as_path("schema", path, NEAR)
    if not path.is_file():
        raise wrong("schema", "be a file that exists", path, NEAR)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read as TOML ({error}); {NEAR}.") from error
    return schema_of(found, path.resolve().parent)


def schema_of(found: Mapping[str, Any], folder: Path) -> Schema:
    """A schema of the values of its file; paths are told from ``folder``."""
    _known(found, ("path", "wrong_rows", "reading", "split", "columns"), "entry of a schema")
    if not isinstance(found.get("path"), str):
        raise wrong("path", "name the file or folder of the data", repr(found.get("path")), NEAR)
    entries = found.get("columns")
    if not isinstance(entries, Mapping) or not entries:
        raise wrong("columns", "hold an entry for each column", repr(entries), NEAR)
    columns = tuple(_column(str(name), entry) for name, entry in entries.items())
    schema = Schema(
        folder / found["path"],
        columns,
        _split(found.get("split", {}), [column.name for column in columns]),
        found.get("wrong_rows", "refuse"),
        _reading(found.get("reading", {})),
    )
    check_choice("wrong_rows", schema.wrong_rows, WRONG_ROWS, 'write "skip" to leave them out')
    if not schema.used("input"):
        raise wrong("columns", 'hold one with use = "input"', "none", "change the use of one")
    if len(targets := schema.used("target")) > 1:
        names = " and ".join(column.name for column in targets)
        raise wrong("columns", 'hold one with use = "target"', names, 'write "ignored" for others')
    return schema


def _column(name: str, entry: Any) -> Column:
    if not isinstance(entry, Mapping):
        raise wrong(f"columns.{name}", "hold type and use", repr(entry), NEAR)
    kind, use = entry.get("type"), entry.get("use", "input")
    check_choice(f"type of {name}", kind, TYPES, NEAR)
    check_choice(f"use of {name}", use, USES, 'write use = "ignored" to leave it out')
    kind, use = str(kind), str(use)
    usual, choices = usual_vector(kind, use), VECTORS[kind]
    if not usual:
        way_out = 'write type = "category" or "number", or use = "input"'
        raise wrong(
            f"type of {name}", "be a category or a number where it is the target", kind, way_out
        )
    vector = entry.get("vector", usual)
    check_choice(f"vector of {name}", vector, tuple(choices), f'write "{next(iter(choices))}"')
    vector = fitting_vector(kind, use, vector)
    known = choices[vector].options()
    rest = {k: v for k, v in entry.items() if k not in ("type", "use", "vector", "classes")}
    if rest and not known:
        way_out = f"leave {next(iter(rest))} out"
        raise wrong(f"vector {vector} of {name}", "stand without options", ", ".join(rest), way_out)
    _known(rest, tuple(known), f"option of {name}, vector {vector}")
    if use == "target" and "missing" in rest:
        way_out = 'leave it out, or write wrong_rows = "skip"'
        raise wrong(f"missing of {name}", "go with an input", "a target", way_out)
    for option, value in rest.items():
        known[option](f"{option} of {name}", value)
    given = entry.get("classes", [])
    if not isinstance(given, list) or any(isinstance(each, dict | list) for each in given):
        way_out = 'write classes = ["no", "yes"]'
        raise wrong(f"classes of {name}", "be a list of texts", repr(given), way_out)
    classes = tuple(map(str, given))
    if len(set(classes)) < len(classes):
        raise wrong(f"classes of {name}", "name each class once", repr(given), "leave one out")
    return Column(name, kind, use, vector, rest, classes)


def _split(entry: Any, names: list[str]) -> Split:
    if not isinstance(entry, Mapping):
        raise wrong("split", "hold test and by", repr(entry), "write test = 0.1 below [split]")
    _known(entry, ("test", "by", "values", "path", "group", "choose"), "entry of split")
    given = {**entry}
    if "values" in given:
        if not isinstance(given["values"], list | tuple):
            got, way_out = repr(given["values"]), 'write values = ["test"]'
            raise wrong("values of split", "be a list", got, way_out)
        given["values"] = tuple(map(str, given["values"]))
    split = replace(Split(), **given)
    if not is_number(split.test):
        raise wrong("test of split", "be a share of the rows", repr(split.test), "write 0.1")
    check_fraction("test of split", split.test, "write 0.1 for a tenth")
    if split.choose != 0:
        check_fraction("choose of split", split.choose, "write 0.1 for a tenth, or leave it out")
    if split.by not in (CONTENT, *names):
        raise unknown("column of split", split.by, [CONTENT, *names])
    if split.group and split.group not in names:
        raise unknown("group of split", split.group, names)
    if split.group and split.by != CONTENT and not split.values:
        got, way_out = f"by = {split.by!r} and group = {split.group!r}", "leave by out"
        raise wrong("split", "part rows by one column", got, way_out)
    if split.values and split.by == CONTENT:
        raise wrong("values of split", "go with a column", CONTENT, "name the column as by")
    return split


def _reading(entry: Any) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise wrong("reading", "hold delimiter, decimal, thousands, header", repr(entry), NEAR)
    _known(entry, ("delimiter", "decimal", "thousands", "header"), "entry of reading")
    for name in ("delimiter", "decimal", "thousands"):
        value = entry.get(name, ",")
        if not isinstance(value, str) or (len(value) != 1 and (name, value) != NO_SIGN):
            raise wrong(f"{name} of reading", "be one character", repr(value), 'write ","')
    if not isinstance(entry.get("header", True), bool):
        raise wrong("header of reading", "be true or false", repr(entry["header"]), "write true")
    return dict(entry)


def _known(found: Iterable[str], names: tuple[str, ...], what: str) -> None:
    for name in found:
        if name not in names:
            raise unknown(what, name, names)


def _named(path: Path, folder: Path | None) -> str:
    whole = path.resolve()
    if folder is not None and whole.is_relative_to(folder.resolve()):
        return str(whole.relative_to(folder.resolve()))
    return str(whole)


def _text(value: str) -> str:
    """A TOML string; JSON's is one, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_value(value)}" for name, value in values.items()]
