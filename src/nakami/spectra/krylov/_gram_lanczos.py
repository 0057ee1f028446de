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

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from .. import _lapack
from .._operator import LinearOperator
from .._result import root_errors
from .._threads import one_thread
from ._basis import SLICE, lengths, turn, turned
from ._complement import normal_product
from ._decomposition import grown
from ._lanczos import SymmetricDecomposition
from ._plan import BLOCK, Plan
from ._start_moments import StartMoments, lanczos_runs
from ._vector_lanczos import Product


class OutOfRange(Exception):
    """A value asked for lies too far below the largest for ``A^T A`` in this arithmetic."""


class GramLanczos(SymmetricDecomposition):
    """The growing decomposition; ``op`` must not be wider than tall."""

    rooted = True
    cost = 2

    def __init__(
        self,
        op: LinearOperator,
        plan: Plan,
        generator: torch.Generator,
        start: Tensor | None = None,
        strict: bool = True,
    ):
        super().__init__(op, plan, generator, start)
        self.images = self.basis.new_empty(plan.columns, op.shape[0]) if plan.images else None
        self.lowest = reach(op.dtype) if strict else 0.0
        self.starts = self.basis[: plan.block].clone() if start is None else None
        self.start_runs: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    def _images(self, at: int, end: int) -> Tensor:
        half = self._products(self.op, self.basis[at:end])
        if self.images is not None:
            self.images = grown(self.images, at, max(end, self.columns))
            self.images[at:end] = half
        return self._products(self.op.T, half)

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Ritz values, descending, and their residuals."""
        squares, _, residuals = self.solve()
        values = squares.clamp_min(0).sqrt()
        return values, residuals / values.clamp_min(self.floor(values)).clamp_min(1e-300)

    def product(self, side: int) -> Product:
        """``A^T A``; refused out of range, before products are spent on a search."""
        self.check_range()
        return normal_product(self.op)

    def check_range(self) -> None:
        """Raise ``OutOfRange`` where the values asked for, near their end, span too much."""
        values = self.ritz()[0]
        if float(values[self.plan.k - 1]) <= self.lowest * float(values[0]):
            raise OutOfRange

    def limit(self, keys: Tensor) -> float:
        """None: residuals of small singular values go on falling below the floor."""
        return 0.0

    def restart(self, keep: int) -> None:
        """Thick restart: the leading ``keep`` Ritz triplets and the waiting block stay."""
        self.check_range()
        self._keep_starts()
        if self.images is not None:
            turn(self.images[: self.filled], self.solve()[1][:, :keep])
        self._restart_basis(keep)

    def right(self, k: int) -> Tensor:
        """Leading ``k`` right vectors as columns, ``(n, k)``."""
        return self._turned(self.basis, self.solve()[1][:, :k]).T

    def found(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Leading ``k`` values, float64, with vectors as columns, ``(m, k)`` and ``(n, k)``.

        The last call: it lets basis and images go.
        """
        self._keep_starts()
        small = self.solve()[1][:, :k]
        right = self.right(k).T
        self.basis = self.basis[:0].clone()
        long = self._long(right) if self.images is None else self._turned(self.images, small)
        self.images = None
        sizes = _to_unit(long) / _to_unit(right)
        overlap = gram(long.split(SLICE, dim=1)).fill_diagonal_(1.0)
        turned_by, values = _graded(sizes, overlap)
        apart = overlap.fill_diagonal_(0.0).abs().max()
        if float(apart) > 4 * torch.finfo(long.dtype).eps:
            turn(long, sizes[:, None] * turned_by / values.clamp_min(1e-300))
            turn(right, turned_by)
        if self.starts is not None:
            known = (self.starts @ right.T).double().square().sum(1)
            self.moments = StartMoments(self.start_runs, known.cpu().numpy())
        return values, long.T, right.T

    def _keep_starts(self) -> None:
        """What the random start vectors show, before anything else joins the space."""
        if self.starts is not None and not self.start_runs:
            c = self.filled
            self.start_runs = lanczos_runs(self.core[:c, :c], self.tail)

    def values(self, k: int, allowed: Tensor) -> tuple[Tensor, int]:
        """Leading ``k`` values alone, float64, and how many of them are roots of eigenvalues.

        With products right to ``eps s_1``, an eigenvalue of ``A^T A`` is to ``2 eps s_1^2`` and its
        root, relatively, to ``eps (s_1/s)^2``: good enough where at most ``allowed``, ``(k,)``. The
        others come from the images of their Ritz vectors, as in ``found``, made slice by slice.
        """
        squares, small, _ = self.solve()
        roots = squares[:k].clamp_min(0).sqrt()
        fine = root_errors(self.op, roots, float(roots[0])) <= allowed
        first = int(fine.long().cumprod(0).sum())
        if first == k:
            return roots, k
        if self.images is None:
            slices = iter(self._long(self._turned(self.basis, small[:, first:k])).split(SLICE, 1))
        else:
            slices = turned(self.images[: self.filled], small[:, first:k])
        products = gram(slices)
        sizes = products.diagonal().clamp_min(1e-300).sqrt()
        low = _graded(sizes, products / (sizes[:, None] * sizes))[1]
        return torch.cat([roots[:first], low]).sort(descending=True).values, first

    def some(self, here: Tensor) -> tuple[Tensor, Tensor]:
        """Singular vectors of these places as columns, ``(m, p)`` and ``(n, p)``."""
        small = self.solve()[1][:, here.cpu()]
        right = self._turned(self.basis, small)
        long = self._long(right) if self.images is None else self._turned(self.images, small)
        _to_unit(long)
        _to_unit(right)
        return long.T, right.T

    def _long(self, right: Tensor) -> Tensor:
        """The images of rows, by products."""
        long = right.new_empty(len(right), self.op.shape[0])
        for here, part in zip(long.split(BLOCK), right.split(BLOCK), strict=True):
            here.copy_(self._products(self.op, part))
        return long


def reach(dtype: torch.dtype) -> float:
    """``s / s_1`` down to which the squares leave the subspace as good as two bases would."""
    return 16 * torch.finfo(dtype).eps ** 0.5


def gram(slices: Iterable[Tensor]) -> Tensor:
    """Gram matrix of rows, ``(k, k)``, float64, on the CPU; from slices of long rows."""
    total: Tensor | None = None
    for part in slices:
        here = (part @ part.T).double()
        here.diagonal().copy_(part.square().sum(1))  # a cascaded sum, which GEMM's is not
        total = here if total is None else total.add_(here)
    assert total is not None
    return total.cpu()


def _graded(sizes: Tensor, overlap: Tensor) -> tuple[Tensor, Tensor]:
    """``P`` and the values of ``D (I + E) D = P s^2 P^T``, from sizes ``D`` and overlaps ``I + E``.

    Of ``D L`` with ``L L^T = I + E``: eigenvalues would be squares again.
    """
    with one_thread(overlap):
        lower, failed = torch.linalg.cholesky_ex(overlap)
        if failed:  # vectors that depend on each other, far below s_1
            near_one, axes = _lapack.eigh(overlap)
            lower = axes * near_one.clamp_min(0).sqrt()
        turned_by, values, _ = _lapack.svd(sizes[:, None] * lower)
    return turned_by, values


def _to_unit(rows: Tensor) -> Tensor:
    """Scale rows to unit length in place; their lengths, float64, on the CPU."""
    sizes = lengths(rows).clamp_min(torch.finfo(rows.dtype).tiny)
    rows /= sizes[:, None]
    return sizes.double().cpu()
