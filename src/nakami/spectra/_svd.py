"""Singular values of operators: which method, within which memory, and how far to trust it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..results import told, wrong
from ._autocast import without_autocast
from ._check import (
    check_budget,
    check_choice,
    check_count,
    check_filled,
    check_products,
    check_seed,
    check_start,
    check_tolerance,
)
from ._dense import check_dense_memory, dense_bytes, dense_svd, gram_svd
from ._operator import LinearOperator, as_operator
from ._rescale import rescaled, unscaled
from ._result import Found, SVDResult, judged
from .krylov._driver import DenseIsCheaper
from .krylov._plan import BLOCK, block_size, make_plan
from .krylov._runs import krylov_svd

METHODS = ("auto", "dense", "gram", "krylov")
ENDS = ("largest", "smallest")
FOLDED = 8  # vectors of a warm start in one sum: more cost products (168 against 116 at k = 20)
SMALL_SIDE = 1024  # up to here the small dense problem costs less than a Krylov run


@told
@without_autocast
def svd(
    op: LinearOperator | Tensor,
    k: int | None = None,
    tol: float = 1e-4,
    vectors: bool = True,
    *,
    which: str = "largest",
    method: str = "auto",
    memory_budget: int | None = None,
    seed: int = 0,
    start: Tensor | None = None,
    max_products: int | None = None,
) -> SVDResult:
    """Largest singular values and vectors of an operator, with residuals and a verdict.

    Args:
        op: A nakami operator or a dense 2-d tensor, shape ``(m, n)``.
        k: How many values, 1 to min(m, n); None for all, where the matrix fits the budget.
        tol: Bound on the relative error of each value (``errors`` of the result).
        vectors: Whether to return the singular vectors. Without them a Krylov run takes values from
            its small matrices, as far as their rounding leaves three quarters of ``tol``, and the
            others from vectors it need not keep; all else is judged alike.
        which: ``"largest"``, or ``"smallest"`` where the dense matrix fits the budget.
        method: ``"auto"``, or force ``"dense"`` (float64 LAPACK), ``"gram"`` (Gram matrix of the
            smaller side, float64) or ``"krylov"`` (block Lanczos with restarts).
        memory_budget: Bytes for the basis, the returned vectors and blocks of products (Krylov),
            or for the dense matrix; default 1 GiB.
        seed: Seed of the random start block; the global random state is not touched.
        start: Guesses of right singular vectors, ``(n, p)``, Krylov only; sums of them take the
            place of random ones in the start block. Pays for a few values (k = 10: 48 products in
            place of 76); for 20 or more it saves nothing.
        max_products: Bound on columns multiplied, Krylov only; default ``40 k + 2000``. The first
            k directions and a closing search (32 products at most) are made in any case.

    Returns:
        An ``SVDResult``. A result with ``converged=False`` also warns (``NotConvergedWarning``).

    Raises:
        UsageError: An argument out of range, or a budget too small.
        RunError: A product is NaN or infinite.

    Cost: dense and Gram, min(m, n) products and one small dense problem; Krylov, about 3.5 k to 6 k
    products and ``4 min(m, n) (2 k)^2`` flops, with two bases ``4 (m + n) (2 k)^2``. The vectors
    take ``4 (m + n) k^2`` flops more: 2 to 6 % of the time at k = 200; the dense methods make them
    in any case.
    """
    a = as_operator(op)
    k, everything = _check(a, k, tol, method, which, max_products)
    seed, budget = check_seed(seed), check_budget(memory_budget)
    block = block_size(k, a)
    warm = check_start(start, a, block, FOLDED * block)
    if which == "smallest":
        method = _dense_end(a, method, budget)
    free = method == "auto"
    if free:
        method = choose(a, k, budget, everything)
    with torch.no_grad():
        most = min(a.shape) if which == "smallest" else k
        found = triplets(a, most, tol, method, budget, max_products, seed, warm, vectors, free)
    if which == "smallest":
        found = _last(found, k)
    shared = judged("svd", a, found, tol, {"seed": seed})
    left, right = (found.left, found.right) if vectors else (None, None)
    return SVDResult(left=left, right=right, moments=found.moments, **shared)


def triplets(
    op: LinearOperator,
    k: int,
    tol: float,
    method: str,
    budget: int,
    products: int | None,
    seed: int,
    start: Tensor | None = None,
    vectors: bool = True,
    free: bool = True,
) -> Found:
    """The leading ``k`` triplets by one of the methods, not yet judged.

    ``free``: a Krylov run that turns out to cost more than the dense matrix may give way to it.
    """
    whole = "dense" if op.dtype == torch.float64 else "gram"
    if method == "krylov" and min(op.shape) < k + 7 * BLOCK:
        method = whole  # no room for a basis
    if method == "krylov":
        make_plan(op, k, tol, budget, products, "one")  # a tiny budget is refused before a product
    else:
        check_dense_memory(op, budget)
    moderate, power, spent = rescaled(op, seed)
    if method == "krylov":
        dense_at = min(op.shape) if free and dense_bytes(op) <= budget else None
        try:
            run = krylov_svd(moderate, k, tol, budget, products, seed, start, vectors, dense_at)
            return unscaled(run, power, spent)
        except DenseIsCheaper as missed:
            method, spent = whole, spent + missed.spent
    found = (dense_svd if method == "dense" else gram_svd)(moderate, k)
    return unscaled(found, power, spent)


def choose(op: LinearOperator, k: int, budget: int, everything: bool) -> str:
    """The rule behind ``method="auto"``, by shape, dtype and budget alone (so results repeat).

    Dense where the matrix fits the budget and all values are asked for, or the dense matrix is
    cheaper than a Krylov run (``small_enough``); there float64 takes LAPACK's SVD, anything shorter
    the Gram matrix in float64. Krylov otherwise.
    """
    small = min(op.shape)
    dense = dense_bytes(op) <= budget and (everything or small_enough(op, small, k))
    if not dense:
        return "krylov"
    return "dense" if op.dtype == torch.float64 else "gram"


def small_enough(op: LinearOperator, side: int, k: int) -> bool:
    """Whether ``side`` products, few where the entries are stored, cost less than a Krylov run."""
    if 6 * k > side or side <= 5 * k + 64:
        return True  # one value alone takes 10 to 25
    return side <= SMALL_SIDE and op.stored and op.entries_cost <= 5 * k + 11


def _last(found: Found, k: int) -> Found:
    """The last ``k`` of all triplets, smallest first."""
    here = torch.arange(len(found.values) - 1, len(found.values) - k - 1, -1)
    here = here.to(found.values.device)
    assert found.left is not None  # of a dense method
    assert found.right is not None
    return replace(
        found,
        values=found.values[here],
        left=found.left[:, here],
        right=found.right[:, here],
        residuals=found.residuals[here],
        shifts=found.shifts[here],
    )


def _check(
    op: LinearOperator,
    k: int | None,
    tol: float,
    method: str,
    which: str,
    max_products: int | None,
) -> tuple[int, bool]:
    small = min(op.shape)
    check_filled(op)
    check_choice("method", method, METHODS, "use 'auto'")
    check_choice("which", which, ENDS, "use 'largest'")
    check_tolerance(op, tol)
    check_products(max_products)
    if k is None:
        return small, True
    k = check_count("k", k, small, "the smaller side", "pass a smaller k, or None for all")
    return k, k == small


def _dense_end(op: LinearOperator, method: str, budget: int) -> str:
    """A dense method for the smallest values, which Krylov steps hardly approach."""
    need = dense_bytes(op)
    if method == "krylov" or need > budget:
        raise wrong(
            "which",
            f"be 'largest' unless a dense method fits {{memory_budget}} ({need} bytes of {budget})",
            f"'smallest' with method '{method}'",
            "raise {memory_budget} and leave method 'auto'",
        )
    if method == "auto":
        return "dense" if op.dtype == torch.float64 else "gram"
    return method
