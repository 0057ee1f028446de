"""Windows of Gaussian weights, and their sums over pictures."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from ..results import is_number, wrong


def window(size: tuple[int, int], sigma: float | None) -> Tensor:
    """Weights ``exp(-r^2 / (2 sigma^2))`` around the middle, sum 1, ``(1, 1, *size)``.

    ``sigma``: in pixels; None: a quarter of the longer side.
    """
    if sigma is None:
        sigma = max(size) / 4
    elif not is_number(sigma) or not 0 < sigma < math.inf:
        raise wrong("sigma", "be a finite number above 0, in pixels", sigma, "leave it out")
    sides = []
    for length in size:
        squares = (torch.arange(length, dtype=torch.float64) - (length - 1) / 2).square()
        squares = squares - squares.min()  # so that the middle is 1 for the least sigma, too
        sides.append(torch.exp(-(squares / sigma) / sigma / 2))
    weights = torch.outer(*sides)
    return (weights / math.fsum(weights.flatten().tolist())).float()[None, None]


def weighed(
    x: Tensor,
    weights: Tensor,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
) -> Tensor:
    """The weighted sums of each map by itself, ``(..., H, W)``."""
    weights = weights.to(x)
    weights = weights / weights.sum()  # to the last digit of this type
    maps = x.flatten(0, -3)[:, None]  # sizes stay symbols for torch.export
    sums = conv2d(maps, weights, stride=stride, padding=padding)
    return sums[:, 0].unflatten(0, x.shape[:-2])
