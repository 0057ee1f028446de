"""How far to trust what a method found: one judgement for singular values and eigenvalues."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from ..results import NotConvergedWarning


def verdict(
    name: str,
    residuals: Tensor,
    shifts: Tensor,
    errors: Tensor,
    reliable: Tensor,
    floor: float,
    tol: float,
    exhausted: str,
    checked: bool,
) -> tuple[bool, str]:
    """Whether all is settled, and how the computation ended, in words; warns if it is not.

    ``shifts`` are the relative errors that the method leaves, ``errors`` those with the rounding of
    the products.
    Two calls below the public function ``name``: the warning points at the caller of that one.
    """
    k = len(errors)
    within = reliable & (errors <= tol)
    limited = int((~within & _at_limit(residuals, shifts, reliable, floor, tol)).sum())
    unsettled = k - int(within.sum()) - limited
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
        NotConvergedWarning(
            f"{name} did not converge: {reason}; {{way_out}}.",
            way_out=["raise {max_products}", "raise {memory_budget}", "lower {k}"],
        ),
        stacklevel=4,
    )
    return False, reason


def _at_limit(
    residuals: Tensor, shifts: Tensor, reliable: Tensor, floor: float, tol: float
) -> Tensor:
    """Where a value is as good as the arithmetic allows, whatever its error is.

    A value below the floor is marked, not resolved: its residual only has to be as small as that.
    Above it the method must have done its part, or the residual be down at the floor.
    """
    return torch.where(reliable, (shifts <= tol) | (residuals <= floor), residuals <= 10 * floor)
