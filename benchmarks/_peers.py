"""What else gives the largest singular values of a Jacobian: SciPy, and torch's own rules.

Each function takes the flat map ``f: (n,) -> (m,)``, the point ``(n,)`` and ``k``, and returns
values (descending) and the products it made; ``prepare`` functions build what is multiplied.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Products:
    """``J v`` and ``J^T u``, counted; forward mode through a kept linearisation, or run again."""

    def __init__(self, f: Callable[[Tensor], Tensor], x: Tensor, linearised: bool = True):
        output, pull = torch.func.vjp(f, x)
        self.shape, self.dtype = (output.numel(), x.numel()), x.dtype
        self.pull = lambda u: pull(u)[0]
        if linearised:
            self.push = torch.func.linearize(f, x)[1]
        else:
            self.push = lambda v: torch.func.jvp(f, (x,), (v,))[1]
        self.forward = self.reverse = 0

    def block(self, v: Tensor) -> Tensor:
        """``J V``, 32 columns at a time."""
        self.forward += v.shape[1]
        return torch.vmap(self.push, 1, 1, chunk_size=32)(v)

    def block_back(self, u: Tensor) -> Tensor:
        """``J^T U``, 32 columns at a time."""
        self.reverse += u.shape[1]
        return torch.vmap(self.pull, 1, 1, chunk_size=32)(u)

    def matvec(self, v: np.ndarray) -> np.ndarray:
        """For SciPy: one vector."""
        self.forward += 1
        return self.push(torch.from_numpy(v.ravel().copy()).to(self.dtype)).numpy()

    def rmatvec(self, u: np.ndarray) -> np.ndarray:
        """For SciPy: one vector, transposed."""
        self.reverse += 1
        return self.pull(torch.from_numpy(u.ravel().copy()).to(self.dtype)).numpy()


def svds(products: Products, k: int, tol: float, solver: str = "arpack") -> np.ndarray:
    """SciPy's ``svds``, values alone (its cheapest way); descending, float64."""
    from scipy.sparse import linalg

    kind = np.float64 if products.dtype == torch.float64 else np.float32
    matrix = linalg.LinearOperator(
        products.shape, matvec=products.matvec, rmatvec=products.rmatvec, dtype=kind
    )
    start = np.random.default_rng(0).standard_normal(min(products.shape)).astype(kind)
    options: dict[str, Any] = {"v0": start, "tol": tol, "solver": solver}
    found = linalg.svds(matrix, k=k, return_singular_vectors=False, **options)
    return np.sort(found.astype(np.float64))[::-1]


def dense_gram(
    f: Callable[[Tensor], Tensor], x: Tensor, k: int, dtype: torch.dtype | None = None
) -> np.ndarray:
    """All rows by ``jacrev``, 64 at a time, then eigenvalues of ``J J^T`` in float64.

    ``dtype``: of the Gram matrix; None: that of the rows.
    """
    matrix = torch.func.jacrev(f, chunk_size=64)(x).to(dtype or x.dtype)
    squares = torch.linalg.eigvalsh((matrix @ matrix.T).double())
    return squares.flip(0).clamp_min(0).sqrt()[:k].numpy()


def lowrank(
    products: Products, k: int, rounds: int, enough: Callable[[np.ndarray], bool], seconds: float
) -> tuple[np.ndarray, int]:
    """The rule of ``torch.svd_lowrank`` with ``q = k + 10``: subspace iteration.

    Stops after ``rounds`` (its ``niter``), or earlier when the values are ``enough`` or the CPU
    time is spent. The values of a round are those of ``J^T Q``, as at the end of the rule.
    """
    n, began = products.shape[1], time.process_time()
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(n, k + 10, generator=generator).to(products.dtype)
    q = torch.linalg.qr(products.block(start))[0]
    done = 0
    while True:
        back, small = torch.linalg.qr(products.block_back(q))
        values = torch.linalg.svdvals(small.double())[:k].numpy()
        if done == rounds or enough(values) or time.process_time() - began > seconds:
            return values, done
        q = torch.linalg.qr(products.block(back))[0]
        done += 1
