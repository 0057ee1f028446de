"""The runs behind ``svd``: one basis first, two where the values span too much for one."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...results import UsageError
from .._check import folded
from .._operator import LinearOperator
from .._result import Triplets, arithmetic_floor, relative, with_rounding
from ._certificate import DELTA, Form
from ._complement import Asked, Outside, normal_product, outside
from ._driver import Driver, Plan, make_plan, true_residuals, with_excess
from ._golub_kahan import GolubKahan
from ._gram_lanczos import GramLanczos, OutOfRange, reach


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
) -> Triplets:
    """The Krylov method until converged and certified, or until its budget is spent.

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
        found = _run(first, one, tall, generator, vectors)
    except OutOfRange:
        assert two is not None
        best, spent = folded(first.vectors(k), two.block), spent + first.n_products
        del first  # its memory is wanted
        found = _run(GolubKahan(tall, two, generator, best), two, tall, generator, vectors)
    if flipped:
        found = replace(found, left=found.right, right=found.left)
    return replace(found, n_products=found.n_products + spent)


def _run(
    run: GramLanczos | GolubKahan,
    plan: Plan,
    op: LinearOperator,
    generator: torch.Generator,
    vectors: bool,
) -> Triplets:
    def search(_: int, form: Form, asked: Asked) -> Outside:
        if isinstance(run, GramLanczos):
            run.check_range()
        basis, end = run.basis[: run.filled], run.filled + run.waiting
        waiting = run.basis[run.filled : end]
        return outside(normal_product(op), basis, waiting, form, asked, generator)

    ended = Driver(run, plan, search, 2).converge()
    keys, residuals = run.ritz()
    k, left, right, rooted = plan.k, None, None, 0
    if vectors:
        values, left, right = run.triplets(k)
    else:
        values, rooted = run.values(k, _allowed(op, plan, keys[:k], ended.shifts))
    s = values.to(op.device)

    def pick(here: Tensor) -> tuple[Tensor, Tensor]:
        if left is None or right is None:
            return run.some(here)
        return left[:, here], right[:, here]

    def measure(here: Tensor) -> Tensor:
        return torch.cat([_residuals(op, s[i], *pick(i)) for i in here.split(32)])

    bound = 1e3 * torch.finfo(op.dtype).eps * float(values[0])
    low = float(values[-1]) < reach(op.dtype) * float(values[0])
    strained = low and isinstance(run, GramLanczos)
    r, measured = true_residuals(measure, residuals[:k].to(s), k, bound, every=strained)
    shifts = with_excess(ended, keys[:k], residuals[:k], r.cpu()).to(s)
    if isinstance(run, GramLanczos):  # each restart rounds the images once more
        shifts = shifts + torch.finfo(op.dtype).eps * run.restarts * s
    return Triplets(
        s,
        left,
        right,
        r,
        shifts,
        run.n_products + 2 * measured,
        ended.stopped,
        {
            "method": "krylov",
            "bases": 1 if isinstance(run, GramLanczos) else 2,
            "block": plan.block,
            "columns": run.columns,
            "level": ended.level,
            "delta": DELTA,
        },
        ended.stopped is None,
        float(s[0]),
        rooted,
    )


def _allowed(op: LinearOperator, plan: Plan, values: Tensor, shifts: Tensor) -> Tensor:
    """What squares may add to the relative error of each value, ``(k,)``: a quarter of ``tol``.

    And no more than the other errors leave of it.
    """
    top = float(values[0])
    floor = arithmetic_floor(op, top)
    left = plan.tol - with_rounding(op, relative(shifts, values, floor), values, top, floor)
    return left.clamp_max(plan.tol / 4)


def _residuals(op: LinearOperator, s: Tensor, left: Tensor, right: Tensor) -> Tensor:
    forward = (op @ right).double() - left.double() * s
    back = (op.T @ left).double() - right.double() * s
    return forward.norm(dim=0).maximum(back.norm(dim=0))
