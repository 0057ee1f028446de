"""A written file: what it takes and gives, and how torch's own network is called beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

Axes = Mapping[str, Mapping[int, str]]  # of each input: place and name of the axes that change
Runs = Callable[[Mapping[str, Tensor]], Sequence[npt.NDArray[Any]]]  # a file as a function


@dataclass(frozen=True)
class ModelFile:
    """What was written.

    Attributes:
        path: The file. inputs, outputs: shapes by name, an axis that may change by its name.
        nodes: How often each kind of node is in it.
        largest: Of axes that may change up to a size, that size; empty: any size.
    """

    path: Path
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: Mapping[str, tuple[int | str, ...]]
    nodes: Mapping[str, int]
    largest: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size, with that of weights that lie beside it."""
        return bytes_of(self.path)

    def fixed(self, axes: Axes) -> list[str]:
        """Axes that were to change and have one size in the file: ``"time of input: 6"``."""
        return [
            f"{axis} of {name}: {self.inputs[name][place]}"
            for name, changing in axes.items()
            for place, axis in changing.items()
            if isinstance(self.inputs[name][place], int)
        ]

    @property
    def most_rows(self) -> int | None:
        """The largest batch; None: any."""
        rows = [shape[0] for shape in self.inputs.values()]
        sizes = [row for row in rows if isinstance(row, int)]
        return min(sizes) if sizes else self.largest.get("batch")


def bytes_of(path: Path) -> int:
    """Size of a file, with that of weights that lie beside it."""
    apart = path.with_name(f"{path.name}.data")
    return path.stat().st_size + (apart.stat().st_size if apart.is_file() else 0)


def output_names(model: nn.Module, inputs: Mapping[str, Tensor]) -> list[str]:
    """``output``, or one for each tensor that the network gives."""
    n = len(flat_outputs(called(model, inputs)))
    return ["output"] if n == 1 else [f"output{i}" for i in range(n)]


@torch.no_grad()
def called(model: nn.Module, inputs: Mapping[str, Tensor]) -> Any:
    """What the network gives, without a graph.

    Without torch's short way for encoders, which sets padded positions to 0 and no file has.
    """
    single, before = list(inputs) == ["input"], torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        return model(*inputs.values()) if single else model(**inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def flat_outputs(outputs: Any) -> list[Tensor]:
    """The tensors among what a network gives, in order."""
    from torch.utils import _pytree

    return [leaf for leaf in _pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


def rows(inputs: Mapping[str, Tensor], part: slice | Sequence[int] | Tensor) -> dict[str, Tensor]:
    """Some of the examples."""
    return {name: value[part] for name, value in inputs.items()}


def reason(error: Exception) -> str:
    """The innermost cause, in a line."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")
