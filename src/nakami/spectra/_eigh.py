"""Eigenpairs of symmetric operators: which method, and how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..results import Outcome, wrong
from ._check import (
    check_budget,
    check_choice,
    check_count,
    check_products,
    check_seed,
    check_square,
    check_start,
    check_symmetric,
    check_tolerance,
)
from ._operator import Gram, LinearOperator, as_operator, finite
from ._rescale import rescaled, rescaled_product, unscaled
from ._result import (
    EighResult,
    arithmetic_floor,
    nearest_gaps,
    nearest_shifts,
    relative,
    with_rounding,
)
from ._svd import choose, dense_bytes, small_enough, triplets
from ._threads import one_thread
from ._verdict import verdict
from .krylov._certificate import DELTA, Form
from .krylov._complement import Asked, Outside, keys, outside
from .krylov._driver import (
    BLOCK,
    DenseIsCheaper,
    Driver,
    Plan,
    block_size,
    make_plan,
    true_residuals,
    with_excess,
)
from .krylov._lanczos import BlockLanczos
from .krylov._vector_lanczos import MARGIN, UNLIKELY, first_vector, signed_product

EIGH_METHODS = ("auto", "dense", "krylov")
WHICH = ("largest", "smallest", "magnitude")
_LIFTED: dict[str, object] = {"method": "root", "root": "dual"}


@dataclass(frozen=True)
class _Pairs:
    values: Tensor  # (k,) float64
    vectors: Tensor  # (n, k)
    residuals: Tensor  # (k,) float64
    shifts: Tensor  # (k,) float64
    n_products: int
    stopped: Outcome | None
    settings: dict[str, object]
    checked: bool
    top: float  # largest size known
    gaps: Tensor | None = None  # (k,) float64, where all other values are known


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
        which: ``"largest"`` or ``"smallest"`` by sign and size, or ``"magnitude"``: largest |l|.
        method: ``"auto"``, or force ``"dense"`` (float64 LAPACK) or ``"krylov"`` (block Lanczos
            with restarts; falls back on dense where n < k + 56).
        memory_budget: Bytes the method may hold beyond the operator itself; default 1 GiB.
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
    the matrix fits the budget and k > n/6 or n is at most 5 k + 64 (1024 for a stored matrix). An
    operator that offers a root ``R``, ``A = R^T R``, with fewer rows than n (``nakami.fisher`` of
    few samples) goes through ``nakami.svd`` of that: vectors are held and orthogonalised on the
    short side; two products, with ``R`` or its transpose, count as one.
    """
    a = as_operator(op)
    _check(a, k, tol, which, method, max_products)
    block = _block(k, which, a.device)
    warm = check_start(start, a, block)
    seed, budget = check_seed(seed), check_budget(memory_budget)
    with torch.no_grad():
        root = a.root if method == "auto" and which != "smallest" else None
        if root is not None and not k <= min(root.shape) < a.shape[0]:
            root = None
        alone = root is not None and block == 1  # symmetric as it is made, rescaled on the way
        moderate, power, tried = (a, 0, 0) if alone else rescaled(a, seed)
        tried += 0 if alone else check_symmetric(moderate, seed)
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
    floor = arithmetic_floor(a, found.top)
    shifts = relative(found.shifts, found.values, floor)
    errors = with_rounding(a, shifts, found.values, found.top, floor)
    reliable = found.values.abs() > floor
    outcome = _judge(found, shifts, errors, reliable, floor, tol)
    return EighResult(
        found.values,
        found.vectors,
        found.residuals,
        outcome,
        found.n_products,
        {**found.settings, "which": which, "tol": tol, "seed": seed},
        reliable,
        floor,
        errors,
    )


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


def dense_eigh(op: LinearOperator, k: int, which: str) -> _Pairs:
    """LAPACK's ``eigh`` of the dense matrix, ``(A + A^T)/2`` in float64."""
    a = finite(op.dense()).double()
    a = (a + a.T) / 2
    with one_thread(a):
        every, vectors = torch.linalg.eigh(a)
    order = keys(every, which).argsort(descending=True, stable=True)[:k]
    values, returned = every[order], vectors[:, order].to(op.dtype)
    v = returned.double()  # the residuals are of what is returned
    r = (a @ v - v * values).norm(dim=0)
    gaps = nearest_gaps(every, len(every))[order]
    return _Pairs(
        values,
        returned,
        r,
        nearest_shifts(r, gaps),
        op.shape[0],
        None,
        {"method": "dense"},
        True,
        float(every.abs().max()),
        gaps,
    )


def krylov_eigh(
    op: LinearOperator,
    plan: Plan,
    which: str,
    seed: int,
    start: Tensor | None = None,
    odds: Callable[[float], float] | None = None,
) -> _Pairs:
    """Block Lanczos until converged and certified, or until its budget is spent.

    One column alone starts from a vector that is half random; ``odds(key)`` is then how large
    ``log p(key)`` must be for a value there to be improbable, see ``krylov/_vector_lanczos.py``.

    Raises:
        DenseIsCheaper: Values were missed, and the dense matrix is less than it would take.
    """
    generator = torch.Generator().manual_seed(seed)
    given = start
    if plan.block == 1 and odds is None:
        start, needed = first_vector(op, generator, start)
        odds = lambda key: needed  # noqa: E731
    run = BlockLanczos(op, plan, generator, which, start)

    def sure(key: float) -> bool:
        beyond = key + MARGIN * abs(key)
        return odds is not None and run.polynomial(beyond) >= odds(beyond)

    def search(side: int, form: Form, asked: Asked) -> Outside:
        sign = -1 if which == "smallest" or side == 1 else 1
        basis, end = run.basis[: run.filled], run.filled + run.waiting
        waiting = run.basis[run.filled : end]
        return outside(signed_product(op, sign), basis, waiting, form, asked, generator)

    ended = Driver(run, plan, search, 1, sure if plan.block == 1 else None).converge()
    every, _, residuals = run.solve()
    k, top = plan.k, float(every.abs().max())
    v, values = run.vectors(k), every[:k].to(op.device)

    def measure(here: Tensor) -> Tensor:
        return ((op @ v[:, here]).double() - v[:, here].double() * values[here]).norm(dim=0)

    bound = 1e3 * torch.finfo(op.dtype).eps * top
    r, measured = true_residuals(measure, residuals[:k].to(values), k, bound)
    settings = {"method": "krylov", "block": plan.block, "columns": plan.columns}
    if given is not None:
        settings["start_block"] = given.shape[1]
    if math.isinf(ended.level):
        settings |= {"margin": MARGIN, "unlikely": UNLIKELY}
    else:
        settings |= {"level": ended.level, "delta": DELTA}
    shifts = with_excess(ended, keys(every, which)[:k], residuals[:k], r.cpu()).to(values)
    spent = run.n_products + measured
    checked = ended.stopped is None
    return _Pairs(values, v, r, shifts, spent, ended.stopped, settings, checked, top)


def rooted_eigh(
    op: LinearOperator,
    root: LinearOperator,
    k: int,
    tol: float,
    budget: int,
    products: int | None,
    seed: int,
    start: Tensor | None = None,
) -> _Pairs:
    """Eigenpairs of ``A = R^T R``: ``l = s^2`` with the right singular vectors of ``R``.

    A shift of ``d`` in ``s`` is one of ``2 s d + d^2`` in ``l``, so that half the tolerance is
    asked for. Residuals are measured with ``A`` itself.
    """
    how = choose(root, k, budget, k == min(root.shape))
    dual = root.gram()
    short = dual.shape[0]
    cheap = dual.stored and small_enough(dual, short, k) and eigh_bytes(dual) <= budget
    if cheap or (short < k + 7 * BLOCK and dense_bytes(root) > budget):
        check_eigh_memory(dual, budget, "raise it")
        return _lifted(op, root, dual, k)
    if _block(k, "largest", op.device) == 1:
        return _alone(root, dual, tol, budget, products, seed, start)
    found = triplets(root, k, tol / 2, how, budget, products, seed, start)
    assert found.right is not None
    values, v = found.values.square(), found.right
    r = _measured(op, v, values)
    shifts = 2 * found.values * found.shifts + found.shifts.square()
    # Of R v = s u + e, R^T u = s v + f, |A v - s^2 v| is at most (s_1 + s) max(|e|, |f|).
    expected = (found.top + found.values) * found.residuals
    shifts = _not_of_root(op, r, expected, found.top**2, shifts)
    settings = {**found.settings, "method": "root", "root": found.settings["method"]}
    if "level" in settings:
        settings["level"] **= 2
    spent = (found.n_products + 1) // 2 + k
    return _Pairs(
        values, v, r, shifts, spent, found.stopped, settings, found.checked, float(values[0])
    )


def _alone(
    root: LinearOperator,
    dual: Gram,
    tol: float,
    budget: int,
    products: int | None,
    seed: int,
    start: Tensor | None,
) -> _Pairs:
    """The largest eigenvalue of ``R^T R`` by that of ``R R^T``, whose vectors are shorter.

    The product that shows the size of the matrix is the first step: of ``v``, the run starts with
    ``A v``, whose share of an eigenvector is that of ``v`` times its value.
    """
    plan = make_plan(dual, 1, tol, budget, products, "symmetric", 1)
    generator = torch.Generator().manual_seed(seed)
    guess = None if start is None else finite(root @ start)
    v, needed = first_vector(dual, generator, guess)
    moderate, power, image = rescaled_product(dual, v)
    length = float(image.double().norm())
    if length == 0:
        image, length = v, 1.0

    def odds(key: float) -> float:
        return needed + math.log(length) - math.log(max(key, 1e-300))

    found = krylov_eigh(moderate, plan, "largest", seed, image / length, odds)
    found = unscaled(found, power, 1 if start is None else 2)
    lifted = finite(dual.root @ found.vectors)
    lifted /= torch.linalg.vector_norm(lifted, dtype=torch.float64).clamp_min(1e-300).to(lifted)
    settings = {**found.settings, "method": "root", "root": "krylov", "side": "dual"}
    if start is None:
        settings.pop("start_block", None)
    return replace(found, vectors=lifted, settings=settings)


def _block(k: int, which: str, device: torch.device) -> int:
    """Columns of a step; by magnitude no upper bound shows the half of a cluster: wide ones."""
    if which == "magnitude":
        return BLOCK
    return 1 if k == 1 and device.type == "cpu" else block_size(k, device)


def _lifted(op: LinearOperator, root: LinearOperator, dual: LinearOperator, k: int) -> _Pairs:
    """The same from ``R R^T``, dense: its entries are cheap, or a few rows too long to be held."""
    found = dense_eigh(dual, k, "largest")
    v = torch.linalg.qr(root.T @ found.vectors)[0]
    v = v / v.double().norm(dim=0).to(v)
    r, spent = _measured(op, v, found.values), 2 * k + (0 if dual.stored else dual.shape[0])
    settings = {**_LIFTED, "gram_rows": dual.shape[0]}
    assert found.gaps is not None
    near = nearest_shifts(r, found.gaps)
    shifts = _not_of_root(op, r, torch.zeros_like(r), found.top, near)
    return replace(
        found, vectors=v, residuals=r, shifts=shifts, n_products=spent, settings=settings
    )


def _not_of_root(
    op: LinearOperator, r: Tensor, expected: Tensor, top: float, shifts: Tensor
) -> Tensor:
    """``shifts``, or the residual itself where it is more than the root lets expect, ``(k,)``.

    Then the matrix is not that of the root, and the values are not its Rayleigh quotients.
    """
    rounding = 1e3 * torch.finfo(op.dtype).eps * top
    return torch.where(r > expected + rounding, r.maximum(shifts), shifts)


def _measured(op: LinearOperator, v: Tensor, values: Tensor) -> Tensor:
    """Residuals ``|A v - l v|``, ``(k,)``."""
    parts = [
        ((op @ some).double() - some.double() * here).norm(dim=0)
        for some, here in zip(v.split(32, 1), values.split(32), strict=True)
    ]
    return torch.cat(parts)


def _judge(
    found: _Pairs, shifts: Tensor, errors: Tensor, reliable: Tensor, floor: float, tol: float
) -> Outcome:
    r, why, checked = found.residuals, found.stopped, found.checked
    return verdict("eigh", r, shifts, errors, reliable, floor, tol, why, checked)


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
) -> None:
    check_square(op)
    check_choice("method", method, EIGH_METHODS, "use 'auto'")
    check_choice("which", which, WHICH, "use 'largest'")
    check_tolerance(op, tol)
    check_products(max_products)
    check_count("k", k, op.shape[0], "the side of the matrix", "pass a smaller k")
