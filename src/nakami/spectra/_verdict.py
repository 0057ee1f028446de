"""How far to trust what a method found: one judgement for singular values and eigenvalues."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from ..results import NotConvergedWarning


def verdict(
    name: str,
    residuals: Tensor,
    errors: Tensor,
    reliable: Tensor,
    floor: float,
    tol: float,
    exhausted: str,
    checked: bool,
) -> tuple[bool, str]:
    """Whether all is settled, and how the computation ended, in words; warns if it is not.

    Two calls below the public function ``name``: the warning points at the caller of that one.
    """
    k = len(errors)
    unsettled, limited = _count(residuals, errors, reliable, floor, tol)
    if unsettled == 0 and checked:
        if limited:
            return True, (
                f"{k - limited} of {k} values within tol {tol:g}, {limited} at the limit of the "
                "arithmetic"
            )
        return True, f"all {k} values within tol {tol:g}"
    reason = exhausted
    if unsettled:
        stop = f", {exhausted}" if exhausted else ""
        reason = f"{unsettled} of {k} values above tol {tol:g}{stop}"
    warnings.warn(
        f"{name} did not converge: {reason}; raise max_products or memory_budget, or lower k.",
        NotConvergedWarning,
        stacklevel=4,
    )
    return False, reason


def _count(
    residuals: Tensor, errors: Tensor, reliable: Tensor, floor: float, tol: float
) -> tuple[int, int]:
    """How many values are unsettled, and how many are as good as the arithmetic allows, no better.

    A value below the floor is marked, not resolved: its residual only has to be as small as that.
    A value just above it cannot reach a small relative error: a residual at the floor settles it.
    """
    within = reliable & (errors <= tol)
    limited = ~within & (residuals <= torch.where(reliable, floor, 10 * floor))
    return int((~within & ~limited).sum()), int(limited.sum())
