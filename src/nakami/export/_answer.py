"""Numbers that are foreseen leave in the unit of their column, classes with their names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nakami.data import Target
from nakami.results import counted, wrong

from ._model_file import called, rows
from ._source import Source


class InUnit(nn.Module):
    """A network whose outputs are taken back to the numbers of their column.

    In float64, as labels were made of them: times in seconds would lose their digits in float32.

    Args:
        model: Gives one number for each row.
        target: Its column.
        dtype: float32 for a form of file that has no float64.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, model: nn.Module, target: Target, dtype: torch.dtype = torch.float64):
        super().__init__()
        self.model = model
        self.register_buffer("shift", torch.tensor(target.shift, dtype=dtype))
        self.register_buffer("scale", torch.tensor(target.scale, dtype=dtype))

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        """``output * scale + shift``."""
        return self.model(*inputs, **named).to(self.scale.dtype) * self.scale + self.shift


def fitted(source: Source) -> Source:
    """The same, of which ``examples.target`` is what the network gives, or None.

    Raises:
        UsageError: A network of the caller's that was trained by its own name gives another number
            of outputs than there are classes, or than the one number of its target.
    """
    preparation, target = source.preparation, source.examples.target
    names = () if preparation is None else preparation.classes
    if not names and target is None:
        return source
    wanted, width = len(names) or 1, outputs_of(source)
    if width == wanted:
        return source
    if ":" in source.name:
        rule = f"give one output for the number {column_of(source)}"
        if names:
            rule = f"give one output for each of {counted(wanted, 'class', 'classes')}"
        got = "outputs of another form" if width is None else counted(width, "output")
        raise wrong("model", rule, got, f"end it with nn.Linear(..., {wanted})")
    return replace(source, examples=replace(source.examples, target=None))


def outputs_of(source: Source) -> int | None:
    """Outputs of a row; None: they are no rows of numbers."""
    found = called(source.model, rows(source.inputs, slice(0, 2)))
    if not isinstance(found, Tensor) or found.ndim not in (1, 2):
        return None
    return 1 if found.ndim == 1 else int(found.shape[1])


def numbers_of(target: Target | None, outputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What a file must give where torch gives ``outputs``, by the column's own inverse."""
    return outputs if target is None else target.numbers(torch.from_numpy(outputs))


def column_of(source: Source) -> str:
    """The column whose number comes out; empty: there is none."""
    return "" if source.examples.target is None else source.examples.target.column
