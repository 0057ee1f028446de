"""Eigenpairs of symmetric operators: which method, and how far to trust it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..results import told
from ._autocast import without_autocast
from ._check import (
    budget_beside,
    check_choice,
    check_count,
    check_products,
    check_seed,
    check_square,
    check_start,
    check_symmetric,
    check_tolerance,
)
from ._dense import check_eigh_memory, dense_eigh, eigh_bytes
from ._operator import LinearOperator, as_operator
from ._rescale import rescaled, unscaled
from ._result import EighResult, judged
from ._rooted import rooted_eigh
from ._svd import small_enough
from .krylov._driver import DenseIsCheaper
from .krylov._plan import BLOCK, block_size, make_plan
from .krylov._runs import krylov_eigh

EIGH_METHODS = ("auto", "dense", "krylov")
WHICH = ("largest", "smallest", "magnitude")


@told
@without_autocast
def eigh(
    op: LinearOperator | Tensor,
    k: int,
    tol: float = 1e-4,
    *,
    which: str = "largest",
    method: str = "auto",
    memory_budget: int | None = None,
    seed: int = 0,
    start: Tensor | None = None,
    max_products: int | None = None,
) -> EighResult:
    """Eigenvalues ``A v = l v`` of a symmetric operator, with residuals and a verdict.

    Args:
        op: A nakami operator or a dense 2-d tensor, symmetric, shape ``(n, n)``.
        k: How many values, 1 to n.
        tol: Bound on the relative error of each value (``errors`` of the result).
        which: ``"largest"`` or ``"smallest"`` by sign and size, or ``"magnitude"``: largest size.
        method: ``"auto"``, or force ``"dense"`` (float64 LAPACK) or ``"krylov"`` (block Lanczos
            with restarts; falls back on dense where n < k + 56).
        memory_budget: Bytes the method may hold beyond the operator itself; default 1 GiB, or
            eight vectors where these are more.
        seed: Seed of the random start block; the global random state is not touched.
        start: Guesses of eigenvectors, ``(n, p)``, Krylov only; they take the place of random
            ones in the start block (sums of them where they are more).
        max_products: Bound on columns multiplied, Krylov only; default ``40 k + 2000``. The first
            k directions and a closing search (16 products at most, by magnitude 32) are made in
            any case.

    Returns:
        An ``EighResult``. A result with ``converged=False`` also warns (``NotConvergedWarning``).

    Raises:
        UsageError: An argument out of range, or ``op`` not symmetric (one random pair is tried).
        RunError: A product is NaN or infinite.

    Cost: dense, n products and one dense problem; Krylov, 2.5 k + 35 products or so where values
    stand apart, and ``n (2.5 k)^2`` flops. One value alone (on a CPU; not by magnitude) takes 10 to
    25: no search closes it, for a value beyond 1.1 times the one found has a chance of 0.001 at
    most over random starts. ``"auto"`` goes by size and budget alone: dense where
    the matrix fits the budget and k > n/6 or n is at most 5 k + 64 (1024 for a matrix whose entries
    are cheap). An operator that offers a root ``R``, ``A = R^T R``, with fewer rows than n
    (``nakami.fisher`` of few samples) goes through ``nakami.svd`` of that: vectors are held and
    orthogonalised on the short side; two products, with ``R`` or its transpose, count as one.
    """
    a = as_operator(op)
    k = _check(a, k, tol, which, method, max_products)
    # By magnitude no upper bound shows the half of a cluster: wide blocks.
    block = BLOCK if which == "magnitude" else block_size(k, a, symmetric=True)
    warm = check_start(start, a, block)
    seed, budget = check_seed(seed), budget_beside(memory_budget, a.shape[0], a.dtype)
    with torch.no_grad():
        root = a.root if method == "auto" and which != "smallest" else None
        if root is not None and not k <= min(root.shape) < a.shape[0]:
            root = None
        alone = root is not None and block == 1  # symmetric as it is made, rescaled on the way
        moderate, power, tried = (a, 0, 0) if alone else rescaled(a, seed)
        if not alone:
            check_symmetric(moderate, seed)
            tried += 2
        if root is not None:
            pairs = rooted_eigh(a, root, k, tol, budget, max_products, seed, warm)
            found = unscaled(pairs, 0, tried)
        elif _dense(a, k, method, budget):
            found = unscaled(dense_eigh(moderate, k, which), power, tried)
        else:
            plan = make_plan(a, k, tol, budget, max_products, "symmetric", block)
            if method == "auto" and eigh_bytes(a) <= budget:
                plan = replace(plan, dense_at=a.shape[0])
            try:
                pairs = krylov_eigh(moderate, plan, which, seed, warm)
            except DenseIsCheaper as missed:
                pairs, tried = dense_eigh(moderate, k, which), tried + missed.spent
            found = unscaled(pairs, power, tried)
    shared = judged("eigh", a, found, tol, {"which": which, "seed": seed})
    assert found.right is not None
    return EighResult(vectors=found.right, **shared)


def _dense(op: LinearOperator, k: int, method: str, budget: int) -> bool:
    """Whether the dense method runs; refuses it where the budget is too small."""
    n = op.shape[0]
    if n < k + 7 * BLOCK:  # no room for a basis
        check_eigh_memory(op, budget, "raise it")
        return True
    if method == "dense":
        check_eigh_memory(op, budget, "raise it, or let the Krylov method work")
        return True
    return method == "auto" and eigh_bytes(op) <= budget and small_enough(op, n, k)


def _check(
    op: LinearOperator, k: int, tol: float, which: str, method: str, max_products: int | None
) -> int:
    check_square(op)
    check_choice("method", method, EIGH_METHODS, "use 'auto'")
    check_choice("which", which, WHICH, "use 'largest'")
    check_tolerance(op, tol)
    check_products(max_products)
    return check_count("k", k, op.shape[0], "the side of the matrix", "pass a smaller k")
