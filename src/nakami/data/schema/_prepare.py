"""The data of a schema, read, split and turned into tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from nakami.results import as_path, check_budget, counted, wrong

from .._examples import AS_STORED, Examples
from .._labelled import LabelledExamples
from .._pictures import NORMALISATIONS
from ._kept import Kept
from ._names import chosen
from ._preparation import Preparation, Rows
from ._report import Report, Seen
from ._rows import SchemaRows
from ._schema import Schema
from ._source import rows_of
from ._stores import InMemory, Nowhere, OnDisk, Store, Stored
from ._words import Words

STANDARD = "deviation of the training rows"
NOUNS = {"picture": "picture", "sound": "recording", "text": "text"}
BUDGET = 4 << 30  # bytes of tensors


@dataclass(frozen=True)
class Prepared:
    """Data as tensors, with what made them.

    Attributes:
        preparation: Turns other rows into tensors likewise. report: what was found.
    """

    preparation: Preparation
    report: Report
    _parts: dict[str, Stored]

    def shapes(self) -> str:
        """Shape and kind of one input, in words."""
        return _in_words(self._parts["train"][0], self.preparation)

    def examples(self, part: str, *, numbers: bool = False) -> Examples:
        """The part ``"train"`` or ``"test"`` as examples of classes, or without labels.

        Args:
            part: Which.
            numbers: Whether the target may be a number; ``labels`` are then float32.

        Raises:
            UsageError: The target is a number.
        """
        inputs, targets, names = self._parts[part]
        if not numbers and targets is not None and targets.is_floating_point():
            way_out = 'write type = "category" for classes, or pass prepared.labelled(...)'
            raise wrong("target", "hold classes", "numbers", way_out)
        kind, unit, picture = _unit(self.preparation)
        name, noun = self.preparation.schema.path.name, NOUNS.get(kind, "row")
        choosing = part == "test" and self.preparation.schema.split.choose
        use = "choose settings by" if choosing else f"{part} on"
        source = f"{counted(len(names), noun)} of {name} to {use}"
        classes, target = self.preparation.classes, self.preparation.numbers
        return Examples(inputs, targets, names, unit, source, picture, noun, classes, target)

    def labelled(self, part: str) -> LabelledExamples:
        """The same with targets of a loss, classes or numbers.

        Raises:
            UsageError: There is no target.
        """
        inputs, targets, names = self._parts[part]
        if targets is None:
            way_out = 'write use = "target" below the column to be foreseen'
            raise wrong("schema", "name a target", "none", way_out)
        kind, unit, picture = _unit(self.preparation)
        source = f"{counted(len(names), NOUNS.get(kind, 'row'))} of the data to {part} on"
        classes = self.preparation.classes
        return LabelledExamples(inputs, targets, unit, source, classes, picture)


def prepare(
    schema: Schema,
    *,
    memory_budget: int | None = None,
    folder: str | PathLike[str] | None = None,
) -> Prepared:
    """Go twice through the rows of a schema: to learn from training rows, and to make tensors.

    A row goes to the test part by a hash of its inputs (``schema.split``), so the same inputs never
    lie in both, whatever the order of the rows. Means, classes and words are those of training
    rows alone.

    Tensors that do not fit the budget are written to ``folder`` once and read by memory map, to the
    same bits; a later call with the same schema and the same contents of its files finds them
    there. Beside the tensors about 100 bytes are held of each row while they are made, up to 256
    MiB of rows (the budget, if less), so that small files are read once, and as much of sounds.

    Args:
        schema: As ``read_schema`` gives it.
        memory_budget: Bytes that the tensors may take in memory; None: 4 GiB.
        folder: Where larger ones are kept; None: they are refused.

    Raises:
        UsageError: A wrong row, where the schema refuses them; a column that is not there; a part
            without rows; too little memory; or what is kept was damaged.
        RunError: No room on the disk.
    """
    budget = BUDGET if memory_budget is None else check_budget(memory_budget)
    kept = None if folder is None else Kept(as_path("folder", folder, "give a folder"), schema)
    if kept is not None and (found := kept.read()) is not None:
        return _of_kept(*found, schema)
    made, source = _learned(schema, budget)
    row = _bytes_of_a_row(made, source)
    size = row * source.count
    if size <= budget:
        stores = {"train": InMemory(source.count - source.tested), "test": InMemory(source.tested)}
        report = _fill(made, source, stores, row)()
        return Prepared(made, report, {part: store.stored() for part, store in stores.items()})
    if kept is None:
        got = f"{budget:,} bytes for {source.count:,} rows of {row:,}"
        way_out = [f"pass {{memory_budget}}={size}", "name a {folder} to keep them on disk"]
        raise wrong("memory_budget", "hold all rows", got, [*way_out, "take smaller inputs"])

    def fill(stores: Mapping[str, OnDisk]) -> Callable[[], Mapping[str, Any]]:
        report = _fill(made, source, stores, row)
        return lambda: {"learned": made.to_json()["learned"], "report": asdict(report())}

    return _of_kept(*kept.made(fill), schema)


def survey(schema: Schema) -> tuple[Preparation, Report, str]:
    """What ``prepare`` would find, and the shape of an input in words; no tensors are kept."""
    made, source = _learned(schema, BUDGET)
    shape = _in_words(_first_row(made, source), made)
    stores = {"train": Nowhere(), "test": Nowhere()}
    report = _fill(made, source, stores, _bytes_of_a_row(made, source))()
    return made, report, shape


def _learned(schema: Schema, budget: int) -> tuple[Preparation, SchemaRows]:
    """The first time through the rows."""
    made = Preparation.of(schema)
    source = SchemaRows(schema, made, budget)
    for part, tested in source.first():
        rows = Rows(part)
        for name, vector in made.vectors.items():
            rows.learn(name, vector, ~tested)
        source.note(rows)
    for vector in made.vectors.values():
        vector.finish()
    source.refuse()
    return made, source


def _fill(
    made: Preparation, source: SchemaRows, stores: Mapping[str, Store], row: int
) -> Callable[[], Report]:
    """The second time: rows as numbers, into stores; gives what makes the report behind it."""
    seen = Seen()
    for part, facts in source.again(rows_of(row)):
        inputs, targets, rows = made.rows(part)
        source.note(rows)
        right = rows.right
        if not right.any():
            continue
        names = part.names if right.all() else chosen(part.names, right)
        facts = facts if right.all() else facts[right]
        seen.add(facts, targets)
        for name, own in (("train", ~facts.tested), ("test", facts.tested)):
            here = torch.from_numpy(own)
            wanted = None if targets is None else targets[here]
            stores[name].add(inputs[here], wanted, chosen(names, own))
    source.refuse()
    for name, store in stores.items():
        if not store.rows:
            total = sum(each.rows for each in stores.values())
            got = f"none of {total} (rows with the same inputs stay together)"
            way_out = "change test or values below [split], or use more columns"
            raise wrong("split", f"leave rows to {name} on", got, way_out)
    return lambda: seen.report(source, made, stores["test"].names())


def _bytes_of_a_row(made: Preparation, source: SchemaRows) -> int:
    first = _first_row(made, source)
    return 0 if first is None else first.numel() * first.element_size()


def _first_row(made: Preparation, source: SchemaRows) -> Tensor | None:
    """Inputs of the first row that is right; nothing is counted."""
    vectors = {name: copy.copy(vector) for name, vector in made.vectors.items()}
    alike = Preparation(made.schema, vectors)
    for part in source.parts():
        for i in range(len(part.names)):
            inputs, _, rows = alike.rows(part.cut(slice(i, i + 1)))
            if rows.right.any():
                return inputs
    return None


def _of_kept(found: Mapping[str, Any], parts: dict[str, Stored], schema: Schema) -> Prepared:
    """What an earlier call has kept."""
    made = Preparation.again(schema, found["learned"])
    return Prepared(made, Report.from_json(found["report"]), parts)


def _in_words(inputs: Tensor | None, made: Preparation) -> str:
    """Shape and kind of one input."""
    if inputs is None:
        return "none"
    shape = " x ".join(map(str, inputs.shape[1:])) or "1"
    if inputs.is_floating_point():
        return f"{shape} numbers"
    words = [vector for vector in made.vectors.values() if isinstance(vector, Words)]
    return f"{shape} places, each from 0 to {len(words[0].vocabulary()) - 1}"


def _unit(made: Preparation) -> tuple[str, str, dict[str, list[float]] | None]:
    """Type of the inputs, their unit, and how pictures are undone."""
    columns = made.schema.used("input")
    kinds = {column.type for column in columns}
    kind = kinds.pop() if len(kinds) == 1 else "row"
    if kind == "picture":
        options = columns[0].options
        name, channels = options.get("normalise", "unit"), 1 if options.get("mode") == "grey" else 3
        unit, mean, std = NORMALISATIONS[str(name)]
        return kind, unit, {"mean": mean[:channels], "std": std[:channels]}
    vectors = {column.vector for column in columns}
    if vectors <= {"standardise", "log-mel"}:
        return kind, STANDARD, None
    if vectors <= {"unit", "bag", "one-hot"}:
        return kind, "as prepared, 0 to 1", None
    return kind, AS_STORED if vectors == {"as stored"} else "as prepared", None
