"""The data in shuffled mini-batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor

GROUP, GROUP_BYTES = 20, 2**23  # mini-batches that the host is given at a time, at most


@final
class Batches:
    """The data in shuffled mini-batches, several at a time where they are small.

    Lightning's cost for each item is a third of a millisecond (``benchmarks/training_step.py``),
    which is more than a step of a small model. Iterating draws a new order.
    """

    def __init__(self, data: Sequence[Tensor], batch: int, generator: torch.Generator):
        self.data, self.rows, self._batch, self._generator = data, len(data[0]), batch, generator
        size = batch * sum(part[0].numel() * part.element_size() for part in data)
        self._group = max(1, min(GROUP, GROUP_BYTES // max(1, size)))

    def __len__(self) -> int:
        return -(-self.rows // (self._batch * self._group))

    def __iter__(self) -> Iterator[list[tuple[Tensor, ...]]]:
        drawn = self._generator
        order = torch.randperm(self.rows, generator=drawn, device=drawn.device).cpu()
        parts = order.split(self._batch)
        for first in range(0, len(parts), self._group):
            group = parts[first : first + self._group]
            yield [tuple(part[rows] for part in self.data) for rows in group]
