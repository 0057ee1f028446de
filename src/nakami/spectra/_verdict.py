"""How far to trust what a method found: one judgement for singular values and eigenvalues."""

from __future__ import annotations

import torch
from torch import Tensor

from ..results import Ending, NotConvergedWarning, Outcome, SpectrumEnding, warn

WITH_COUNT: dict[Ending, Ending] = {
    SpectrumEnding.UNCHECKED: SpectrumEnding.SPENT,
    SpectrumEnding.MISSED: SpectrumEnding.OPEN,
}


def verdict(
    name: str,
    residuals: Tensor,
    shifts: Tensor,
    errors: Tensor,
    reliable: Tensor,
    floor: float,
    tol: float,
    stopped: Outcome | None,
    checked: bool,
) -> Outcome:
    """How the computation ended; warns if not all is settled.

    ``shifts`` are the relative errors that the method leaves, ``errors`` those with the rounding of
    the products.
    ``name`` is the public function that was called.
    """
    k = len(errors)
    within = reliable & (errors <= tol)
    limited = int((~within & _at_limit(residuals, shifts, reliable, floor, tol)).sum())
    unsettled = k - int(within.sum()) - limited
    numbers = {"values": k, "within": k - limited - unsettled, "limited": limited, "tol": tol}
    if unsettled == 0 and checked:
        return Outcome(SpectrumEnding.LIMITED if limited else SpectrumEnding.WITHIN, numbers)
    kind: Ending = SpectrumEnding.ABOVE if stopped is None else stopped.kind
    if unsettled:
        kind = WITH_COUNT.get(kind, kind)
    numbers = {**numbers, "above": unsettled, **({} if stopped is None else stopped.numbers)}
    outcome = Outcome(kind, numbers)
    warn(
        NotConvergedWarning(
            f"{name} did not converge: {outcome.reason}; {{way_out}}.",
            way_out=["raise {max_products}", "raise {memory_budget}", "lower {k}"],
        )
    )
    return outcome


def _at_limit(
    residuals: Tensor, shifts: Tensor, reliable: Tensor, floor: float, tol: float
) -> Tensor:
    """Where a value is as good as the arithmetic allows, whatever its error is.

    A value below the floor is marked, not resolved: its residual only has to be as small as that.
    Above it the method must have done its part, or the residual be down at the floor.
    """
    return torch.where(reliable, (shifts <= tol) | (residuals <= floor), residuals <= 10 * floor)
