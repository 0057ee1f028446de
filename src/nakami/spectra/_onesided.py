"""Block Lanczos on ``A^T A``: one basis, on the short side, and the images ``A V`` beside it.

The basis alone is orthogonalised; the images cost their memory and nothing else, so that a step is
cheaper by the long side, which is most of it. The values of ``A^T A`` are squares, and their
rounding, ``eps s_1^2``, would show in ``s`` as ``eps s_1^2 / s``. Therefore the values returned are
not theirs: they are the singular values of the images of the Ritz vectors, computed at the end
from rows scaled to unit length, right to ``eps s_1`` as with two bases. What the squares do harm
is the subspace, for values far below ``s_1``: ``OutOfRange`` says so, and two bases take over.

Source: Simon & Zha, SIAM J. Sci. Comput. 21 (2000) for one-sided reorthogonalisation; Demmel &
Veselic, SIAM J. Matrix Anal. Appl. 13 (1992) for the scaled Gram matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._basis import SLICE, lengths, turn
from ._lanczos import BlockLanczos
from ._loop import BLOCK, Plan
from ._operator import LinearOperator
from ._threads import one_thread


class OutOfRange(Exception):
    """A value asked for lies too far below the largest for ``A^T A`` in this arithmetic."""


class OneSided(BlockLanczos):
    """The growing decomposition; ``op`` must not be wider than tall."""

    def __init__(
        self,
        op: LinearOperator,
        plan: Plan,
        generator: torch.Generator,
        start: Tensor | None = None,
        strict: bool = True,
    ):
        super().__init__(op, plan, generator, "largest", start)
        self.images = self.basis.new_empty(plan.columns, op.shape[0]) if plan.images else None
        self.lowest = reach(op.dtype) if strict else 0.0

    def _images(self, at: int, end: int) -> Tensor:
        half = self._products(self.op, self.basis[at:end])
        if self.images is not None:
            self.images[at:end] = half
        return self._products(self.op.T, half)

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Ritz values, descending, and their residuals."""
        squares, _, residuals = self.solve()
        values = squares.clamp_min(0).sqrt()
        return values, residuals / values.clamp_min(self.floor(values)).clamp_min(1e-300)

    def check_range(self) -> None:
        """Raise ``OutOfRange`` where the values asked for, near their end, span too much."""
        values = self.ritz()[0]
        if float(values[self.plan.k - 1]) <= self.lowest * float(values[0]):
            raise OutOfRange

    def outlook(self) -> float:
        """Largest value that the last block shows on its own: about what the complement holds."""
        return max(0.0, super().outlook()) ** 0.5

    def gaps(self, wanted: Tensor, rest: float) -> Tensor:
        """The gaps for which ``r^2 / gap`` is the room between ``s`` and an upper bound of it."""
        values, residuals = self.ritz()
        room = self.bounds((1.02 * rest) ** 2).clamp_min(0).sqrt() - values
        return (residuals.square() / room.clamp_min(1e-300)).clamp_min(1e-300)[: len(wanted)]

    def limit(self, wanted: Tensor) -> float:
        """None: residuals of small singular values go on falling below the floor."""
        return 0.0

    def restart(self, keep: int) -> None:
        """Thick restart: the leading ``keep`` Ritz triplets and the waiting block stay."""
        self.check_range()
        if self.images is not None:
            turn(self.images[: self.filled], self.solve()[1][:, :keep])
        super().restart(keep)

    def triplets(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Leading ``k`` values, float64, with vectors as columns, ``(m, k)`` and ``(n, k)``.

        The last call: it lets basis and images go.
        """
        right, small = self.vectors(k).T, self.solve()[1][:, :k]
        self.basis = self.basis[:0].clone()
        if self.images is None:
            long = right.new_empty(k, self.op.shape[0])
            for here, part in zip(long.split(BLOCK), right.split(BLOCK), strict=True):
                here.copy_(self._products(self.op, part))
        else:
            long = self._turned(self.images, small)
            self.images = None
        sizes = _to_unit(long) / _to_unit(right)
        overlap = gram(long)
        with one_thread(overlap):  # of D L with L L^T = I + E: eigenvalues would be squares again
            lower, failed = torch.linalg.cholesky_ex(overlap)
            if failed:  # vectors that depend on each other, far below s_1
                near_one, axes = torch.linalg.eigh(overlap)
                lower = axes * near_one.clamp_min(0).sqrt()
            turned, values, _ = torch.linalg.svd(sizes[:, None] * lower)
        apart = overlap.fill_diagonal_(0.0).abs().max()
        if float(apart) > 4 * torch.finfo(long.dtype).eps:
            turn(long, sizes[:, None] * turned / values.clamp_min(1e-300))
            turn(right, turned)
        return values, long.T, right.T


def reach(dtype: torch.dtype) -> float:
    """``s / s_1`` down to which the squares leave the subspace as good as two bases would."""
    return 16 * torch.finfo(dtype).eps ** 0.5


def gram(rows: Tensor) -> Tensor:
    """Gram matrix of unit rows, ``(k, k)``, float64, on the CPU; sums over slices of long rows."""
    out = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    for part in rows.split(SLICE, dim=1):
        out += (part @ part.T).double()
    return out.fill_diagonal_(1.0).cpu()


def _to_unit(rows: Tensor) -> Tensor:
    """Scale rows to unit length in place; their lengths, float64, on the CPU."""
    sizes = lengths(rows).clamp_min(torch.finfo(rows.dtype).tiny)
    rows /= sizes[:, None]
    return sizes.double().cpu()
