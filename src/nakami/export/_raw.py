"""Preparation inside the exported graph: raw numbers go in.

What a tensor can do moves into the graph: shift and scale of numbers (in float64, as they were in
training), one-hot of places of categories, normalisation of pixels, log-mel of samples. What it
cannot stays outside and is kept in ``preparation.json``: reading files, names of categories, words.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nakami.data._examples import AS_STORED
from nakami.data.schema import Preparation
from nakami.data.schema._columns import AsStored, Scaled, Unit
from nakami.data.schema._files import BANDS, RATE, LogMel
from nakami.data.schema._gaps import FLAG, Gaps
from nakami.data.schema._kinds import OneHot
from nakami.data.schema._log_mel import log_mel, mel_bands
from nakami.data.schema._open import opened
from nakami.data.schema._preparation import some
from nakami.data.schema._vector import Values, Vector
from nakami.results import PIXEL, wrong

from ._answer import InUnit
from ._source import Source


class Column(nn.Module):
    """One column of a schema inside the graph.

    Attributes:
        group: Name of the input that it is part of.
    """

    group: ClassVar[str]

    @abstractmethod
    def take(self, values: Values) -> Tensor:
        """Raw values as the graph takes them, ``(n, width)`` or of another form."""


class Numbers(Column):
    """Numbers, shifted and scaled in float64, in 0..1 where the column is ``unit``."""

    group = "numbers"
    shift: Tensor
    scale: Tensor
    mean: Tensor

    def __init__(self, vector: AsStored):
        super().__init__()
        scaled = isinstance(vector, Scaled)
        shift, scale = (vector.shift, vector.scale) if isinstance(vector, Scaled) else (0.0, 1.0)
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float64))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64))
        self.cut, self.scaled = isinstance(vector, Unit), scaled
        self.missing = vector.missing if isinstance(vector, Gaps) else ""
        mean = vector.mean if isinstance(vector, Gaps) else 0.0
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float64))

    def take(self, values: Values) -> Tensor:
        """``(n, 1)``, or rows, float64; bytes that are taken as stored in 0..1."""
        x = np.asarray(values)
        share = x.dtype == np.uint8 and not self.scaled
        found = torch.from_numpy(x.astype(np.float64) / (255 if share else 1))
        return found[:, None] if found.ndim == 1 else found

    def forward(self, x: Tensor) -> Tensor:
        """As in training; NaN stands for a number that is missing, where the schema takes such."""
        full = torch.where(torch.isnan(x), self.mean, x) if self.missing else x
        found = ((full - self.shift) / self.scale).float()
        found = found.clamp(0, 1) if self.cut else found
        return torch.cat([found, torch.isnan(x).float()], 1) if self.missing == FLAG else found


class Places(Column):
    """The place of a category among its classes, -1 for none of them, as one-hot."""

    group = "categories"
    classes: Tensor

    def __init__(self, vector: OneHot):
        super().__init__()
        self.vector = (vector,)
        self.register_buffer("classes", torch.arange(len(vector.classes)))

    def take(self, values: Values) -> Tensor:
        """``(n, 1)`` int64."""
        return torch.from_numpy(self.vector[0].places(values))[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """``(n, classes)``."""
        return torch.eq(x, self.classes).float()


class Samples(Column):
    """Samples of a sound at the rate of the schema, as standardised log-mel power."""

    group = "samples"
    bands: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, vector: LogMel):
        super().__init__()
        self.vector, self.rate = (vector,), int(vector.chosen.get("rate", RATE))
        self.register_buffer("bands", mel_bands(self.rate, int(vector.chosen.get("bands", BANDS))))
        self.register_buffer("shift", torch.as_tensor(vector.shift))
        self.register_buffer("scale", torch.as_tensor(vector.scale))

    def take(self, values: Values) -> Tensor:
        """``(n, samples)`` float32."""
        return torch.from_numpy(np.stack([self.vector[0].samples(file) for file in values]))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 1, bands, frames)``."""
        power = log_mel(x, self.rate, self.bands)
        return ((power.double() - self.shift) / self.scale).float().mT[:, None]


class Outside(Column):
    """What is prepared before the graph: words, characters, pixels."""

    group = "prepared"

    def __init__(self, vector: Vector):
        super().__init__()
        self.vector = (vector,)

    def take(self, values: Values) -> Tensor:
        """As the network takes it."""
        return self.vector[0].apply(values)

    def forward(self, x: Tensor) -> Tensor:
        """The same."""
        return x


def column_of(vector: Vector) -> Column:
    """The part of a vector that moves into the graph."""
    if isinstance(vector, LogMel):
        return Samples(vector)
    if isinstance(vector, OneHot):
        return Places(vector)
    return Numbers(vector) if isinstance(vector, AsStored) else Outside(vector)


class Raw(nn.Module):
    """A network behind the preparation of its columns.

    Args:
        model: Takes prepared inputs.
        columns: In order of the schema, each with its width in the input of its group.
    """

    def __init__(self, model: nn.Module, columns: Sequence[tuple[Column, int]]):
        super().__init__()
        self.model = model
        self.preparation = nn.ModuleList(column for column, _ in columns)
        self.widths = [width for _, width in columns]
        self.groups = [column.group for column, _ in columns]

    def forward(
        self,
        numbers: Tensor | None = None,
        categories: Tensor | None = None,
        samples: Tensor | None = None,
        prepared: Tensor | None = None,
    ) -> Any:
        """What the network gives at prepared inputs."""
        given = {
            "numbers": numbers, "categories": categories, "samples": samples, "prepared": prepared,
        }  # fmt: skip
        if len(self.preparation) == 1:
            return self.model(self.preparation[0](given[self.groups[0]]))
        done, parts = dict.fromkeys(given, 0), []
        for column, group, width in zip(self.preparation, self.groups, self.widths, strict=True):
            start, whole = done[group], given[group]
            assert whole is not None
            done[group] += width
            parts.append(column(whole[:, start : start + width]))
        return self.model(torch.cat(parts, 1))


class Pixels(nn.Module):
    """A network behind the normalisation of its pictures: pixels in 0..1 go in."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, picture: Mapping[str, Sequence[float]]):
        super().__init__()
        self.model = model
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(picture[name])[:, None, None])

    def forward(self, x: Tensor) -> Any:
        """What the network gives at ``(x - mean) / std``."""
        return self.model((x - self.mean) / self.std)


@dataclass(frozen=True)
class RawInputs:
    """What is exported, and raw rows of real inputs.

    Attributes:
        model: Takes ``inputs`` by name. inputs: rows first, as many as the examples.
        columns: Of a schema, by input, names in order. unit: of the inputs, in words.
    """

    model: nn.Module
    inputs: Mapping[str, Tensor]
    columns: Mapping[str, Sequence[str]]
    unit: str


def raw_of(source: Source, schema: bool = True) -> RawInputs:
    """The network with as much of its preparation as a graph can hold.

    Without ``schema``, of a form of file that has no float64 and no Fourier transform, the columns
    of a schema go in prepared.
    """
    picture, model = source.examples.picture, _in_unit(source, schema)
    if picture and (set(picture["mean"]) != {0.0} or set(picture["std"]) != {1.0}):
        mean, std = (torch.tensor(picture[key])[:, None, None] for key in ("mean", "std"))
        pixels = source.inputs["input"] * std + mean
        return RawInputs(Pixels(model, picture).eval(), {"input": pixels}, {}, PIXEL)
    made = None if picture or not schema else source.preparation
    if made is None or _all_outside(made):
        return RawInputs(model, source.inputs, {}, source.examples.unit)
    return _of_schema(model, made, source.examples.names)


def _in_unit(source: Source, double: bool) -> nn.Module:
    """The network, behind it what takes numbers back to the unit of their column."""
    target = source.examples.target
    if target is None or not target.moved:
        return source.model
    dtype = torch.float64 if double else torch.float32
    return InUnit(source.model, target, dtype).eval()


def _all_outside(preparation: Preparation) -> bool:
    used = (preparation.vectors[column.name] for column in preparation.schema.used("input"))
    return all(isinstance(column_of(vector), Outside) for vector in used)


def _of_schema(model: nn.Module, preparation: Preparation, names: Sequence[str]) -> RawInputs:
    """The network behind its columns, and the raw values of the rows of these names."""
    used = [column.name for column in preparation.schema.used("input")]
    made = {name: column_of(preparation.vectors[name]) for name in used}
    found: dict[str, list[Tensor]] = {name: [] for name in used}
    seen: list[str] = []
    for part_names, values in _parts(preparation, frozenset(names)):
        seen += part_names
        for name, column in made.items():
            found[name].append(column.take(values[name]))
    if seen != list(names):
        rule = "hold the rows that the network was tested on"
        path = preparation.schema.path
        raise wrong("data", rule, f"{len(seen)} of {len(names)} in {path}", "train again on them")
    taken = {name: torch.cat(tensors) for name, tensors in found.items()}
    groups: dict[str, list[str]] = {}
    for name, column in made.items():
        groups.setdefault(column.group, []).append(name)
    inputs = {
        group: torch.cat([taken[name] for name in columns], 1) if len(columns) > 1
        else taken[columns[0]]
        for group, columns in groups.items()
    }  # fmt: skip
    widths = [(made[name], taken[name].shape[1] if taken[name].ndim > 1 else 1) for name in used]
    return RawInputs(Raw(model, widths).eval(), inputs, groups, AS_STORED)


def _parts(
    preparation: Preparation, wanted: frozenset[str]
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Names and values of the wanted rows, part by part."""
    schema = preparation.schema
    path, form = schema.path, schema.reading
    if schema.split.path:
        path = schema.path.parent / schema.split.path
        form = schema.reading if path.suffix == schema.path.suffix else {}
    for part in opened(path, form or None).parts(preparation.types()):
        _, _, rows = preparation.rows(part)
        own = np.array([name in wanted for name in part.names], dtype=bool) & rows.right
        if own.any():
            names = [name for name, take in zip(part.names, own, strict=True) if take]
            yield names, {name: some(part.values[name], own) for name in preparation.types()}
