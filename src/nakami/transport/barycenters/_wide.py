"""Whether a blur leaves enough of a histogram for a sharp barycenter to be found again.

The sharp kinds undo the blur ``K~``. A step undoes a share of each detail that is about the square
of what the blur leaves of it. Of the coarsest detail that is ``m^2``, ``m`` the second eigenvalue
of ``K~`` (the first is 1, of constants): near 1 for a small ``reg``, and small where ``reg`` is
much above the cost. There every histogram has nearly the same loss, and small steps mean nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .._gradients import mean
from .._kernels import Kernel

PRODUCTS = 6
TOO_WIDE = 5e-4  # share undone in a step: the coarsest detail would take 2,000 of them
REASON = "reg is so large that the loss hardly depends on the barycenter"


def undone(own: Kernel, like: Tensor) -> float:
    """The share of the coarsest detail that a step undoes, 0 to 1, by a few power iterations.

    They begin at the cost to one point, which is coarse; ``like`` is a batch of barycenters.
    """
    if like[0].numel() == 1:
        return 1.0
    rows = own.sum(torch.zeros_like(like))
    one = torch.full_like(like, -torch.inf)
    one.flatten(1)[:, 0] = 0.0
    v, share = _scaled(own.sum(one))[0], 0.0
    for _ in range(PRODUCTS):
        v, share = _scaled(mean(own, rows, v))
    return min(1.0, share**2)


def _scaled(v: Tensor) -> tuple[Tensor, float]:
    """From 0 to 1, and how far it ranged; what is not finite counts as the least less 1."""
    finite = v.isfinite()
    low, high = float(v[finite].min()), float(v[finite].max())
    low -= float(not bool(finite.all()))
    whole = high - low
    scaled = (v - low) / whole if whole > 0 else torch.zeros_like(v)
    return torch.where(finite, scaled, 0.0), whole
