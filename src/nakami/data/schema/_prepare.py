"""The data of a schema, read, split and turned into tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import torch
from torch import Tensor

from nakami.results import check_budget, counted, first_names, wrong

from .._examples import AS_STORED, Examples
from .._labelled import LabelledExamples
from .._pictures import NORMALISATIONS
from ._hashes import hashes, shares
from ._open import opened
from ._preparation import Preparation, Rows, some
from ._schema import Schema
from ._source import Part, Source, WrongRow

STANDARD = "deviation of the training rows"
NOUNS = {"picture": "picture", "sound": "recording", "text": "text"}
BUDGET = 4 << 30  # bytes of tensors


@dataclass(frozen=True)
class Report:
    """What was found while data were read.

    Attributes:
        rows: All there are. wrong: those that break a rule, each with its reason.
        train: How many are trained on. test: tested on.
        copies: Rows to test on whose inputs are those of one to train on, by name: leakage.
        repeated: Rows whose inputs are those of an earlier row.
        contradictory: Rows whose inputs are those of an earlier row with another target.
        reduced: How many values lost something, by column and what: a kind that training never
            saw, a text or a sound that was cut.
    """

    rows: int
    wrong: tuple[WrongRow, ...]
    train: int
    test: int
    copies: tuple[str, ...]
    repeated: int
    contradictory: int
    reduced: dict[str, int]


@dataclass(frozen=True)
class Prepared:
    """Data as tensors, with what made them.

    Attributes:
        preparation: Turns other rows into tensors likewise. report: what was found.
    """

    preparation: Preparation
    report: Report
    _parts: dict[str, tuple[Tensor, Tensor | None, tuple[str, ...]]]

    def shapes(self) -> str:
        """Shape and kind of one input, in words."""
        inputs = self._parts["train"][0]
        shape = " x ".join(map(str, inputs.shape[1:])) or "1"
        kind = "numbers" if inputs.is_floating_point() else "places of words"
        return f"{shape} {kind}"

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
        source = f"{counted(len(names), noun)} of {name} to {part} on"
        classes = self.preparation.classes
        return Examples(inputs, targets, names, unit, source, picture, noun, classes)

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


def prepare(schema: Schema, *, memory_budget: int | None = None) -> Prepared:
    """Read the data of a schema twice: to learn from training rows, and to turn all into tensors.

    A row goes to the test part by a hash of its inputs (``schema.split``), so the same inputs never
    lie in both, whatever the order of the rows. Means, classes and words are those of training
    rows alone.

    Args:
        schema: As ``read_schema`` gives it.
        memory_budget: Bytes that the tensors may take; None: 4 GiB.

    Raises:
        UsageError: A wrong row, where the schema refuses them; a column that is not there; a part
            without rows; too little memory.
    """
    budget = BUDGET if memory_budget is None else check_budget(memory_budget)
    made = Preparation.of(schema)
    source = _Rows(schema, made)
    for part, tested in source.first():
        rows = Rows(part)
        for name, vector in made.vectors.items():
            rows.learn(name, vector, ~tested)
        source.note(rows)
    for vector in made.vectors.values():
        vector.finish()
    source.refuse()
    taken = _Taken(source.count, budget)
    for part, tested, hashed in source.again():
        inputs, targets, rows = made.rows(part)
        source.note(rows)
        taken.add(inputs, targets, rows, tested, hashed)
    source.refuse()
    report = taken.report(source, made)
    for part_name, n in (("train", report.train), ("test", report.test)):
        if not n:
            got = f"none of {report.train + report.test} (rows with the same inputs stay together)"
            way_out = "change test or values below [split], or use more columns"
            raise wrong("split", f"leave rows to {part_name} on", got, way_out)
    return Prepared(made, report, taken.parts())


class _Rows:
    """Rows of the sources of a schema, each with whether it is tested on and its hash."""

    def __init__(self, schema: Schema, made: Preparation):
        self.schema, self.count = schema, 0
        self._sources: list[tuple[Source, bool]] = [
            (opened(schema.path, schema.reading or None), False)
        ]
        if schema.split.path:
            path = schema.path.parent / schema.split.path
            form = schema.reading if path.suffix == schema.path.suffix else None
            self._sources.append((opened(path, form or None), True))
        inputs = {column.name: column.type for column in schema.used("input")}
        by = {c.name: c.type for c in schema.columns if c.name == schema.split.by}
        self._hashed, self._by = inputs, by
        self._types = {**made.types(), **by}
        self._known: list[tuple[np.ndarray, np.ndarray]] = []
        self._wrong: dict[str, WrongRow] = {}

    def first(self) -> Iterator[tuple[Part, np.ndarray]]:
        """Parts with who is tested on, ``(n,)`` bool."""
        for part, only_tested in self._parts():
            hashed = self._hashes(part, self._hashed)
            tested = np.full(len(hashed), only_tested)
            split = self.schema.split
            if split.values:
                own_values = part.values[split.by]
                tested = np.array([_named(v) in split.values for v in own_values], bool)
            elif not split.path:
                own = self._hashes(part, self._by) if self._by else hashed
                tested = shares(own) < split.test
            self._known.append((tested, hashed))
            self.count += len(hashed)
            yield part, tested

    def again(self) -> Iterator[tuple[Part, np.ndarray, np.ndarray]]:
        """The same once more, with hashes of the inputs."""
        for (part, _), (tested, hashed) in zip(self._parts(), self._known, strict=True):
            yield part, tested, hashed

    def note(self, rows: Rows) -> None:
        """Keep which rows are wrong."""
        for row in (*rows.part.left_out, *rows.wrong.values()):
            self._wrong.setdefault(row.row, row)

    def refuse(self) -> None:
        """End where a row is wrong and the schema wants none."""
        if self._wrong and self.schema.wrong_rows == "refuse":
            got = f"{len(self._wrong)} ({first_names([*map(str, self.wrong)])})"
            way_out = 'mend them, or write wrong_rows = "skip" in the schema to leave them out'
            raise wrong(self.schema.path.name, "hold no wrong row", got, way_out)

    @property
    def wrong(self) -> tuple[WrongRow, ...]:
        """Wrong rows as they were found."""
        return tuple(self._wrong.values())

    def _parts(self) -> Iterator[tuple[Part, bool]]:
        for source, tested in self._sources:
            for part in source.parts(self._types):
                yield (_in_file(part, source.path.name) if tested else part), tested

    @staticmethod
    def _hashes(part: Part, types: dict[str, str]) -> np.ndarray:
        right, found = Rows(part).right, np.zeros(len(part.names), dtype=np.uint64)
        values = {name: some(part.values[name], right) for name in types}
        found[right] = hashes(values, types, int(right.sum()))
        return found


def _named(value: object) -> str:
    """A value of a split as the schema writes it: 1 for 1.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_file(part: Part, name: str) -> Part:
    """Rows of a second file, told apart from those of the first."""
    wrongs = {i: replace(row, row=f"{name}, {row.row}") for i, row in part.wrong.items()}
    left_out = [replace(row, row=f"{name}, {row.row}") for row in part.left_out]
    return replace(
        part, names=tuple(f"{name}, {n}" for n in part.names), wrong=wrongs, left_out=left_out
    )


class _Taken:
    """Tensors of right rows, within a budget."""

    def __init__(self, rows: int, budget: int):
        self._rows, self._budget = rows, budget
        self._inputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._names: list[str] = []
        self._tested: list[np.ndarray] = []
        self._hashed: list[np.ndarray] = []

    def add(
        self,
        inputs: Tensor,
        targets: Tensor | None,
        rows: Rows,
        tested: np.ndarray,
        hashed: np.ndarray,
    ) -> None:
        """Take rows of a part."""
        if not rows.right.any():
            return
        size = inputs[0].numel() * inputs.element_size() * self._rows
        if size > self._budget:
            got = f"{self._budget:,} bytes for {self._rows:,} rows of {size // self._rows:,}"
            way_out = f"pass {{memory_budget}}={size}, or take smaller inputs"
            raise wrong("memory_budget", "hold all rows", got, way_out)
        self._inputs.append(inputs)
        if targets is not None:
            self._targets.append(targets)
        self._names += compress(rows.part.names, rows.right)
        self._tested.append(tested[rows.right])
        self._hashed.append(hashed[rows.right])

    def parts(self) -> dict[str, tuple[Tensor, Tensor | None, tuple[str, ...]]]:
        """Inputs, targets and names by part."""
        inputs = torch.cat(self._inputs)
        targets = torch.cat(self._targets) if self._targets else None
        tested = torch.from_numpy(np.concatenate(self._tested))
        found = {}
        for name, own in (("train", ~tested), ("test", tested)):
            places = own.nonzero().flatten()
            names = tuple(self._names[i] for i in places.tolist())
            found[name] = inputs[own], None if targets is None else targets[own], names
        return found

    def report(self, source: _Rows, made: Preparation) -> Report:
        """What was found."""
        tested = np.concatenate([np.zeros(0, bool), *self._tested])
        hashed = np.concatenate([np.zeros(0, np.uint64), *self._hashed])
        _, first, same = np.unique(hashed, return_index=True, return_inverse=True)
        repeated = first[same] != np.arange(len(hashed))
        differs = np.zeros(len(hashed), bool)
        if self._targets:
            targets = torch.cat(self._targets).numpy()
            differs = targets != targets[first[same]]
        copies = tested & np.isin(hashed, hashed[~tested])
        vectors = made.vectors.items()
        reduced = {f"{name}: {v.counts}": v.counted for name, v in vectors if v.counted}
        return Report(
            rows=source.count + sum(not row.column for row in source.wrong),
            wrong=source.wrong,
            train=int((~tested).sum()),
            test=int(tested.sum()),
            copies=tuple(self._names[i] for i in np.flatnonzero(copies)),
            repeated=int(repeated.sum()),
            contradictory=int((repeated & differs).sum()),
            reduced=reduced,
        )


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
