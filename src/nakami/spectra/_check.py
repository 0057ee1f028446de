"""Arguments of the public functions, each refused in one sentence."""

from __future__ import annotations

import torch
from torch import Tensor

from ..results import DEFAULT_BUDGET as DEFAULT_BUDGET
from ..results import check_at_least, check_fraction, counted, wrong, wrong_type
from ..results import check_budget as check_budget
from ..results import check_choice as check_choice
from ..results import check_count as check_count
from ..results import check_seed as check_seed
from ..results import is_number as is_number
from ._operator import LinearOperator, check_entries, finite

VECTORS = 8  # of the matrix's side that fit into the default budget
INSIDE = 2e-6  # of a product: float32 inside of a network that is read in float64


def budget_beside(memory_budget: int | None, entries: int, dtype: torch.dtype) -> int:
    """The budget given, or 1 GiB, or eight vectors of so many ``entries`` where that is more."""
    budget = check_budget(memory_budget)
    return max(budget, VECTORS * entries * dtype.itemsize) if memory_budget is None else budget


def check_products(max_products: int | None) -> None:
    """None or a whole number from 1 on."""
    if max_products is not None:
        check_at_least("max_products", max_products, 1, "leave it out for the default")


def check_tolerance(op: LinearOperator, tol: float) -> None:
    """Refuse a tolerance out of range, or one that the operator's arithmetic cannot meet."""
    check_fraction("tol", tol, "use 1e-4")
    least = 10 * torch.finfo(op.dtype).eps
    if tol < least:
        name = str(op.dtype).removeprefix("torch.")
        raise wrong(
            "tol",
            f"be at least {least:.1e} in {name}",
            tol,
            [f"pass {{tol}}={2 * least:.0e}", "compute in float64"],
        )


def check_filled(op: LinearOperator) -> None:
    """Refuse a matrix without rows or columns."""
    if min(op.shape) == 0:
        raise wrong(
            "op",
            "have at least one row and one column",
            op.shape,
            "name a stage that has components",
        )


def check_square(op: LinearOperator) -> None:
    """Refuse a matrix that is empty or not square."""
    check_filled(op)
    if op.shape[0] != op.shape[1]:
        raise wrong("op", "be square", f"shape {op.shape}", "call nakami.svd(op)")


def check_symmetric(op: LinearOperator, seed: int) -> float:
    """Hold ``<u, A v>`` against ``<A u, v>`` for one random pair, two products.

    Returns the largest entry of the products.

    For a Gaussian ``u`` an error vector ``e`` shows as ``|e|``, so the two may differ by the
    rounding of the products; allowed is ``sqrt(eps) (|A u| + |A v|)``, of a matrix that is not at
    hand at least the rounding of networks which normalise in float32 in any case (Llama; their
    matrices have a warning that says so).
    """
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(op.shape[1], 2, generator=generator, dtype=torch.float64)
    pair = draw.to(op.device, op.dtype)
    images = finite(op @ pair).double()
    size = float(images.abs().max())
    images /= max(size, 1e-300)  # no square leaves the range of the numbers
    u, v = pair.double().T
    one, other = float(u @ images[:, 1]), float(v @ images[:, 0])
    near = max(0.0 if op.stored else INSIDE, torch.finfo(op.dtype).eps ** 0.5)
    allowed = near * float(images.norm(dim=0).sum())
    if abs(one - other) > allowed:
        raise wrong(
            "op",
            "be symmetric",
            f"<u, A v> = {one * size:.6g} and <A u, v> = {other * size:.6g} for a random pair",
            "call nakami.svd(op), or pass (A + A.T) / 2",
        )
    return size


def check_vector(argument: str, value: object, size: int) -> Tensor:
    """A number for each column of a matrix, ``(size,)``."""
    if not isinstance(value, Tensor):
        way_out = "convert it with torch.as_tensor"
        raise wrong_type(argument, "be a torch.Tensor", type(value).__name__, way_out)
    check_entries(argument, value)
    if value.shape != (size,):
        way_out = "pass a number for each column of the matrix, flat"
        raise wrong(argument, f"have shape ({size},)", tuple(value.shape), way_out)
    return value


def check_start(
    start: Tensor | None, op: LinearOperator, width: int, most: int | None = None
) -> Tensor | None:
    """Unit columns of a warm start, ``(n, p)`` with p from 1 to n, folded into ``width`` of them.

    Column j of the fold is the sum of the columns j, j + width, ... of the first ``most``: a Krylov
    space of narrow blocks unfolds it again, with fewer products than one wide block.
    """
    if start is None:
        return None
    n = op.shape[1]
    if not isinstance(start, Tensor):
        raise wrong_type(
            "start", "be a torch.Tensor", type(start).__name__, "convert it with torch.as_tensor"
        )
    check_entries("start", start)
    if start.ndim != 2 or start.shape[0] != n or not 1 <= start.shape[1] <= n:
        raise wrong(
            "start",
            f"have shape ({n}, p) with p from 1 to {n}",
            tuple(start.shape),
            "pass vectors as columns, v[:, None] for one",
        )
    if not start.is_floating_point():
        raise wrong_type("start", "be real and floating-point", start.dtype, "use start.double()")
    if not torch.isfinite(start).all():
        bad = int((~torch.isfinite(start)).sum())
        got = counted(bad, "value that is not", "values that are not")
        raise wrong("start", "be finite", got, "leave it out for a random start")
    columns = start[:, :most].detach().to(op.device, torch.float64)
    return folded(columns / columns.norm(dim=0).clamp_min(1e-300), width).to(op.dtype)


def folded(columns: Tensor, width: int) -> Tensor:
    """At most ``width`` unit columns: sums of every ``width``-th column."""
    parts = [columns[:, j::width].sum(1) for j in range(min(width, columns.shape[1]))]
    sums = torch.stack(parts, 1)
    return sums / sums.norm(dim=0).clamp_min(torch.finfo(sums.dtype).tiny)
