"""What grows in every Krylov method: an orthonormal basis, a small matrix and a waiting block."""

from __future__ import annotations

import torch
from torch import Tensor

from .._operator import LinearOperator, finite
from ._basis import orthonormal, random_rows, turn
from ._driver import Plan


class KrylovDecomposition:
    """Basis vectors are rows, so that prefixes are contiguous."""

    def __init__(
        self,
        op: LinearOperator,
        plan: Plan,
        generator: torch.Generator,
        start: Tensor | None = None,
    ):
        self.op, self.plan, self.generator = op, plan, generator
        n = op.shape[1]
        like = torch.empty(0, dtype=op.dtype, device=op.device)
        self.columns = plan.columns
        self.basis = like.new_empty(plan.columns + plan.block, n)
        self.core = torch.zeros(plan.columns, plan.columns, dtype=torch.float64)  # on the CPU
        self.filled = 0  # columns of the small matrix
        self.coupled = 0  # the waiting block is coupled to what is filled from here on
        self.tail = torch.zeros(0, 0, dtype=torch.float64)  # (next block, last block)
        self.n_products = 0
        self.restarts = 0
        self.scale = 0.0  # largest column met, the yardstick for "zero"
        self.waiting = 0  # rows that the next step multiplies
        block = like.new_zeros(plan.block, n)
        if start is not None:
            block[: start.shape[1]] = start.T
        self.add(block)

    @property
    def full(self) -> bool:
        """Whether the next step does not fit into the basis."""
        return self.filled + self.waiting > self.columns

    def add(self, directions: Tensor) -> None:
        """Let unit ``directions`` (rows) join the waiting block; zero rows become random ones."""
        end = self.filled + self.waiting
        self.basis = grown(self.basis, end, end + len(directions))
        block = self._orthonormal(directions, self.basis[:end], 0, 1.0)[0]
        self.basis[end : end + len(block)] = block
        self.waiting += len(block)
        self.coupled = 0

    def widen(self, columns: int) -> None:
        """Let the basis grow to so many columns."""
        self.columns = max(self.columns, columns)
        self.basis = grown(self.basis, self.filled + self.waiting, self.columns + self.waiting)
        core = torch.zeros(self.columns, self.columns, dtype=torch.float64)
        core[: self.filled, : self.filled] = self.core[: self.filled, : self.filled]
        self.core = core

    def _restarted(self, keep: int, values: Tensor, small: Tensor) -> None:
        """Leading ``keep`` Ritz vectors, of these values, and the waiting block stay.

        ``small`` are the Ritz vectors by the vectors that the tail is coupled to, ``(c, c)``.
        """
        c = self.filled
        self.basis[keep : keep + self.waiting] = self.basis[c : c + self.waiting].clone()
        self.core.zero_()
        self.core[:keep, :keep] = torch.diag(values[:keep])
        self.tail = self.tail @ small[c - self.tail.shape[1] :, :keep]  # coupled to all that stay
        self.filled, self.coupled = keep, 0
        self.restarts += 1

    def _turned(self, basis: Tensor, small: Tensor) -> Tensor:
        """Ritz vectors as rows in memory of their own, so that the basis can be let go."""
        out = basis.new_empty(small.shape[1], basis.shape[1])
        return turn(basis[: self.filled], small, out)

    def _products(self, op: LinearOperator, rows: Tensor) -> Tensor:
        self.n_products += len(rows)
        return finite(op @ rows.T).T.contiguous()

    def _orthonormal(
        self, rows: Tensor, basis: Tensor, first: int, scale: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        return orthonormal(rows, basis, first, scale, self._random)

    def _random(self, count: int, basis: Tensor, others: Tensor) -> Tensor:
        return random_rows(count, basis, others, self.generator)


def grown(rows: Tensor, used: int, needed: int) -> Tensor:
    """The same rows, in memory for as many as are needed; the first ``used`` are copied."""
    if needed <= len(rows):
        return rows
    larger = rows.new_empty(needed, rows.shape[1])
    larger[:used] = rows[:used]
    return larger
