"""The best prediction that does not look at the inputs: what any network must beat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ._batches import Batch
from ._own_loss import ModelsLoss

ENOUGH = 10  # examples for each number that is fitted
STEPS = 50


def constant_loss(parts: Sequence[Batch], divisor: float) -> float | None:
    """The least loss of one output for all examples of these batches; None where it is not known.

    For cross-entropy the entropy of the frequencies of the classes, for squared error the variance
    of the targets, for any other loss of outputs and targets what LBFGS finds from 0. Positions
    share their classes; other outputs have a number each where there are ten examples for it, else
    one for each entry of the last axis.
    """
    first = parts[0]
    if isinstance(first.judged, ModelsLoss) or first.z.ndim == 0:
        return None
    shape = _shape(parts)
    constant = torch.zeros(shape, dtype=torch.float64, device=first.z.device, requires_grad=True)
    search = torch.optim.LBFGS(
        [constant], max_iter=STEPS, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def total() -> Tensor:
        search.zero_grad()
        value = torch.zeros((), dtype=torch.float64, device=constant.device)
        for part in parts:
            z = constant.expand(part.z.shape).to(part.z.dtype)
            value = value + part.judged.total(z, part.y).double() / divisor
        value.backward()
        return value.detach()

    try:
        with torch.enable_grad():
            search.step(total)
            found = float(total())
    except Exception:  # a loss of the caller's own may ask more of outputs than numbers
        return None
    return found if math.isfinite(found) else None


def _shape(parts: Sequence[Batch]) -> tuple[int, ...]:
    """Of the constant, with ones along the axes that share it."""
    z = parts[0].z
    inner = tuple(z.shape[1:])
    ones = (1,) * len(inner)
    if parts[0].judged.key == "cross_entropy":
        return (1, *inner[:1], *ones[1:])
    examples = sum(len(part.z) for part in parts)
    alike = all(part.z.shape[1:] == z.shape[1:] for part in parts)
    if alike and math.prod(inner) * ENOUGH <= examples:
        return (1, *inner)
    return (1, *ones[:-1], *inner[-1:])
