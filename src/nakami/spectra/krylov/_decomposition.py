"""What grows in every Krylov method: an orthonormal basis, a small matrix and a waiting block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .._operator import LinearOperator, finite
from ._basis import orthonormal, random_rows, turn
from ._certificate import Form
from ._plan import Plan
from ._start_moments import StartMoments
from ._vector_lanczos import Product


class KrylovDecomposition(ABC):
    """A growing decomposition. Keys sort the values asked for: the largest key comes first.

    Basis vectors are rows, so that prefixes are contiguous.
    """

    cost: int  # products with the matrix or its transpose in one with ``H``, or in a residual
    sure: Callable[[float], bool] | None = None  # that none beyond a key was missed
    moments: StartMoments | None = None  # of the random start vectors, once vectors were found

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

    @abstractmethod
    def expand(self) -> None:
        """One step."""

    @abstractmethod
    def ritz(self) -> tuple[Tensor, Tensor]:
        """Keys of all Ritz values, descending, and their residuals."""

    @abstractmethod
    def forms(self) -> Sequence[Form]:
        """What is known of the matrix, for each side that counts."""

    @abstractmethod
    def product(self, side: int) -> Product:
        """Products with ``H``, for the form of this place."""

    @abstractmethod
    def floor(self, keys: Tensor) -> float:
        """The rounding of the values."""

    @abstractmethod
    def limit(self, keys: Tensor) -> float:
        """Residual below which a value counts as settled, however small it is."""

    @abstractmethod
    def restart(self, keep: int) -> None:
        """Thick restart: the leading ``keep`` Ritz vectors and the waiting block stay."""

    @abstractmethod
    def found(self, k: int) -> tuple[Tensor, Tensor | None, Tensor]:
        """Leading ``k`` values, float64, left vectors as columns or None, and right ones.

        The last call: it may let the basis go.
        """

    def top(self, values: Tensor) -> float:
        """The largest size known, of the values found."""
        return float(values[0])

    def add(self, directions: Tensor) -> None:
        """Let unit ``directions`` (rows) join the waiting block; zero rows become random ones."""
        end = self.filled + self.waiting
        self.basis = grown(self.basis, end, end + len(directions))
        block = orthonormal(directions, self.basis[:end], 0, 1.0, self._random)[0]
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

    def _random(self, count: int, basis: Tensor, others: Tensor) -> Tensor:
        return random_rows(count, basis, others, self.generator)


def grown(rows: Tensor, used: int, needed: int) -> Tensor:
    """The same rows, in memory for as many as are needed; the first ``used`` are copied."""
    if needed <= len(rows):
        return rows
    larger = rows.new_empty(needed, rows.shape[1])
    larger[:used] = rows[:used]
    return larger
