"""How rows become what a network takes: a schema with what training rows taught, kept as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nakami.results import UsageError, as_path, wrong

from .._examples import Target
from ._columns import AsStored, Scaled, Unit
from ._schema import Column, Schema, schema_of
from ._source import Part, WrongRow, some
from ._vector import Vector
from ._vectors import VECTORS

FORMAT = "nakami.preparation/1"
NEAR = "give the preparation.json of a run"


@dataclass(frozen=True)
class Preparation:
    """What turns rows into tensors, the same in training and afterwards.

    Attributes:
        schema: Which columns there are and how each becomes numbers.
        vectors: Of the columns used, by name, with what training rows taught them.
    """

    schema: Schema
    vectors: Mapping[str, Vector]

    @classmethod
    def of(cls, schema: Schema) -> Preparation:
        """One that knows nothing yet."""
        used = (*schema.used("input"), *schema.used("target"))
        return cls(schema, {column.name: vector_of(column) for column in used})

    @property
    def target(self) -> Column | None:
        """The column that is foreseen, if there is one."""
        return next(iter(self.schema.used("target")), None)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes 0, 1, ... of the target; empty for numbers."""
        return () if self.target is None else self.vectors[self.target.name].classes

    @property
    def numbers(self) -> Target | None:
        """How numbers of the target became labels; None: there is no target, or it has classes."""
        if self.target is None or self.target.type != "number":
            return None
        name, vector = self.target.name, self.vectors[self.target.name]
        if not isinstance(vector, Scaled):
            return Target(name)
        return Target(name, float(vector.shift), float(vector.scale), isinstance(vector, Unit))

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components of an input, where it is a row of numbers."""
        parts = (self.vectors[column.name].components for column in self.schema.used("input"))
        return tuple(name for part in parts for name in part)

    def types(self, target: bool = True) -> dict[str, str]:
        """The columns used, with their types as sources take them."""
        used = self.schema.used("input") + (self.schema.used("target") if target else ())
        return {column.name: self.vectors[column.name].kind or column.type for column in used}

    def rows(self, part: Part, target: bool = True) -> tuple[Tensor, Tensor | None, Rows]:
        """Inputs and targets of the rows of a part that are right, and which these are.

        Args:
            part: Rows of a source.
            target: Whether targets are there.
        """
        rows = Rows(part)
        names = list(self.types(target))
        tensors = {name: rows.apply(name, self.vectors[name]) for name in names}
        if not rows.right.any():
            return torch.empty(0), None, rows
        found = {name: tensor[rows.places(name)] for name, tensor in tensors.items()}
        inputs = joined([found[column.name] for column in self.schema.used("input")])
        own = self.target if target else None
        targets = None if own is None else found[own.name]
        if targets is not None and targets.ndim > 1:  # a number stands in a column
            targets = targets.squeeze(1)
        return inputs, targets, rows

    def to_json(self, folder: Path | None = None) -> dict[str, Any]:
        """Plain values, for ``from_json``."""
        learned = {name: vector.learned() for name, vector in self.vectors.items()}
        return {"format": FORMAT, "schema": self.schema.to_toml(folder), "learned": learned}

    @classmethod
    def from_json(cls, found: Mapping[str, Any], folder: Path) -> Preparation:
        """One that was kept."""
        import tomllib

        if not isinstance(found, Mapping) or found.get("format") != FORMAT:
            raise wrong("preparation", f"be of the format {FORMAT}", repr(found)[:60], NEAR)
        return cls.again(schema_of(tomllib.loads(found["schema"]), folder), found["learned"])

    @classmethod
    def again(cls, schema: Schema, learned: Mapping[str, Any]) -> Preparation:
        """One of a schema, with what training rows had taught."""
        made = cls.of(schema)
        for name, vector in made.vectors.items():
            vector.restore(learned[name])
        return made

    def save(self, path: str | PathLike[str]) -> Path:
        """Write it as JSON; float64 numbers come back to the same bits."""
        path = as_path("path", path, "give the file to write, as preparation.json")
        path.write_text(json.dumps(self.to_json(), ensure_ascii=False), encoding="utf-8")
        return path


def read_preparation(path: str | PathLike[str]) -> Preparation:
    """A preparation from its file.

    Raises:
        UsageError: It is not there, or is none.
    """
    path = as_path("path", path, NEAR)
    if not path.is_file():
        raise wrong("path", "be a file that exists", path, NEAR)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} cannot be read as JSON ({error}); {NEAR}.") from error
    return Preparation.from_json(found, path.resolve().parent)


class Rows:
    """The rows of a part, of which more and more are found to be wrong.

    Attributes:
        wrong: Why some are, by place. right: which are right so far, ``(n,)`` bool.
    """

    def __init__(self, part: Part):
        self.part, self.wrong = part, dict(part.wrong)
        self.right = np.ones(len(part.names), bool)
        self.right[[*self.wrong]] = False
        self._taken: dict[str, np.ndarray] = {}

    def learn(self, name: str, vector: Vector, where: np.ndarray) -> None:
        """Teach a vector the rows that are right and lie in training."""
        self._use(name, vector, vector.learn, where)

    def apply(self, name: str, vector: Vector) -> Tensor:
        """Numbers of the rows that are right so far."""
        if not self.right.any():
            return torch.empty(0)
        return self._use(name, vector, vector.apply, None)

    def _use(self, name: str, vector: Vector, use: Any, where: np.ndarray | None) -> Any:
        """``use(values)`` of right rows that lie there, without those that it cannot take."""
        values = self._values(name, where)
        faults = vector.quick(values)
        if not faults:
            try:
                return use(values)
            except UsageError:
                faults = vector.wrong(values)
                if not faults:
                    raise
        taken = np.flatnonzero(self._taken[name])
        for i, why in faults.items():
            row = int(taken[i])
            self.right[row] = False
            self.wrong[row] = WrongRow(self.part.names[row], name, why)
        return use(self._values(name, where))

    def _values(self, name: str, where: np.ndarray | None) -> Any:
        self._taken[name] = taken = self.right.copy() if where is None else self.right & where
        return some(self.part.values[name], taken)

    def places(self, name: str) -> Any:
        """Where right rows stand among those that were taken of a column."""
        taken = self._taken[name]
        return slice(None) if taken.sum() == self.right.sum() else self.right[taken]


def vector_of(column: Column) -> Vector:
    """What turns a column into numbers."""
    made = VECTORS[column.type][column.vector](column.name, column.options, column.classes)
    if isinstance(made, AsStored):
        made.squared = column.use == "target"
    return made


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """Rows of numbers side by side; one tensor of another form as it is.

    Raises:
        UsageError: Several, of which one is no row of numbers.
    """
    if len(tensors) == 1:
        return tensors[0]
    if any(tensor.ndim != 2 or not tensor.is_floating_point() for tensor in tensors):
        shapes = ", ".join(str(tuple(tensor.shape[1:])) for tensor in tensors)
        rule = "be rows of numbers, or one alone of another form"
        raise wrong("input columns", rule, f"shapes {shapes}", 'write use = "ignored" for others')
    return torch.cat(list(tensors), 1)
