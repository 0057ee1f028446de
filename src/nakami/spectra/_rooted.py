"""Eigenpairs of ``A = R^T R`` by its root ``R``, or by ``R R^T``, whose vectors are shorter."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ._check import folded
from ._dense import check_eigh_memory, dense_bytes, dense_eigh, eigh_bytes
from ._operator import Gram, LinearOperator, finite
from ._rescale import moderate, rescaled, rescaled_product, scaled, squares_end, unscaled
from ._result import ROWS, Found, nearest_shifts, residuals_of
from ._svd import choose, small_enough, triplets
from .krylov._lanczos import BlockLanczos
from .krylov._plan import BLOCK, block_size, make_plan
from .krylov._runs import converged
from .krylov._vector_lanczos import first_vector

REMEMBERED = 64  # part of the budget that may hold what products went through
NEAR = 1e3  # times eps: how far from a sum of vectors met a vector may lie to be taken for it


class Remembered(Gram):
    """``A A^T`` that keeps what ``A^T`` made of its vectors, while ``room`` bytes hold both."""

    def __init__(self, gram: Gram, room: int):
        super().__init__(gram.base)
        self.room, self._met, self._made = room, list[Tensor](), list[Tensor]()

    def _matmat(self, block: Tensor) -> Tensor:
        half = self.base._rmatmat(block)
        if self.room >= 0:
            self.room -= block.nbytes + half.nbytes
            self._met.append(block.clone())
            self._made.append(half)
            if self.room < 0:
                self._met, self._made = [], []
        return self.base._matmat(half)

    _rmatmat = _matmat

    def lifted(self, vectors: Tensor) -> Tensor | None:
        """``A^T vectors``, ``(m, k)``, without a product; None of what is no sum of those met."""
        if not self._met:
            return None
        met = torch.cat(self._met, 1)
        shares = torch.linalg.lstsq(met.cpu().double(), vectors.cpu().double()).solution.to(met)
        off = (met @ shares - vectors).norm()
        if not off <= NEAR * torch.finfo(met.dtype).eps * vectors.norm():
            return None
        return torch.cat(self._made, 1) @ shares


def rooted_eigh(
    op: LinearOperator,
    root: LinearOperator,
    k: int,
    tol: float,
    budget: int,
    products: int | None,
    seed: int,
    start: Tensor | None,
) -> Found:
    """Eigenpairs of ``A = R^T R``: ``l = s^2`` with the right singular vectors of ``R``.

    A shift of ``d`` in ``s`` is one of ``2 s d + d^2`` in ``l``, so that half the tolerance is
    asked for. Residuals are measured with ``A`` itself.
    """
    how = choose(root, k, budget, k == min(root.shape))
    dual = root.gram()
    short = dual.shape[0]
    cheap = small_enough(dual, short, k) and eigh_bytes(dual) <= budget and dual.stored
    if cheap or (short < k + 7 * BLOCK and dense_bytes(root) > budget):
        check_eigh_memory(dual, budget, "raise it")
        return _lifted(op, root, dual, k)
    if block_size(k, op, symmetric=True) == 1 and short >= k + 7 * BLOCK:
        return _alone(op, root, dual, tol, budget, products, seed, start)
    found = triplets(root, k, tol / 2, how, budget, products, seed, start)
    assert found.right is not None
    values = found.values.square()
    r = _measured(op, found.right, values)
    shifts = 2 * found.values * found.shifts + found.shifts.square()
    # Of R v = s u + e, R^T u = s v + f, |A v - s^2 v| is at most (s_1 + s) max(|e|, |f|).
    expected = (found.top + found.values) * found.residuals
    shifts = _not_of_root(op, r, expected, found.top**2, shifts)
    settings = {**found.settings, "method": "root", "root": found.settings["method"]}
    if "level" in settings:
        settings["level"] **= 2
    spent, top = (found.n_products + 1) // 2 + k, float(values[0])
    return Found(values, None, found.right, r, shifts, spent, settings, top, found.stopped)


def _alone(
    op: LinearOperator,
    root: LinearOperator,
    dual: Gram,
    tol: float,
    budget: int,
    products: int | None,
    seed: int,
    start: Tensor | None,
) -> Found:
    """The largest eigenvalue of ``R^T R`` by that of ``R R^T``, whose vectors are shorter.

    The product that shows the size of the matrix is the first step: of ``v``, the run starts with
    ``A v``, whose share of an eigenvector is that of ``v`` times its value. What ``R^T`` made of
    the vectors on the way gives the eigenvector of ``A``. The residual is that of ``A`` itself,
    which takes the one product that would be spent on ``R R^T``.
    """
    plan = make_plan(dual, 1, tol, budget, products, "symmetric", 1)
    generator = torch.Generator().manual_seed(seed)
    guess = None if start is None else finite(root @ folded(start, 1))
    v, needed = first_vector(dual, generator, guess)
    halves = isinstance(dual, Gram) and dual.by_halves
    through = Remembered(dual, budget // REMEMBERED) if halves else dual
    near_one, power, image, spent = rescaled_product(through, v)
    length = float(image.double().norm())
    if length == 0:
        image, length = v, 1.0

    def odds(key: float) -> float:
        return needed + math.log(length) - math.log(max(key, 1e-300))

    def lift(vectors: Tensor) -> Tensor:
        long = through.lifted(vectors) if isinstance(through, Remembered) else None
        long = finite(dual.root @ vectors) if long is None else long
        size = torch.stack([part.double().norm() for part in long.split(ROWS)]).norm()
        if size == 0:  # of the zero matrix any vector is one
            long[0], size = 1.0, torch.ones_like(size)
        return long.div_(size.to(long))

    generator = torch.Generator().manual_seed(seed)
    run = BlockLanczos(near_one, plan, generator, "largest", image / length, odds)
    found = converged(run, lift=(scaled(op, -power), lift))
    expected, top = run.ritz()[1][:1].to(found.residuals), found.top
    shifts = _not_of_root(op, found.residuals, 2 * expected, top, found.shifts)
    settings = {**found.settings, "method": "root", "root": "krylov", "side": "dual"}
    if start is not None:
        settings["start_block"] = 1
        spent += 1
    return unscaled(replace(found, shifts=shifts, settings=settings), power, spent)


def _lifted(op: LinearOperator, root: LinearOperator, dual: LinearOperator, k: int) -> Found:
    """The same from ``R R^T``, dense: its entries are cheap, or a few rows too long to be held."""
    found, spent = dense_eigh(dual, k, "largest"), 0
    if found.top < squares_end(dual.dtype):  # they are zero, or have lost digits
        near_one, power, spent = rescaled(dual, 0)
        found = unscaled(dense_eigh(near_one, k, "largest"), power, spent)
    assert found.right is not None
    v = torch.linalg.qr(root.T @ found.right)[0]
    v = v / v.double().norm(dim=0).to(v)
    r = _measured(op, v, found.values)
    spent += 2 * k + (0 if dual.stored else dual.shape[0])
    settings = {"method": "root", "root": "dual", "gram_rows": dual.shape[0]}
    assert found.gaps is not None
    near = nearest_shifts(r, found.gaps)
    shifts = _not_of_root(op, r, torch.zeros_like(r), found.top, near)
    return Found(found.values, None, v, r, shifts, spent, settings, found.top)


def _not_of_root(
    op: LinearOperator, r: Tensor, expected: Tensor, top: float, shifts: Tensor
) -> Tensor:
    """``shifts``, or the residual itself where it is more than the root lets expect, ``(k,)``.

    Then the matrix is not that of the root, and the values are not its Rayleigh quotients.
    """
    rounding = 1e3 * torch.finfo(op.dtype).eps * top
    return torch.where(r > expected + rounding, r.maximum(shifts), shifts)


def _measured(op: LinearOperator, v: Tensor, values: Tensor) -> Tensor:
    """Residuals ``|A v - l v|``, ``(k,)``, of a matrix with entries of any size."""
    near_one, power = moderate(op, float(values.abs().max()))
    return residuals_of(near_one, values * 2.0**-power, None, v) * 2.0**power
