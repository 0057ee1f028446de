"""Residuals of many singular triplets of a matrix at hand, without two products of its size."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

FEW = 64  # up to so many triplets all are measured
DIRECTIONS = 32  # random ones, in which the others are seen
CHANCE = 1e-3  # that any bound of a matrix does not hold, over the directions
NEAR = 1e-7  # of the value: a bound above it is measured

Product = Callable[[Tensor], Tensor]


def residual_bounds(
    apply: Product, back: Product, exact: Callable[[Tensor], Tensor], triplets: tuple[Tensor, ...]
) -> Tensor:
    """``max(|A v - s u|, |A^T u - s v|)``, ``(k,)``, or a bound about three times as large.

    A Gaussian ``G`` with ``p`` columns makes ``|G^T r|^2`` a ``chi^2`` of ``p`` degrees of freedom,
    times ``|r|^2``. So ``|r|`` is at most ``|G^T r| / sqrt(q)``, but for the chance that belongs to
    the quantile ``q``; together the bounds hold but for a chance of 1e-3. Up to 64 triplets, and
    those whose bound is more than 1e-7 of the value, are measured.

    Args:
        apply: ``A`` times columns, float64.
        back: ``A^T`` times columns, float64.
        exact: The residuals of the triplets at these places.
        triplets: ``u``, ``s`` and ``v``, ``(m, k)``, ``(k,)`` and ``(n, k)``, float64.
    """
    u, s, v = triplets
    if len(s) <= FEW:
        return exact(torch.arange(len(s), device=s.device))
    generator = torch.Generator().manual_seed(0)
    g, h = (torch.randn(len(x), DIRECTIONS, generator=generator).to(x) for x in (u, v))
    forth = back(g).T @ v - (g.T @ u) * s
    rear = apply(h).T @ u - (h.T @ v) * s
    bounds = forth.norm(dim=0).maximum(rear.norm(dim=0)) / _least(2 * len(s))
    open_at = (bounds > NEAR * s).nonzero()[:, 0]
    if len(open_at):
        bounds[open_at] = exact(open_at)
    return bounds


def _least(count: int) -> float:
    """Root of what none of ``count`` of ``chi^2`` falls below, but for the chance.

    ``P(chi^2_2m <= 2 y) <= y^m / m!``.
    """
    half = DIRECTIONS // 2
    return math.sqrt(2 * (math.factorial(half) * CHANCE / count) ** (1 / half))
