"""The data in mini-batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from nakami.data._maps import picked

GROUP, GROUP_BYTES = 20, 2**23  # mini-batches that the host is given at a time, at most


@final
class Batches:
    """The data in mini-batches, several at a time where they are small.

    Lightning's cost for each item is a third of a millisecond (``benchmarks/training_step.py``),
    which is more than a step of a small model. Iterating draws a new order, unless the rows are to
    stay ``in_order``.
    """

    def __init__(
        self,
        data: Sequence[Tensor],
        batch: int,
        generator: torch.Generator,
        in_order: bool = False,
    ):
        self.data, self.rows, self._batch, self._generator = data, len(data[0]), batch, generator
        self._in_order = in_order
        size = batch * sum(part[0].numel() * part.element_size() for part in data)
        self._group = max(1, min(GROUP, GROUP_BYTES // max(1, size)))

    def __len__(self) -> int:
        return -(-self.rows // (self._batch * self._group))

    def __iter__(self) -> Iterator[list[tuple[Tensor, ...]]]:
        parts = self._order().split(self._batch)
        for first in range(0, len(parts), self._group):
            group = parts[first : first + self._group]
            yield [tuple(picked(part, rows) for part in self.data) for rows in group]

    def _order(self) -> Tensor:
        if self._in_order:
            return torch.arange(self.rows)
        drawn = self._generator
        return torch.randperm(self.rows, generator=drawn, device=drawn.device).cpu()
