"""Sums over one axis in the log domain, by matrix products that cannot under- or overflow.

``log sum_j exp(h_j - c_ij)`` for many rows ``h``. With references ``a_i`` and ``b_j`` that take
most of ``c_ij`` away, what is left, ``d_ij = c_ij - a_i - b_j``, stays small inside a block, and
the sum is a product with ``exp(-d)`` of numbers of moderate size. Blocks are as large as the
floating type allows, so that a smooth cost at a moderate blur is one product.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

# Largest |d| in a block: what underflows is then below the type's rounding in every sum.
# tiny exp(2 |d|) <= eps / n with n up to 1e4: (ln 1/tiny - ln 1/eps - ln n) / 2.
REACH = {torch.float32: 30.0, torch.float64: 320.0}
MOST_BLOCKS = 64
CHUNK = 1 << 22  # numbers in a temporary of the exact sum


@dataclass(frozen=True)
class _Block:
    """Rows ``rows`` and columns ``columns`` of the cost, with its references."""

    rows: slice
    columns: slice
    row: Tensor  # a, (rows, 1)
    column: Tensor  # b, (columns, 1)
    kernel: Tensor  # exp(-d), (rows, columns)

    def transposed(self) -> _Block:
        return _Block(self.columns, self.rows, self.column, self.row, self.kernel.T)


class Axis:
    """Sums over one axis for a cost ``(n, m)`` in units of the blur (``c / reg``).

    Args:
        cost: Float32 or float64; entries may be ``inf`` (forbidden).
        blocks: False: sums are made term by term.
    """

    def __init__(self, cost: Tensor, blocks: bool = True):
        self.cost = cost
        self.blocks = _blocks(cost) if blocks else None

    @property
    def is_one_product(self) -> bool:
        """Whether a sum is a single product."""
        return self.blocks is not None and len(self.blocks) == 1

    def forward(self, h: Tensor) -> Tensor:
        """``out_ik = log sum_j exp(h_jk - c_ij)``, ``(..., m, k) -> (..., n, k)``."""
        if self.blocks is None:
            return _exact(h, self.cost)
        if len(self.blocks) == 1:
            return _one(h, self.blocks[0][0])
        return torch.cat([_joined(h, row) for row in self.blocks], -2)

    def transposed(self) -> Axis:
        """The same with rows and columns exchanged; shares the memory."""
        other = Axis.__new__(Axis)
        other.cost = self.cost.T
        other.blocks = None
        if self.blocks is not None:
            lines = zip(*self.blocks, strict=True)
            other.blocks = [[block.transposed() for block in line] for line in lines]
        return other


def _one(h: Tensor, block: _Block) -> Tensor:
    kind = block.kernel.dtype  # potentials may be float64 where the kernel is float32
    h = h[..., block.columns, :] - block.column
    top = h.amax(-2, keepdim=True)
    top = top.clamp_min(torch.finfo(kind).min)  # a row of -inf stays -inf
    sums = torch.matmul(block.kernel, h.sub_(top).to(kind).exp_())
    return sums.log_().to(h.dtype).add_(top - block.row)


def _joined(h: Tensor, blocks: list[_Block]) -> Tensor:
    parts = [_one(h, block) for block in blocks]
    return parts[0] if len(parts) == 1 else torch.logsumexp(torch.stack(parts), 0)


def _exact(h: Tensor, cost: Tensor) -> Tensor:
    """Term by term, in chunks of rows."""
    m = cost.shape[1]
    rows = max(1, CHUNK // max(1, h.numel()))
    return torch.cat(
        [
            torch.logsumexp(h.unsqueeze(-3) - part.reshape(len(part), m, 1), -2)
            for part in cost.split(rows)
        ],
        -2,
    )


def _blocks(cost: Tensor) -> list[list[_Block]] | None:
    """The fewest equal blocks whose parts stay within reach, or None."""
    reach, count = REACH[cost.dtype], 1
    while count <= min(MOST_BLOCKS, max(1, min(cost.shape) // 4)):
        made = _cut(cost, count, reach)
        if made is not None:
            return made
        count *= 2
    return None


def _cut(cost: Tensor, count: int, reach: float) -> list[list[_Block]] | None:
    rows, columns = (_slices(length, count) for length in cost.shape)
    made: list[list[_Block]] = []
    for of_rows in rows:
        line = []
        for of_columns in columns:
            part = cost[of_rows, of_columns]
            i, j = len(part) // 2, part.shape[1] // 2
            row, column = part[:, j : j + 1] - part[i, j], part[i : i + 1, :]
            rest = part - row - column
            if not bool((rest.abs() <= reach).all()):
                return None
            line.append(_Block(of_rows, of_columns, row, column.T, (-rest).exp_()))
        made.append(line)
    return made


def _slices(length: int, count: int) -> list[slice]:
    edges = [round(k * length / count) for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]
