"""The Krylov runs behind ``svd`` and ``eigh``: driven to their end, then values and residuals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...results import UsageError
from .._check import folded
from .._operator import LinearOperator
from .._result import Found, arithmetic_floor, nearest_shifts, relative, residuals_of, with_rounding
from ._certificate import DELTA
from ._decomposition import KrylovDecomposition
from ._driver import Certificate, Driver
from ._golub_kahan import GolubKahan
from ._gram_lanczos import GramLanczos, OutOfRange, reach
from ._lanczos import BlockLanczos
from ._plan import Plan, make_plan
from ._vector_lanczos import MARGIN, UNLIKELY, first_vector

Lift = tuple[LinearOperator, Callable[[Tensor], Tensor]]


def krylov_svd(
    op: LinearOperator,
    k: int,
    tol: float,
    budget: int,
    products: int | None,
    seed: int,
    start: Tensor | None = None,
    vectors: bool = True,
    dense_at: int | None = None,
) -> Found:
    """Singular values, converged and certified, or until the budget is spent.

    One basis first; two where the values asked for span more than one basis can resolve.

    Raises:
        DenseIsCheaper: Values were missed, and ``dense_at`` products are less than it would take.
    """
    one = replace(make_plan(op, k, tol, budget, products, "one"), dense_at=dense_at)
    try:
        two: Plan | None = make_plan(op, k, tol, budget, products, "two")
    except UsageError:
        two = None  # no room: the residuals will say what one basis could not do
    flipped = op.shape[0] < op.shape[1]
    tall = op.T if flipped else op
    spent = 0
    if start is not None and flipped:
        start, spent = folded(op @ start, start.shape[1]), start.shape[1]
    generator = torch.Generator().manual_seed(seed)
    first = GramLanczos(tall, one, generator, start, strict=two is not None)
    try:
        found = converged(first, vectors)
    except OutOfRange:
        assert two is not None
        best, spent = folded(first.right(k), two.block), spent + first.n_products
        del first  # its memory is wanted
        found = converged(GolubKahan(tall, two, generator, best), vectors)
    if flipped:
        found = replace(found, left=found.right, right=found.left)
    return replace(found, n_products=found.n_products + spent)


def krylov_eigh(
    op: LinearOperator, plan: Plan, which: str, seed: int, start: Tensor | None = None
) -> Found:
    """Eigenvalues, converged and certified, or until the budget is spent.

    One column alone starts from a vector that is half random.

    Raises:
        DenseIsCheaper: Values were missed, and the dense matrix is less than it would take.
    """
    generator = torch.Generator().manual_seed(seed)
    if plan.block > 1:
        run = BlockLanczos(op, plan, generator, which, start)
    else:
        first, needed = first_vector(op, generator, start)
        run = BlockLanczos(op, plan, generator, which, first, lambda key: needed)
    found = converged(run)
    if start is None:
        return found
    return replace(found, settings={**found.settings, "start_block": start.shape[1]})


def converged(run: KrylovDecomposition, vectors: bool = True, lift: Lift | None = None) -> Found:
    """Drive a run to its end and take its pairs, or its values alone.

    Args:
        run: Nothing expanded yet.
        vectors: False: singular values alone.
        lift: A matrix and what turns the right vectors found into its unit eigenvectors; these are
            returned, and their residuals measured with it.
    """
    op, plan, k = run.op, run.plan, run.plan.k
    ended = Driver(run).converge()
    every, recurrence = run.ritz()
    keys, recurrence = every[:k], recurrence[:k]
    left, right, rooted = None, None, 0
    if vectors:
        values, left, right = run.found(k)
        if lift is not None:
            op, right = lift[0], lift[1](right)
    else:
        assert isinstance(run, GramLanczos | GolubKahan)
        values, rooted = run.values(k, _allowed(op, plan.tol, keys, ended.shifts))
    s, eps = values.to(op.device), torch.finfo(op.dtype).eps
    top = run.top(values)

    def measure(here: Tensor) -> Tensor:
        if right is None:
            assert isinstance(run, GramLanczos | GolubKahan)
            parts = [residuals_of(op, s[some], *run.some(some)) for some in here.split(32)]
            return torch.cat(parts)
        if len(here) == k:
            return residuals_of(op, s, left, right)
        return residuals_of(op, s[here], None if left is None else left[:, here], right[:, here])

    one_basis = isinstance(run, GramLanczos)
    strained = one_basis and float(values[-1]) < reach(op.dtype) * float(values[0])
    r, measured = _true_residuals(measure, recurrence.to(s), k, 1e3 * eps * top, every=strained)
    shifts = _with_excess(ended, keys, recurrence, r.cpu()).to(s)
    settings: dict[str, object] = {"method": "krylov", "block": plan.block, "columns": run.columns}
    if one_basis:  # each restart rounds the images once more
        shifts = shifts + eps * run.restarts * s
    if run.cost == 2:
        settings["bases"] = 1 if one_basis else 2
    if math.isinf(ended.level):
        settings |= {"margin": MARGIN, "unlikely": UNLIKELY}
    else:
        settings |= {"level": ended.level, "delta": DELTA}
    spent = run.n_products + run.cost * measured
    more: dict[str, Any] = {"rooted": rooted, "moments": run.moments}
    return Found(s, left, right, r, shifts, spent, settings, top, ended.stopped, **more)


def _allowed(op: LinearOperator, tol: float, values: Tensor, shifts: Tensor) -> Tensor:
    """What squares may add to the relative error of each value, ``(k,)``: a quarter of ``tol``.

    And no more than the other errors leave of it.
    """
    top = float(values[0])
    floor = arithmetic_floor(op, top)
    left = tol - with_rounding(op, relative(shifts, values, floor), values, top, floor)
    return left.clamp_max(tol / 4)


def _true_residuals(
    measure: Callable[[Tensor], Tensor], r: Tensor, k: int, bound: float, every: bool = False
) -> tuple[Tensor, int]:
    """Recurrence residuals ``r`` held against measured ones of up to three vectors.

    Where they differ by more than ``bound``, or ``every`` is set, all are measured. Returns the
    residuals and how many vectors were multiplied.
    """
    probe = torch.tensor(sorted({0, k // 2, k - 1}), device=r.device)
    measured = measure(probe)
    rounding = float((measured - r[probe]).clamp_min(0).max())
    if every or rounding > bound:
        return measure(torch.arange(k, device=r.device)), len(probe) + k
    r = r + rounding
    r[probe] = measured
    return r, len(probe)


def _with_excess(ended: Certificate, keys: Tensor, recurrence: Tensor, measured: Tensor) -> Tensor:
    """Shifts with what the measured residuals have beyond those of the recurrence, ``(k,)``.

    The recurrence is exact for a matrix moved by that excess ``e``: a value moves by at most ``e``,
    and by ``e^2 / gap`` where it stands that far above what the complement has shown.
    """
    if math.isinf(ended.level):
        return measured.clone()
    excess = (measured - recurrence).clamp_min(0)
    return ended.shifts + nearest_shifts(excess, keys - ended.rest)
