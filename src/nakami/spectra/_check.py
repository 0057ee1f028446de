"""Arguments of the public functions, each refused in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import TypeGuard

import torch
from torch import Tensor

from ..results import wrong, wrong_type
from ._operator import LinearOperator, finite
from ._tensors import check_entries

DEFAULT_BUDGET = 1 << 30  # bytes
MOST_SEEDS = 1 << 64


def check_choice(argument: str, value: object, choices: Sequence[str], way_out: str) -> None:
    """Refuse anything but one of the words."""
    if value not in choices:
        raise wrong(argument, f"be one of {', '.join(choices)}", repr(value), way_out)


def check_count(argument: str, value: object, most: int, rule: str, way_out: str) -> int:
    """A whole number from 1 to ``most``; ``rule`` says what the bound is."""
    if not _whole(value) or not 1 <= value <= most:
        raise wrong(argument, f"be a whole number from 1 to {most} ({rule})", repr(value), way_out)
    return int(value)


def check_at_least(argument: str, value: object, least: int, way_out: str) -> int:
    """A whole number from ``least`` on."""
    if not _whole(value) or value < least:
        raise wrong(argument, f"be a whole number from {least} on", repr(value), way_out)
    return int(value)


def check_budget(memory_budget: object) -> int:
    """Bytes; None is the default."""
    if memory_budget is None:
        return DEFAULT_BUDGET
    if isinstance(memory_budget, float) and memory_budget.is_integer():
        memory_budget = int(memory_budget)  # 2e9
    if not _whole(memory_budget) or memory_budget < 1:
        rule, way_out = "be a whole number of bytes, at least 1", "write 2**30 for 1 GiB"
        raise wrong("memory_budget", rule, repr(memory_budget), way_out)
    return int(memory_budget)


def check_seed(seed: object) -> int:
    """What a generator takes: a whole number from 0 on, of 64 bits."""
    if not _whole(seed) or not 0 <= seed < MOST_SEEDS:
        rule = "be a whole number from 0 to 2^64 - 1"
        raise wrong("seed", rule, repr(seed), "0 is the default")
    return int(seed)


def check_products(max_products: int | None) -> None:
    """None or a whole number from 1 on."""
    if max_products is not None:
        check_at_least("max_products", max_products, 1, "leave it out for the default")


def check_fraction(argument: str, value: object, way_out: str) -> None:
    """Refuse a bound that is no number between 0 and 1."""
    if not is_number(value) or not 0 < value < 1:
        raise wrong(argument, "lie between 0 and 1", repr(value), way_out)


def check_tolerance(op: LinearOperator, tol: float) -> None:
    """Refuse a tolerance out of range, or one that the operator's arithmetic cannot meet."""
    check_fraction("tol", tol, "use 1e-4")
    least = 10 * torch.finfo(op.dtype).eps
    if tol < least:
        name = str(op.dtype).removeprefix("torch.")
        raise wrong("tol", f"be at least {least:.1e} in {name}", tol, "raise it or use float64")


def check_filled(op: LinearOperator) -> None:
    """Refuse a matrix without rows or columns."""
    if min(op.shape) == 0:
        raise wrong("op", "have at least one row and one column", op.shape, "choose another stage")


def check_square(op: LinearOperator) -> None:
    """Refuse a matrix that is empty or not square."""
    check_filled(op)
    if op.shape[0] != op.shape[1]:
        raise wrong("op", "be square", f"shape {op.shape}", "use nakami.svd")


def check_symmetric(op: LinearOperator, seed: int) -> int:
    """Hold ``<u, A v>`` against ``<A u, v>`` for one random pair; returns the products spent.

    For a Gaussian ``u`` an error vector ``e`` shows as ``|e|``, so the two may differ by the
    rounding of the products; allowed is ``sqrt(eps) (|A u| + |A v|)``.
    """
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(op.shape[1], 2, generator=generator, dtype=torch.float64)
    pair = draw.to(op.device, op.dtype)
    images = finite(op @ pair).double()
    u, v = pair.double().T
    one, other = float(u @ images[:, 1]), float(v @ images[:, 0])
    allowed = torch.finfo(op.dtype).eps ** 0.5 * float(images.norm(dim=0).sum())
    if abs(one - other) > allowed:
        raise wrong(
            "op",
            "be symmetric",
            f"<u, A v> = {one:.6g} and <A u, v> = {other:.6g} for a random pair",
            "use nakami.svd, or pass (A + A^T)/2",
        )
    return 2


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
            "pass vectors as columns",
        )
    if not start.is_floating_point():
        raise wrong_type("start", "be real and floating-point", start.dtype, "use start.double()")
    if not torch.isfinite(start).all():
        raise wrong(
            "start",
            "be finite",
            f"{int((~torch.isfinite(start)).sum())} values that are not",
            "leave it out for a random start",
        )
    columns = start[:, :most].detach().to(op.device, torch.float64)
    return folded(columns / columns.norm(dim=0).clamp_min(1e-300), width).to(op.dtype)


def folded(columns: Tensor, width: int) -> Tensor:
    """At most ``width`` unit columns: sums of every ``width``-th column."""
    parts = [columns[:, j::width].sum(1) for j in range(min(width, columns.shape[1]))]
    sums = torch.stack(parts, 1)
    return sums / sums.norm(dim=0).clamp_min(torch.finfo(sums.dtype).tiny)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is one real number of Python, NumPy or torch; may be NaN."""
    if isinstance(value, Tensor):
        return value.numel() == 1 and not (value.is_complex() or value.dtype == torch.bool)
    return isinstance(value, Real)


def _whole(value: object) -> TypeGuard[int]:
    if isinstance(value, Tensor):
        whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
        return whole and value.numel() == 1
    return isinstance(value, Integral) and not isinstance(value, bool)
