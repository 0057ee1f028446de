"""Methods that see the whole matrix: LAPACK, and the Gram matrix of the smaller side."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..results import wrong
from . import _lapack
from ._operator import LinearOperator, finite
from ._residuals import residual_bounds
from ._result import Found, nearest_gaps, nearest_shifts
from ._threads import one_thread
from .krylov._lanczos import keys

CHUNK = 1 << 22  # elements of the long side converted to float64 at a time (32 MiB)


def dense_svd(op: LinearOperator, k: int) -> Found:
    """LAPACK's SVD of the dense matrix in float64; right for float64 operators of any rank."""
    matrix = finite(op.dense())
    a = matrix.double()
    with one_thread(a):
        u, s, vh = _lapack.svd(a, full_matrices=False)
    left, right = u[:, :k].to(op.dtype), vh[:k].T.to(op.dtype)
    u, v = left.double(), right.double()  # the residuals are of what is returned
    top = s[:k]

    def exact(at: Tensor) -> Tensor:
        forth = (a @ v[:, at] - u[:, at] * top[at]).norm(dim=0)
        return forth.maximum((a.T @ u[:, at] - v[:, at] * top[at]).norm(dim=0))

    residual = residual_bounds(lambda x: a @ x, lambda x: a.T @ x, exact, (u, top, v))
    return Found(
        top,
        left,
        right,
        residual,
        nearest_shifts(residual, nearest_gaps(s, k)),
        min(op.shape),
        {"method": "dense"},
        float(s[0]),
    )


def gram_svd(op: LinearOperator, k: int) -> Found:
    """Eigenvalues of ``A A^T`` (or ``A^T A``) on the smaller side, in float64.

    For float32 products the Gram matrix in float64 loses nothing: its floor, sqrt(eps64), lies
    below the rounding of the products themselves.
    """
    matrix = finite(op.dense())
    tall = matrix.shape[0] > matrix.shape[1]
    a = matrix.T if tall else matrix  # (p, long) with p <= long
    gram = a.new_zeros(a.shape[0], a.shape[0], dtype=torch.float64)
    for _, part in _columns(a):
        gram += part @ part.T
    with one_thread(gram):
        squares, vectors = _lapack.eigh(gram)
    order = torch.arange(a.shape[0] - 1, -1, -1, device=a.device)[:k]
    every = squares.flip(0).clamp_min(0).sqrt()
    small = vectors[:, order]  # (p, k)
    noise = torch.finfo(torch.float64).eps ** 0.5 * float(every[0])
    long, values = _other_side(a, small, noise)
    small = small.to(op.dtype)
    u, v = (long, small) if tall else (small, long)
    residual = _residuals(a, small, long, values)
    return Found(
        values,
        u,
        v,
        residual,
        nearest_shifts(residual, nearest_gaps(every, k)),
        min(op.shape),
        {"method": "gram"},
        float(values[0]),
    )


def dense_bytes(op: LinearOperator) -> int:
    """Bytes the dense methods hold at their peak."""
    m, n = op.shape
    small, item = min(m, n), op.dtype.itemsize
    return 2 * m * n * item + 3 * 8 * small * small


def eigh_bytes(op: LinearOperator) -> int:
    """Bytes the dense method holds at its peak."""
    n = op.shape[0]
    return n * n * (op.dtype.itemsize + 3 * 8)


def check_eigh_memory(op: LinearOperator, budget: int, way_out: str) -> None:
    """Refuse a budget that the dense method does not keep."""
    n, need = op.shape[0], eigh_bytes(op)
    if need > budget:
        rule = f"hold the dense {n} x {n} matrix ({need} bytes)"
        raise wrong("memory_budget", rule, f"{budget} bytes", way_out)


def dense_eigh(op: LinearOperator, k: int, which: str) -> Found:
    """LAPACK's ``eigh`` of the dense matrix, ``(A + A^T)/2`` in float64."""
    a = finite(op.dense()).double()
    a = (a + a.T) / 2
    with one_thread(a):
        every, vectors = _lapack.eigh(a)
    order = keys(every, which).argsort(descending=True, stable=True)[:k]
    values, returned = every[order], vectors[:, order].to(op.dtype)
    v = returned.double()  # the residuals are of what is returned
    r = (a @ v - v * values).norm(dim=0)
    gaps = nearest_gaps(every, len(every))[order]
    top, shifts = float(every.abs().max()), nearest_shifts(r, gaps)
    made, settings = op.shape[0], {"method": "dense"}
    return Found(values, None, returned, r, shifts, made, settings, top, gaps=gaps)


def _columns(a: Tensor) -> Iterator[tuple[slice, Tensor]]:
    width = max(1, CHUNK // max(1, a.shape[0]))
    for start in range(0, a.shape[1], width):
        stop = min(start + width, a.shape[1])
        yield slice(start, stop), a[:, start:stop].double()


def _other_side(a: Tensor, small: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """``A^T u`` gives the value (its length) and the other vector."""
    long = torch.cat([(part.T @ small).to(a.dtype) for _, part in _columns(a)])  # (long, k)
    values = long.double().norm(dim=0)
    # Eigenvectors mix by eps (s_1/s)^2, so below 1e-4 s_1 the columns need it said again.
    weak = values <= 1e-4 * values.amax().clamp_min(1e-300)
    long = long / values.clamp_min(1e-300).to(a.dtype)
    long[:, values <= noise] = 0  # rounding of the larger ones: any other direction is better
    if weak.any():
        long[:, weak] = _orthonormal(long[:, weak], long[:, ~weak])
    return long, values


def _residuals(a: Tensor, small: Tensor, long: Tensor, values: Tensor) -> Tensor:
    """``max(|A v - s u|, |A^T u - s v|)`` of the vectors as they are returned, in float64."""
    u = small.double()
    back, forth = torch.zeros_like(u), torch.zeros_like(values)
    for here, part in _columns(a):
        v = long[here].double()
        back += part @ v
        forth += (part.T @ u - v * values).square().sum(0)
    return (back - u * values).norm(dim=0).maximum(forth.sqrt())


def _orthonormal(directions: Tensor, basis: Tensor) -> Tensor:
    """Unit vectors near ``directions``, orthogonal to ``basis`` and to each other."""
    q = basis.double()
    noise = torch.Generator().manual_seed(0)
    shake = torch.randn(directions.shape, generator=noise, dtype=torch.float64).to(q.device)
    fresh = directions.double().nan_to_num() + 1e-8 / len(q) ** 0.5 * shake
    for _ in range(2):
        rest = fresh - q @ (q.T @ fresh)
        with one_thread(rest):
            fresh, r = torch.linalg.qr(rest)
        fresh = fresh * torch.where(r.diagonal() < 0, -1.0, 1.0)  # QR may flip a direction
    return fresh.to(basis.dtype)


def check_dense_memory(op: LinearOperator, budget: int) -> None:
    need = dense_bytes(op)
    if need > budget:
        m, n = op.shape
        raise wrong(
            "memory_budget",
            f"hold the dense {m} x {n} matrix ({need} bytes)",
            f"{budget} bytes",
            ["raise it", "give {k}, so that the Krylov method works"],
        )
