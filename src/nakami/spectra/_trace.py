"""The trace: exact where that is cheap, else an estimate with its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..results import (
    Ended,
    NotConvergedWarning,
    Outcome,
    SpectrumEnding,
    counted,
    told,
    warn,
    wrong,
)
from ._autocast import without_autocast
from ._check import (
    budget_beside,
    check_at_least,
    check_choice,
    check_fraction,
    check_seed,
    check_square,
)
from ._hutch import BATCH, ProductProbes
from ._operator import FEW_PRODUCTS, LinearOperator, MatrixOperator, as_operator, finite
from ._probes import LEAST, Probes

TRACE_METHODS = ("auto", "exact", "estimate")
CHUNK = 64  # columns of the identity multiplied at once
FIRST = 4  # probes that tell how many are needed


@dataclass(frozen=True)
class TraceResult(Ended):
    """Trace of a square matrix, ``sum_i A[i, i]``.

    Attributes:
        value: The trace, a sum over all n dimensions, not a mean.
        se: Standard error of ``value`` over the probes; 0 where it is exact.
        exact: Whether ``value`` is the sum of the diagonal itself.
        outcome: How the computation ended, and so ``reason`` and ``converged``: exact, or ``se`` at
            most ``rtol |value|``.
        n_products: Columns multiplied by the matrix; two probes by its root count as one.
        n_probes: Random probes behind ``se``; 0 where it is exact.
        n_deflated: Directions whose share was computed exactly and taken out of the estimate.
        seed: Seed of the probes.
    """

    value: float
    se: float
    exact: bool
    outcome: Outcome
    n_products: int
    n_probes: int
    n_deflated: int
    seed: int


@told
@without_autocast
def trace(
    op: LinearOperator | Tensor,
    rtol: float = 0.01,
    *,
    method: str = "auto",
    memory_budget: int | None = None,
    seed: int = 0,
    max_products: int = 2000,
) -> TraceResult:
    """Trace of a square operator, symmetric or not.

    The estimate follows Hutch++: the share of a few directions ``Q`` that carry most of ``A`` is
    computed exactly, ``tr(Q^T A Q)``; the rest is the mean of ``d z^T A z / |z|^2`` over random
    ``z`` orthogonal to ``Q``, in ``d = n - q`` dimensions. Two things are ours: probes that first
    gave an estimate serve as the sketch for the next ``Q``, and ``Q`` grows as long as that pays.
    Of an operator with a root ``R`` of no more rows than ``A``, a probe is ``|R z|^2``, half a
    product. Probes are added until the standard error, from at least 32 of them, meets ``rtol``.

    An operator may have cheaper probes of its own. Of a curvature matrix ``A^T A`` whose examples e
    do not depend on each other it is ``sum_e |A_e^T s_e|^2`` with random signs over all rows of an
    example, outputs and positions: one backward pass, where a product is one each way. Its variance
    ``2 sum_e sum_(i != j) (A_e A_e^T)[i, j]^2`` is at most the ``2 |A A^T|_F^2`` of a plain
    Gaussian probe, for neither a row with itself nor rows of two examples count. The signs are
    columns of a Hadamard matrix without replacement, so that the error vanishes with the last; they
    are added until ``se`` meets ``rtol``, or below 31 degrees of freedom its 95 % bound (2 ``se``
    then cover some 90 % of the cases).

    Args:
        op: A nakami operator or a dense 2-d tensor, shape ``(n, n)``.
        rtol: Wanted relative standard error of an estimate, between 0 and 1.
        method: ``"exact"`` (n products, none where the operator knows a shorter way),
            ``"estimate"``, or ``"auto"``: exact where the operator knows a shorter way, for a
            matrix at hand, for n <= 512, or once the estimate would cost more than n products. Of
            a curvature matrix: where an example has at most 32 rows in the root, or the estimate
            would need as many probes as these rows.
        memory_budget: Bytes for ``Q`` and the products; default 1 GiB, or eight vectors where these
            are more. A trace that takes no product needs none.
        seed: Seed of the probes; the global random state is not touched.
        max_products: Bound on columns multiplied by an estimate, at least 32.

    Returns:
        A ``TraceResult``. With ``converged=False`` also a ``NotConvergedWarning``. A trace near
        zero beside large entries of both signs has no small relative error: see ``se``.

    Raises:
        UsageError: An argument out of range, or ``op`` not square.
        RunError: A product is NaN or infinite.

    Source: Meyer, Musco, Musco & Woodruff, Hutch++, SOSA 2021; the normalised probes as in Epperly,
    Tropp & Webber, XTrace, SIAM J. Matrix Anal. Appl. 45 (2024).
    """
    a = as_operator(op)
    check_square(a)
    check_choice("method", method, TRACE_METHODS, "use 'auto'")
    check_fraction("rtol", rtol, "use 0.01")
    check_at_least("max_products", max_products, LEAST, "leave it out for the default")
    seed, budget = check_seed(seed), budget_beside(memory_budget, a.shape[0], a.dtype)
    n, row = a.shape[0], a.shape[0] * a.dtype.itemsize
    room = budget // row
    with torch.no_grad():
        probed = _probed(a, rtol, max_products, method, seed)
        if probed is not None:
            return probed
        offered = a.exact_trace() if method != "estimate" else None
        if offered is not None:
            return _known(*offered, seed)
        if isinstance(a, MatrixOperator) and method != "estimate":
            total = float(finite(a.matrix).diagonal().double().sum())
            return _known(total, "the diagonal of the matrix at hand", 0, seed)
        if room < 4:
            rule = f"hold 4 vectors of {counted(n, 'component')} ({4 * row} bytes)"
            ways = f"pass {{memory_budget}}={4 * row}"
            raise wrong("memory_budget", rule, f"{budget} bytes", ways)
        if method == "exact" or (method == "auto" and n <= FEW_PRODUCTS):
            return _exact(a, 0, seed, room)
        found = ProductProbes(a, room, seed)
        return _run(found, rtol, max_products, method == "auto")


def _probed(
    op: LinearOperator, rtol: float, max_products: int, method: str, seed: int
) -> TraceResult | None:
    """The estimate by the operator's own probes; None without, or where the exact one is wanted.

    A probe goes one way through the root, so that two count as one product. Their number doubles at
    most, for what a few tell of the spread is not sure.
    """
    probes = None if method == "exact" else op.trace_probes(seed)
    if probes is None or (method == "auto" and probes.exact_at <= LEAST):
        return None
    count = min(FIRST, probes.most)
    while True:
        probes.add(count)
        finite(probes.samples)
        need, left = probes.needed(rtol), min(2 * max_products, probes.most) - probes.count
        if probes.count < need and method == "auto" and need >= probes.exact_at:
            return None
        if probes.count >= need or left <= 0:
            return _estimated(probes, rtol, spent=probes.count < need)
        count = int(min(need - probes.count, probes.count, left))


def _known(value: float, way: str, products: int, seed: int) -> TraceResult:
    """An exact trace and the way it was made."""
    ended = Outcome(SpectrumEnding.EXACT, {"way": way})
    return TraceResult(value, 0.0, True, ended, products, 0, 0, seed)


def _exact(op: LinearOperator, spent: int, seed: int, room: int) -> TraceResult:
    """The diagonal by products with the identity, so many columns at once as ``room`` holds."""
    n, total, wide = op.shape[0], 0.0, min(CHUNK, room // 2)
    for at in range(0, n, wide):
        width = min(wide, n - at)
        part = torch.zeros(n, width, dtype=op.dtype, device=op.device)
        part[at : at + width] = torch.eye(width, dtype=op.dtype, device=op.device)
        total += float(finite(op @ part)[at : at + width].diagonal().double().sum())
    return _known(total, f"the diagonal from {counted(n, 'product')}", spent + n, seed)


def _run(run: ProductProbes, rtol: float, max_products: int, may_switch: bool) -> TraceResult:
    """Deflate while it pays, then add probes until the standard error is small enough.

    A deflation costs ``2 BATCH`` probes, the fresh ones included, and ``BATCH`` more where their
    images come from the root. It has paid if it lowered the number of probes needed by more, and by
    a fifth at least; the first that has not is the last.
    """
    n, before, paying = run.op.shape[0], math.inf, True
    price = (2 if run.root is None else 3) * BATCH
    run.probe(BATCH)
    while True:
        count, left = run.count, (2 * max_products - run.passes) // run.each
        need = max(LEAST, _probes_needed(run, rtol))
        if count >= need:
            return _estimated(run, rtol, spent=False)
        if may_switch and 2 * n <= run.each * min(left, need - count):
            return _exact(run.op, run.n_products, run.seed, run.room)
        if left <= 0:
            return _estimated(run, rtol, spent=True)
        if count == BATCH:
            paying = paying and need < min(before - price, 0.8 * before)
            roomy = len(run.basis) + BATCH <= run.columns and left >= price + LEAST
            if paying and roomy and need - count > price:
                before = need
                run.deflate()
                run.probe(BATCH)
                continue
        run.probe(int(min(BATCH, need - count, left)))


def _probes_needed(run: ProductProbes, rtol: float) -> float:
    spread, target = run.spread, rtol * abs(run.value)
    if spread == 0:
        return 0
    return math.inf if target == 0 else math.ceil((spread / target) ** 2)


def _estimated(run: ProductProbes | Probes, rtol: float, spent: bool) -> TraceResult:
    count, value, se = run.count, run.value, run.se
    numbers = {"se": se, "value": value, "rtol": rtol, "probes": count, "products": run.n_products}
    ended = Outcome(SpectrumEnding.IMPRECISE if spent else SpectrumEnding.PRECISE, numbers)
    if spent:
        warn(
            NotConvergedWarning(
                f"trace did not converge: {ended.reason}; {{way_out}}.",
                way_out=["raise {max_products}", "raise {rtol}", "use {method} 'exact'"],
            )
        )
    return TraceResult(value, se, False, ended, run.n_products, count, run.n_deflated, run.seed)
