"""Orthonormal rows: the one place where the Krylov methods keep their bases orthogonal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .. import _lapack
from .._threads import one_thread

SLICE = 1 << 14  # columns of one step of a sum over long rows
CLEAN = 0.05  # of a block is left after projection, or it is projected again
TURN_BYTES = 16 << 20  # of a slice of the basis

Draw = Callable[[int, Tensor, Tensor], Tensor]


def orthonormal(
    rows: Tensor, basis: Tensor, first: int, scale: float, draw: Draw
) -> tuple[Tensor, Tensor, Tensor]:
    """Split ``rows = above @ basis + below @ block`` with orthonormal ``block`` rows.

    In exact arithmetic the rows are coupled to the basis from ``first`` on only. Removing that
    part first leaves rounding for the one pass over the whole basis, which is then stable.
    Directions below the rounding of ``scale`` are dropped from ``below`` and replaced by those of
    ``draw`` in ``block``, so that a rank-deficient matrix does not end the search early.
    """
    eps = torch.finfo(rows.dtype).eps
    above = torch.zeros(len(rows), len(basis), dtype=torch.float64)
    size = scale
    if len(basis):
        rows, above[:, first:] = project(rows, basis[first:])
        size = float(lengths(rows).max())
        rows, more = project(rows, basis)
        above = above + more
    q, u, s, vh = thin(rows)
    block = (q @ u.to(q)).T.contiguous()
    weak = s <= 10 * eps * scale
    below = vh.T * s.masked_fill(weak, 0.0)
    if float(s[-1]) <= CLEAN * size:  # rounding, blown up by the division by s
        q, r = torch.linalg.qr(project(block, basis)[0].T)
        q = q / lengths(q.T)
        block = (q * torch.where(r.diagonal() < 0, -1.0, 1.0)).T.contiguous()
    if weak.any():
        block[weak] = draw(int(weak.sum()), basis, block[~weak])
    return block, above, below


def random_rows(count: int, basis: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    """Random unit rows, orthogonal to each other, to ``basis`` and to ``others``."""
    draw = torch.randn(count, basis.shape[1], generator=generator, dtype=torch.float64)
    rows = draw.to(basis)
    for _ in range(3):
        for against in (basis, others):
            rows = rows - (rows @ against.T) @ against
        rows = torch.linalg.qr(rows.T)[0].T
    return rows


def project(rows: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Remove the components along ``basis``; one pass, which leaves ``eps |removed| / |left|``."""
    along = rows @ basis.T  # this way round it is read once, and fast
    return torch.addmm(rows, along, basis, alpha=-1), along.double().cpu()


def turn(basis: Tensor, small: Tensor, out: Tensor | None = None) -> Tensor:
    """``small.T @ basis``, ``(keep, n)``, written to ``out`` or over the leading rows of ``basis``.

    ``basis`` is ``(c, n)``, ``small`` ``(c, keep)``. Slice by slice, so that in place it needs
    hardly any memory.
    """
    to = basis[: small.shape[1]] if out is None else out
    at = 0
    for part in turned(basis, small):
        to[:, at : at + part.shape[1]] = part
        at += part.shape[1]
    return to


def turned(basis: Tensor, small: Tensor) -> Iterator[Tensor]:
    """``small.T @ basis`` in slices of columns, ``(keep, width)`` each."""
    mix = small.T.to(basis).contiguous()
    width = min(SLICE, max(1, TURN_BYTES // (basis.itemsize * max(1, len(basis)))))
    for part in basis.split(width, dim=1):
        yield mix @ part


def thin(rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``rows.T = q u s vh`` with the small factors in float64 on the CPU.

    LAPACK's columns of q are too long by up to 6e-6 in float32 at 150 000 components: it sums in
    order. They are scaled again.
    """
    q, r = torch.linalg.qr(rows.T)
    sizes = lengths(q.T)
    with one_thread(r):
        u, s, vh = _lapack.svd((r * sizes[:, None]).double().cpu())
    return q / sizes, u, s, vh


def lengths(rows: Tensor) -> Tensor:
    """Euclidean lengths of rows, ``(k,)``, by cascaded summation; for long rows in float32."""
    parts = [part.square().sum(1).double() for part in rows.split(SLICE, dim=1)]
    return torch.stack(parts).sum(0).sqrt().to(rows.dtype)
