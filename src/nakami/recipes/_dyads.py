"""Standard errors of means over pairs, where each unit stands in many pairs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEAST = 4  # units


def dyadic_error(values: Tensor, units: Tensor) -> float:
    """The standard error of a mean over pairs that are alike where they share a unit.

    Analogies ask for pairs of words, each many times; a word stands in many pairs of a text. As if
    they were independent, the error would be too small. The products of residuals of all pairs with
    a unit in common are summed; the factor makes it right on average where each value is the sum of
    two of its units, and all units are paired.

    Args:
        values: Of each pair, ``(N,)``.
        units: Both units of each pair, ``(N, 2)`` int64 from 0 on; they may be the same.

    Returns:
        The error, at least that of independent values; NaN with fewer than four units.

    Source: Fafchamps & Gubert, J. Dev. Econ. 2007; Aronow, Samii & Assenova, Political Analysis
    2015 (pairs that share both units are counted once).
    """
    _, units = torch.unique(units, return_inverse=True)
    n, pairs = int(units.max()) + 1, len(values)
    if n < LEAST:
        return float("nan")
    off = values.double() - values.double().mean()
    low, high = units.amin(1), units.amax(1)
    second = torch.where(low == high, 0.0, off)  # a pair of one unit is counted once
    by_unit = off.new_zeros(n).index_add(0, low, off).index_add(0, high, second)
    which, place = torch.unique(low * n + high, return_inverse=True)
    by_both = off.new_zeros(len(which)).index_add(0, place, second)
    shared = float(by_unit.square().sum() - by_both.square().sum())
    few = n * (n - 1) / ((n - 2) * (n - 3))
    return math.sqrt(max(few * shared, float(off.square().sum()))) / pairs


def correlation(x: Tensor, y: Tensor, units: Tensor) -> tuple[float, float]:
    """Pearson's r over pairs, ``(N,)`` each, with its standard error by ``dyadic_error``.

    The error is that of the mean of r's influence function, ``x y - r (x^2 + y^2) / 2`` of
    standardised values.
    """
    x, y = ((part - part.mean()) / part.std(correction=0) for part in (x.double(), y.double()))
    r = float((x * y).mean())
    return r, dyadic_error(x * y - r * (x.square() + y.square()) / 2, units)
