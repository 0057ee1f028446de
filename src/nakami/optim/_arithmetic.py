"""The operations that updates are written in, on lists of tensors or on one piece after another.

torch's list operations start one kernel for all weights of a GPU, and a compiler joins them. On a
CPU each passes over the main memory. There a weight is cut into pieces that stay in the cache, with
results in memory that is used again: the main memory is passed once in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

PIECE = 1 << 17  # numbers: shorter ones cost more in calls, longer ones leave the cache
SMALL = 1 << 13  # numbers up to which tensors are taken together, to save calls
Values: TypeAlias = Any  # one tensor, or a list of them
Number: TypeAlias = Any  # for all tensors one number, or a tensor without dimensions, or as many


class Arithmetic(Protocol):
    """Elementwise operations; those that end in ``_`` change their first argument.

    ``into`` is what a result may be written to; it may not be used afterwards.
    """

    def add(self, a: Values, b: Values, alpha: float) -> Values:
        """``a + alpha b``."""

    def sub(self, a: Values, b: Values) -> Values:
        """``a - b``."""

    def neg(self, a: Values) -> Values:
        """``-a``."""

    def div(self, a: Values, b: Values, into: Values) -> Values:
        """``a / b``."""

    def sqrt(self, a: Values, into: Values) -> Values:
        """The square root."""

    def add_(self, a: Values, b: Values, alpha: float) -> None:
        """``a + alpha b``."""

    def add_number_(self, a: Values, number: float) -> None:
        """``a + number``."""

    def mul_(self, a: Values, number: Number) -> None:
        """``number a``."""

    def addcmul_(self, a: Values, b: Values, c: Values, value: float) -> None:
        """``a + value b c``."""

    def clamp_(self, a: Values, most: float) -> None:
        """Between ``-most`` and ``most``; NaN stays NaN."""

    def type_of(self, a: Values) -> torch.dtype:
        """Of the tensors, which is the same for all."""


class Lists:
    """On lists of tensors, in new memory."""

    def add(self, a: Values, b: Values, alpha: float) -> Values:
        return torch._foreach_add(a, b, alpha=alpha)

    def sub(self, a: Values, b: Values) -> Values:
        return torch._foreach_sub(a, b)

    def neg(self, a: Values) -> Values:
        return torch._foreach_neg(a)

    def div(self, a: Values, b: Values, into: Values) -> Values:
        return torch._foreach_div(a, b)

    def sqrt(self, a: Values, into: Values) -> Values:
        return torch._foreach_sqrt(a)

    def add_(self, a: Values, b: Values, alpha: float) -> None:
        torch._foreach_add_(a, b, alpha=alpha)

    def add_number_(self, a: Values, number: float) -> None:
        torch._foreach_add_(a, number)

    def mul_(self, a: Values, number: Number) -> None:
        torch._foreach_mul_(a, number)

    def addcmul_(self, a: Values, b: Values, c: Values, value: float) -> None:
        torch._foreach_addcmul_(a, b, c, value=value)

    def clamp_(self, a: Values, most: float) -> None:
        torch._foreach_clamp_min_(a, -most)
        torch._foreach_clamp_max_(a, most)

    def type_of(self, a: Values) -> torch.dtype:
        return a[0].dtype


class Pieces:
    """On one flat piece of a tensor in the main memory, in memory that is used again.

    Args:
        dtype: Of the tensors.
        most: Numbers of the largest.
    """

    def __init__(self, dtype: torch.dtype, most: int):
        self._memory: list[Tensor] = []
        self._dtype, self._size, self._taken = dtype, min(most, PIECE), 0

    def of(self, roles: Sequence[Tensor]) -> Iterator[list[Tensor]]:
        """The pieces of tensors of one shape, as views; results of the last piece are given up."""
        for piece in zip(*(tensor.view(-1).split(PIECE) for tensor in roles), strict=True):
            self._taken = 0
            yield list(piece)

    def _new(self, like: Tensor) -> Tensor:
        if self._taken == len(self._memory):
            self._memory.append(torch.empty(self._size, dtype=self._dtype))
        memory, count = self._memory[self._taken], len(like)
        self._taken += 1
        return memory if count == self._size else memory[:count]

    def add(self, a: Values, b: Values, alpha: float) -> Values:
        return torch.add(a, b, alpha=alpha, out=self._new(a))

    def sub(self, a: Values, b: Values) -> Values:
        return torch.sub(a, b, out=self._new(a))

    def neg(self, a: Values) -> Values:
        return torch.neg(a, out=self._new(a))

    def div(self, a: Values, b: Values, into: Values) -> Values:
        return torch.div(a, b, out=into)

    def sqrt(self, a: Values, into: Values) -> Values:
        return torch.sqrt(a, out=into)

    def add_(self, a: Values, b: Values, alpha: float) -> None:
        a.add_(b, alpha=alpha)

    def add_number_(self, a: Values, number: float) -> None:
        a.add_(number)

    def mul_(self, a: Values, number: Number) -> None:
        a.mul_(number)

    def addcmul_(self, a: Values, b: Values, c: Values, value: float) -> None:
        a.addcmul_(b, c, value=value)

    def clamp_(self, a: Values, most: float) -> None:
        a.clamp_(-most, most)

    def type_of(self, a: Values) -> torch.dtype:
        return a.dtype


def smallest(dtype: torch.dtype) -> float:
    """The smallest number above 0 of a type: an ``eps`` below it would be rounded to 0."""
    kind = torch.finfo(dtype)
    return kind.tiny * kind.eps
