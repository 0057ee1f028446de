"""Examples of a network whose parameters move, and the rows by which their gradients are taken."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from math import prod
from typing import TypeAlias

import torch
from torch import Tensor

from ..model._example import Example
from ..model._parameters import Parameters
from ..model._uncompiled import vjp


class Examples:
    """Some examples at the parameters of a network.

    Args:
        at: The parameters; all batches of a matrix share them.
        example: The examples, axis 0 of every tensor.
        budget: Bytes for what is kept of the network. each: Bytes of that for one example, about.

    Attributes:
        z: The outputs, ``(n, ...)``.
        form: What else is known of the outputs' form.
        own: The modules whose rows are these examples, where that was found out.
        marks: A number for each row of modules' inputs in the run that gave ``z``, if it was seen.
    """

    def __init__(self, at: Parameters, example: Example, budget: int, each: int):
        self.at, self.example, self.budget, self.each = at, example, budget, each
        self.own: frozenset[str] | None = None
        self.marks: dict[str, Tensor] | None = None
        with torch.no_grad():
            z, self.form = at.network.read(example.tree)
            self.z = z.detach()

    def moved(self, at: Parameters) -> Examples:
        """The same examples at other weights."""
        return Examples(at, self.example, self.budget, self.each)

    def restricted(self, at: Parameters) -> Examples:
        """The same examples with fewer parameters at the same weights."""
        part = copy.copy(self)
        part.at = at
        return part

    @property
    def count(self) -> int:
        """How many examples, as the input has them."""
        return self.example.count

    @property
    def separable(self) -> bool:
        """Whether input and output have a row for each example, and none needs the others."""
        rows = self.example.sliceable and self.z.ndim > 0 and len(self.z) == self.count
        return rows and not self.at.network.batch_statistics


class OutputRoot:
    """``B`` with ``B B^T`` a matrix by the outputs ``z`` of some examples, block by block.

    Args:
        up: ``B u``, of the shape of ``z``.
        zero: Zeros of the shape that ``u`` has, ``(n, ...)``; the rest are an example's columns.
        thin: A root of the same matrix with fewer columns, where there is one.

    Attributes:
        columns: How many columns of ``B`` each example has.
    """

    def __init__(
        self, up: Callable[[Tensor], Tensor], zero: Tensor, thin: OutputRoot | None = None
    ):
        self.up, self.zero, self.columns = up, zero, prod(zero.shape[1:])
        self.thin = thin

    def down(self, v: Tensor) -> Tensor:
        """``B^T v`` for ``v`` of the shape of ``z``."""
        return vjp(self.up, self.zero)[1](v)

    def each(self) -> Iterator[Tensor]:
        """Column by column, that of all examples at once, of the shape of ``z``."""
        for c in range(self.columns):
            unit = torch.zeros_like(self.zero[0]).reshape(-1)
            unit[c] = 1
            yield self.up(unit.reshape_as(self.zero[:1]).expand_as(self.zero))

    def of(self, here: slice) -> Tensor:
        """All columns of some examples, ``(examples, columns, ...)``."""
        return torch.stack([column[here] for column in self.each()], 1)


Rows: TypeAlias = tuple[Examples, OutputRoot]  # gradients of <column, output>, example by example


def slices(count: int, width: int) -> Iterator[slice]:
    """Places from 0 to ``count`` in runs of ``width``, or of 1."""
    width = max(1, width)
    for at in range(0, count, width):
        yield slice(at, min(count, at + width))
