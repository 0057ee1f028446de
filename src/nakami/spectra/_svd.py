"""The front door of the engine: which method, within which memory, and how far to trust it."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from ..results import NotConvergedWarning, wrong
from ._dense import dense_svd, gram_svd
from ._krylov import CHECK_PRODUCTS, CHECKS, WIDTH, BlockKrylov, Plan, search
from ._operator import LinearOperator, as_operator
from ._result import SVDResult, Triplets, estimated_errors

METHODS = ("auto", "dense", "gram", "krylov")
DEFAULT_BUDGET = 1 << 30  # bytes
SMALL_SIDE = 1024  # up to here the small dense problem costs less than a Krylov run
BLOCK = 8


def svd(
    op: LinearOperator | Tensor,
    k: int | None = None,
    tol: float = 1e-4,
    vectors: bool = True,
    *,
    method: str = "auto",
    memory_budget: int | None = None,
    seed: int = 0,
    max_products: int | None = None,
) -> SVDResult:
    """Largest singular values and vectors of an operator, with residuals and a verdict.

    Args:
        op: A nakami operator or a dense 2-d tensor, shape ``(m, n)``.
        k: How many values, 1 to min(m, n); None for all, where the matrix fits the budget.
        tol: Bound on the estimated relative error of each value, ``min(r, r^2/gap)/s``.
        vectors: Whether to return the singular vectors (they are computed in any case).
        method: ``"auto"``, or force ``"dense"`` (float64 LAPACK), ``"gram"`` (Gram matrix of the
            smaller side, float64) or ``"krylov"`` (block Golub-Kahan with restarts).
        memory_budget: Bytes the method may hold beyond the operator itself; default 1 GiB.
        seed: Seed of the random start block; the global random state is not touched.
        max_products: Bound on columns multiplied, Krylov only; default ``40 k + 2000``.

    Returns:
        An ``SVDResult``. A result with ``converged=False`` also warns (``NotConvergedWarning``).

    Raises:
        UsageError: ``k``, ``tol``, ``method`` or the budget out of range.
        RunError: A product is NaN or infinite.

    Cost: dense and Gram, min(m, n) products and one small dense problem; Krylov, about 4 k to 8 k
    products and ``(m + n) (2.5 k)^2`` flops.
    """
    a = as_operator(op)
    k, everything = _check(a, k, tol, method)
    budget = DEFAULT_BUDGET if memory_budget is None else memory_budget
    if method == "auto":
        method = choose(a, k, budget, everything)
    if method == "krylov" and min(a.shape) < k + 7 * BLOCK:
        method = "dense" if a.dtype == torch.float64 else "gram"  # no room for a basis
    with torch.no_grad():
        if method == "krylov":
            found = krylov_svd(a, _plan(a, k, tol, budget, max_products), seed)
        else:
            _check_dense_memory(a, budget)
            found = (dense_svd if method == "dense" else gram_svd)(a, k)
    return _judge(a, found, tol, vectors, seed)


def choose(op: LinearOperator, k: int, budget: int, everything: bool) -> str:
    """The rule behind ``method="auto"``, by shape, dtype and budget alone (so results repeat).

    Dense where the matrix fits the budget and either all values are asked for, the small side is
    at most 1024, or k exceeds a sixth of it; there float64 takes LAPACK's SVD, anything shorter the
    Gram matrix in float64. Krylov otherwise.
    """
    small = min(op.shape)
    dense = dense_bytes(op) <= budget and (everything or small <= SMALL_SIDE or 6 * k > small)
    if not dense:
        return "krylov"
    return "dense" if op.dtype == torch.float64 else "gram"


def dense_bytes(op: LinearOperator) -> int:
    """Bytes the dense methods hold at their peak."""
    m, n = op.shape
    small, item = min(m, n), op.dtype.itemsize
    return 2 * m * n * item + 3 * 8 * small * small


def krylov_svd(op: LinearOperator, plan: Plan, seed: int) -> Triplets:
    """Run the Krylov method until converged and checked, or until its budget is spent.

    Convergence is judged in two stages: a cheap one from the Ritz values, and then a search of the
    complement of the whole basis. The largest gain ``w`` found there shows both whether a value was
    missed (``w > s_k``) and how far the complement can still push a value: with residual ``r``, the
    Schur complement of ``A^T A`` bounds the shift of ``s`` by ``r^2 s / (2 (s^2 - w^2))``.
    """
    generator = torch.Generator().manual_seed(seed)
    run = BlockKrylov(op, plan, generator)
    checks, next_look = 0, plan.k + plan.block
    while True:
        run.expand()
        spent = run.n_products >= plan.products
        if not (run.full or spent or run.filled >= next_look):
            continue
        next_look = run.filled + max(plan.block, run.filled // 16)
        values, _, _, residuals = run.solve()
        if spent or _settled(values, residuals, 0.9 * float(values[plan.k - 1]), plan, op):
            gain, directions = search(op, run.right[: run.filled], generator)
            run.n_products += CHECK_PRODUCTS
            missed = gain > float(values[plan.k - 1]) * (1 + plan.tol) + _floor(op, values)
            if not missed and _settled(values, residuals, gain, plan, op):
                return _triplets(run, plan, gain, "", True)
            if spent or (missed and checks == CHECKS):
                why = f"{run.n_products} products spent"
                if missed and not spent:
                    why = f"a value of at least {gain:.3g} was missed and not recovered"
                return _triplets(run, plan, gain, why, False)
            if missed:
                checks += 1
                run.restart(min(run.filled, plan.keep))
                run.add(directions)
        if run.full:
            run.restart(plan.keep)


def _settled(
    values: Tensor, residuals: Tensor, rest: float, plan: Plan, op: LinearOperator
) -> bool:
    """Whether the first k values are within tol if nothing outside gains over ``rest``."""
    s, r = values[: plan.k], residuals[: plan.k]
    errors = r.minimum(r.square() / _gaps(s, rest))
    return bool((errors <= plan.tol * s.clamp_min(_floor(op, values))).all())


def _gaps(values: Tensor, rest: float) -> Tensor:
    """The gap for which ``r^2 / gap`` is the shift of a value by a rest of norm ``rest``."""
    room = values.square() - (1.02 * rest) ** 2  # the search finds nearly, not all of the norm
    return (2 * room / values.clamp_min(1e-300)).clamp_min(1e-300)


def _triplets(run: BlockKrylov, plan: Plan, gain: float, why: str, checked: bool) -> Triplets:
    values, _, _, residuals = run.solve()
    k = plan.k
    left, right = run.vectors(k)
    s = values[:k].to(run.op.device)
    r = residuals[:k].to(s)
    probe = torch.tensor(sorted({0, k // 3, 2 * k // 3, k - 1}), device=s.device)
    measured = _residuals(run.op, s[probe], left[:, probe], right[:, probe])
    n_products = run.n_products + 2 * len(probe)
    rounding = float((measured - r[probe]).clamp_min(0).max())
    if rounding > 1e3 * torch.finfo(run.op.dtype).eps * float(values[0]):
        r, n_products = _residuals(run.op, s, left, right), n_products + 2 * k
    else:
        r = r + rounding
        r[probe] = measured
    settings = {"method": "krylov", "block": plan.block, "columns": plan.columns, "rest": gain}
    return Triplets(s, left, right, r, _gaps(s, gain), n_products, why, settings, checked)


def _residuals(op: LinearOperator, s: Tensor, left: Tensor, right: Tensor) -> Tensor:
    forward = (op @ right).double() - left.double() * s
    back = (op.T @ left).double() - right.double() * s
    return forward.norm(dim=0).maximum(back.norm(dim=0))


def _judge(op: LinearOperator, found: Triplets, tol: float, vectors: bool, seed: int) -> SVDResult:
    values, k = found.values, len(found.values)
    floor = _floor(op, values, found.settings["method"])
    errors = estimated_errors(found, floor)
    reliable = values > floor
    unsettled, limited = _verdicts(found, errors, reliable, floor, tol)
    converged = unsettled == 0 and found.checked
    if converged:
        reason = f"all {k} values within tol {tol:g}"
        if limited:
            reason = (
                f"{k - limited} of {k} values within tol {tol:g}, {limited} at the limit of the "
                "arithmetic"
            )
    elif unsettled:
        stop = f", {found.exhausted}" if found.exhausted else ""
        reason = f"{unsettled} of {k} values above tol {tol:g}{stop}"
    else:
        reason = found.exhausted
    if not converged:
        warnings.warn(
            f"svd did not converge: {reason}; raise max_products or memory_budget, or lower k.",
            NotConvergedWarning,
            stacklevel=3,
        )
    return SVDResult(
        values,
        found.left if vectors else None,
        found.right if vectors else None,
        found.residuals,
        converged,
        reason,
        found.n_products,
        {**found.settings, "tol": tol, "seed": seed},
        reliable,
        floor,
        errors,
    )


def _verdicts(
    found: Triplets, errors: Tensor, reliable: Tensor, floor: float, tol: float
) -> tuple[int, int]:
    """How many values are unsettled, and how many are as good as the arithmetic allows, no better.

    A value below the floor is marked, not resolved: its residual only has to be as small as that.
    A value just above it cannot reach a small relative error: a residual at the floor settles it.
    """
    within = reliable & (errors <= tol)
    limited = ~within & (found.residuals <= torch.where(reliable, floor, 10 * floor))
    return int((~within & ~limited).sum()), int(limited.sum())


def _floor(op: LinearOperator, values: Tensor, method: str = "krylov") -> float:
    top = float(values[0]) if len(values) else 0.0
    floor = 10 * torch.finfo(op.dtype).eps * top
    if method == "gram":
        floor = max(floor, torch.finfo(torch.float64).eps ** 0.5 * top)
    return floor


def _plan(op: LinearOperator, k: int, tol: float, budget: int, products: int | None) -> Plan:
    m, n = op.shape
    row = (m + n) * op.dtype.itemsize
    block = BLOCK
    wanted = max(5 * k // 2, k + 12 * block)
    columns = min(wanted, min(m, n) - block - CHECKS * WIDTH, budget // row - 2 * block)
    if columns < k + 3 * block:
        need = (k + 4 * block) * row
        raise wrong(
            "memory_budget",
            f"hold {k} vectors of {m} + {n} components ({need} bytes)",
            f"{budget} bytes",
            "raise it or lower k",
        )
    return Plan(k, tol, block, columns, products or 40 * k + 2000)


def _check(op: LinearOperator, k: int | None, tol: float, method: str) -> tuple[int, bool]:
    small = min(op.shape)
    if small == 0:
        raise wrong("op", "have at least one row and one column", op.shape, "choose another stage")
    if method not in METHODS:
        raise wrong("method", f"be one of {', '.join(METHODS)}", repr(method), "use 'auto'")
    if not 0 < tol < 1:
        raise wrong("tol", "lie between 0 and 1", tol, "use 1e-4")
    if k is None:
        return small, True
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= small:
        raise wrong(
            "k",
            f"be a whole number from 1 to {small} (the smaller side)",
            repr(k),
            "pass a smaller k, or None for all",
        )
    return k, k == small


def _check_dense_memory(op: LinearOperator, budget: int) -> None:
    need = dense_bytes(op)
    if need > budget:
        m, n = op.shape
        raise wrong(
            "memory_budget",
            f"hold the dense {m} x {n} matrix ({need} bytes)",
            f"{budget} bytes",
            "raise it, or give k and let the Krylov method work",
        )
