"""Block Golub-Kahan bidiagonalisation with full reorthogonalisation and thick restarts.

``A V = U B`` holds by construction and ``A^T U = V B^T + V_next S``; the singular values of the
small matrix ``B`` approach those of ``A`` from below, and ``S`` gives their residuals for free.

Source: Golub, Luk & Overton, ACM TOMS 7 (1981) for the block form; Baglama & Reichel, SIAM J. Sci.
Comput. 27 (2005) for the thick restart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._operator import LinearOperator, finite
from ._threads import one_thread

WIDTH = 2  # random directions of one search for missed values
CHECK_PRODUCTS = 9 * WIDTH  # columns multiplied by one search
CHECKS = 3  # searches for missed values before giving up


@dataclass(frozen=True)
class Plan:
    """Sizes of a run. ``columns`` bounds the basis on each side, ``products`` the whole cost."""

    k: int
    tol: float
    block: int
    columns: int
    products: int

    @property
    def widest(self) -> int:
        """Largest block: every search can add two directions."""
        return self.block + CHECKS * WIDTH

    @property
    def keep(self) -> int:
        """Triplets kept at a restart: k and a third of the room beyond it."""
        return self.k + max(0, self.columns - self.k - self.widest) // 3


class BlockKrylov:
    """The growing decomposition. Basis vectors are rows here, so that prefixes are contiguous."""

    def __init__(self, op: LinearOperator, plan: Plan, generator: torch.Generator):
        self.op, self.plan, self.generator = op, plan, generator
        m, n = op.shape
        like = torch.empty(0, dtype=op.dtype, device=op.device)
        self.left = like.new_empty(plan.columns, m)
        self.right = like.new_empty(plan.columns + plan.widest, n)
        self.core = torch.zeros(plan.columns, plan.columns, dtype=torch.float64)  # B, on the CPU
        self.filled = 0  # columns of B
        self.tail = torch.zeros(0, 0, dtype=torch.float64)  # S^T, (next block, last block)
        self.n_products = 0
        self.scale = 0.0  # largest column met, the yardstick for "zero"
        self.waiting = 0  # rows of the right block that the next step multiplies
        self.add(like.new_zeros(plan.block, n))

    @property
    def full(self) -> bool:
        """Whether the next step does not fit into the basis."""
        return self.filled + self.waiting > self.plan.columns

    def add(self, directions: Tensor) -> None:
        """Let ``directions`` (rows) join the waiting block; zero rows become random ones."""
        end = self.filled + self.waiting
        block, _, _ = self._orthonormal(directions, self.right[:end], 0.0)
        self.right[end : end + len(block)] = block
        self.waiting += len(block)

    def expand(self) -> None:
        """One step: a product with ``A``, one with its transpose, both reorthogonalised."""
        at, end = self.filled, self.filled + self.waiting
        y = self._products(self.op, self.right[at:end])  # (waiting, m)
        block, above, below = self._orthonormal(y, self.left[:at], self.scale)
        self.left[at:end] = block
        self.core[:at, at:end] = above.T
        self.core[at:end, at:end] = below.T
        z = self._products(self.op.T, block)  # (waiting, n)
        nxt, _, over = self._orthonormal(z, self.right[:end], self.scale)
        self.right[end : end + len(nxt)] = nxt
        self.filled, self.waiting, self.tail = end, len(nxt), over.T

    def solve(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Ritz values, small left and right vectors, and residuals, all of the filled part."""
        c = self.filled
        with one_thread(self.core):
            p, s, qh = torch.linalg.svd(self.core[:c, :c])
        last = p[c - self.tail.shape[1] :]
        return s, p, qh.T, (self.tail @ last).norm(dim=0)

    def restart(self, keep: int) -> None:
        """Thick restart: the leading ``keep`` Ritz triplets and the waiting block stay."""
        s, p, q, _ = self.solve()
        c = self.filled
        waiting = self.right[c : c + self.waiting].clone()
        self.left[:keep] = p[:, :keep].T.to(self.left) @ self.left[:c]
        self.right[:keep] = q[:, :keep].T.to(self.left) @ self.right[:c]
        self.right[keep : keep + self.waiting] = waiting
        self.core.zero_()
        self.core[:keep, :keep] = torch.diag(s[:keep])
        self.filled = keep

    def vectors(self, k: int) -> tuple[Tensor, Tensor]:
        """Leading ``k`` Ritz vectors as columns, ``(m, k)`` and ``(n, k)``."""
        _, p, q, _ = self.solve()
        c = self.filled
        left = p[:, :k].T.to(self.left) @ self.left[:c]
        return left.T, (q[:, :k].T.to(self.left) @ self.right[:c]).T

    def _products(self, op: LinearOperator, rows: Tensor) -> Tensor:
        self.n_products += len(rows)
        out = finite(op @ rows.T).T.contiguous()
        self.scale = max(self.scale, float(out.norm(dim=1).max()))
        return out

    def _orthonormal(
        self, rows: Tensor, basis: Tensor, scale: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Split ``rows = above @ basis + below @ block`` with orthonormal ``block`` rows.

        Directions below the rounding of ``scale`` are dropped from ``below`` and replaced by random
        ones in ``block``, so that a rank-deficient matrix does not end the search early.
        """
        above = torch.zeros(len(rows), len(basis), dtype=torch.float64)
        if len(basis):
            rows, above = _project(rows, basis)
        q, r = torch.linalg.qr(rows.T)
        with one_thread(r):
            u, s, vh = torch.linalg.svd(r.double().cpu())
        block = (q @ u.to(q)).T.contiguous()
        eps = torch.finfo(rows.dtype).eps
        weak = s <= 10 * eps * scale
        below = vh.T * s.masked_fill(weak, 0.0)
        if (
            s <= eps**0.5 * scale
        ).any():  # rounding, blown up by the division by s: clean once more
            q, r = torch.linalg.qr(_project(block, basis)[0].T)
            block = (q * torch.where(r.diagonal() < 0, -1.0, 1.0)).T.contiguous()
        if weak.any():
            block[weak] = self._random(int(weak.sum()), basis, block[~weak])
        return block, above, below

    def _random(self, count: int, basis: Tensor, others: Tensor) -> Tensor:
        width = basis.shape[1]
        draw = torch.randn(count, width, generator=self.generator, dtype=torch.float64)
        rows = draw.to(basis)
        for _ in range(3):
            for against in (basis, others):
                rows = rows - (rows @ against.T) @ against
            rows = torch.linalg.qr(rows.T)[0].T
        return rows


def _project(rows: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Remove the components along ``basis``, twice ("twice is enough", Parlett 6.9)."""
    first = rows @ basis.T
    rows = rows - first @ basis
    second = rows @ basis.T
    return rows - second @ basis, (first + second).double().cpu()


def missed(op: LinearOperator, right: Tensor, generator: torch.Generator) -> tuple[float, Tensor]:
    """Largest gains found in the rest, ``A (I - V V^T)``, and their directions.

    A block of two random directions, four Krylov steps, Rayleigh-Ritz over all of them.

    Args:
        op: The matrix ``A``, ``(m, n)``.
        right: ``(n, k)``, the vectors already found.
        generator: Draws the two directions.

    Returns:
        The largest gain (a lower bound of the largest singular value left) and ``(2, n)`` leading
        directions.
        Cost: ``CHECK_PRODUCTS`` products.
    """
    draw = torch.randn(WIDTH, right.shape[0], generator=generator, dtype=torch.float64)
    rows, found, images = draw.to(right), right.T, []
    for step in range(5):
        rows = _project(rows, found)[0]
        rows = torch.linalg.qr(rows.T)[0].T
        rows = torch.linalg.qr(_project(rows, found)[0].T)[0].T
        found = torch.cat([found, rows])
        images.append((op @ rows.T).T)
        if step < 4:
            rows = (op.T @ images[-1].T).T
    searched = found[right.shape[1] :]
    u, s, _ = torch.linalg.svd(torch.cat(images).double(), full_matrices=False)
    return float(s[0]), u[:, :WIDTH].T.to(searched) @ searched
