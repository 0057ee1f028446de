"""Sums over one axis in the log domain, by matrix products that cannot under- or overflow.

``log sum_j exp(h_j - c_ij)`` for many rows ``h``. With references ``a_i`` and ``b_j`` that take
most of ``c_ij`` away, what is left, ``d_ij = c_ij - a_i - b_j``, stays small inside a block, and
the sum is a product with ``exp(-d)`` of numbers of moderate size. Blocks are as large as the
floating type allows, so that a smooth cost at a moderate blur is one product.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Largest |d| in a block: what underflows is then below the type's rounding in every sum.
# tiny exp(2 |d|) <= eps / n with n up to 1e4: (ln 1/tiny - ln 1/eps - ln n) / 2.
REACH = {torch.float32: 30.0, torch.float64: 320.0}
MOST_BLOCKS = 64  # along each side
CHUNK = 1 << 22  # numbers in a temporary of the exact sum


@dataclass(frozen=True)
class Blocks:
    """A cost cut into ``A`` times ``B`` equal blocks of ``r`` rows and ``c`` columns.

    Attributes:
        shape: Of the whole; the last blocks go beyond it.
        row: a, ``(A, B, r, 1)``. column: b, ``(A, B, c, 1)``.
        kernel: ``exp(-d)``, ``(A, B, r, c)``; 0 in columns beyond the whole.
    """

    shape: tuple[int, int]
    row: Tensor
    column: Tensor
    kernel: Tensor

    @property
    def is_one(self) -> bool:
        """Whether the whole is one block."""
        return self.kernel.shape[:2] == (1, 1)


class Axis:
    """Sums over one axis for a cost ``(n, m)`` in units of the blur (``c / reg``).

    Args:
        cost: Float32 or float64; entries may be ``inf`` (forbidden).
        cut: False: sums are made term by term.
    """

    def __init__(self, cost: Tensor, cut: bool = True):
        self.cost = cost
        self.blocks = _blocks(cost) if cut else None

    @property
    def is_one_product(self) -> bool:
        """Whether a sum is a single product."""
        return self.blocks is not None and self.blocks.is_one

    def forward(self, h: Tensor) -> Tensor:
        """``out_ik = log sum_j exp(h_jk - c_ij)``, ``(..., m, k) -> (..., n, k)``."""
        if self.blocks is None:
            return _exact(h, self.cost)
        return _one(h, self.blocks) if self.blocks.is_one else _many(h, self.blocks)


def _one(h: Tensor, blocks: Blocks) -> Tensor:
    return product(h, blocks.kernel[0, 0], blocks.row[0, 0], blocks.column[0, 0])


def _many(h: Tensor, blocks: Blocks) -> Tensor:
    _, count, width, _ = blocks.column.shape
    h = F.pad(h, (0, 0, 0, count * width - h.shape[-2]), value=-torch.inf)
    h = h.unflatten(-2, (count, width)).unsqueeze(-4)
    parts = product(h, blocks.kernel, blocks.row, blocks.column)
    whole = torch.logsumexp(parts, -3).flatten(-3, -2)
    return whole[..., : blocks.shape[0], :]


def product(h: Tensor, kernel: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """``log(kernel @ exp(h - column)) - row``, in the type of the kernel between the logs."""
    h = h - column  # potentials may be float64 where the kernel is float32
    top = h.amax(-2, keepdim=True)
    top = top.clamp_min(torch.finfo(kernel.dtype).min)  # a row of -inf stays -inf
    sums = torch.matmul(kernel, h.sub_(top).to(kernel.dtype).exp_())
    return sums.log_().to(h.dtype).add_(top - row)


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


def _blocks(cost: Tensor) -> Blocks | None:
    """The fewest equal blocks whose parts stay within reach, or None."""
    count = 1
    while count <= min(MOST_BLOCKS, max(1, min(cost.shape) // 4)):
        made = _cut(cost, count)
        if made is not None:
            return made
        count *= 2
    return None


def _cut(cost: Tensor, count: int) -> Blocks | None:
    n, m = cost.shape
    r, c = -(-n // count), -(-m // count)
    rows = torch.arange(count * r, device=cost.device).clamp_max(n - 1)  # the last row again
    columns = torch.arange(count * c, device=cost.device).clamp_max(m - 1)
    whole = cost[rows][:, columns].reshape(count, r, count, c).transpose(1, 2)
    i, j = r // 2, c // 2
    row = whole[..., j : j + 1] - whole[..., i : i + 1, j : j + 1]
    column = whole[..., i : i + 1, :]
    rest = whole - row - column
    if not bool((rest.abs() <= REACH[cost.dtype]).all()):
        return None
    beyond = (torch.arange(count * c, device=cost.device) >= m).reshape(count, 1, c)
    kernel = (-rest).exp_().masked_fill(beyond, 0)
    return Blocks((n, m), row, column.mT.contiguous(), kernel)
