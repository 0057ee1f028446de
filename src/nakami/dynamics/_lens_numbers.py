"""The numbers that a mean Jacobian is described by."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ..results import LENS_NUMBERS, Jackknifed, Lens, Outcome
from ..spectra import svd
from ._inputs import as_array
from ._jackknife import Array, Running


def made_lens(running: Running, outcome: Outcome, **more: Any) -> Lens:
    """A lens of the mean; ``more``: its fields that are not numbers of the mean."""
    found = svd(torch.from_numpy(running.mean))
    k = len(found.values)
    value, se, bias = running.jackknife(statistics)
    numbers: dict[str, Any] = {
        key: Jackknifed(float(value[i]), float(se[i]), float(bias[i]))
        for i, key in enumerate(LENS_NUMBERS, start=k)
    }
    half = running.half_difference
    assert found.left is not None
    assert found.right is not None
    return Lens(
        mean=running.mean,
        variance=running.variance,
        values=as_array(found.values),
        left=as_array(found.left),
        right=as_array(found.right),
        value_errors=se[:k],
        value_biases=bias[:k],
        noise=math.nan if np.isnan(half).any() else float(_values(half)[0]),
        outcome=outcome,
        **numbers,
        **more,
    )


def statistics(mean: Array, top: float) -> Array:
    """Singular values of a mean, then ``LENS_NUMBERS``; ``top``: mean s_1 of single prompts."""
    values = _values(mean)
    squares = float((values**2).sum())
    alpha, share, beyond = math.nan, math.nan, np.full(1, math.nan)
    m, d = mean.shape
    if m == d:
        alpha = float(np.trace(mean)) / d
        share = d * alpha**2 / squares if squares else math.nan
        beyond = _values(mean - alpha * np.eye(d))
    numbers = (
        math.sqrt(squares),
        alpha,
        share,
        participation(values),
        participation(beyond),
        entropy_rank(values),
        entropy_rank(beyond),
        values[0] / top if top else math.nan,
    )
    return np.concatenate([values, numbers])


def participation(values: Array) -> float:
    """``(sum s^2)^2 / sum s^4``."""
    squares = values**2
    total = float((squares**2).sum())
    return float(squares.sum()) ** 2 / total if total else math.nan


def entropy_rank(values: Array) -> float:
    """``exp(H)`` of ``s / sum s``."""
    total = float(values.sum())
    if not total > 0:
        return math.nan
    shares = values[values > 0] / total
    return math.exp(-float((shares * np.log(shares)).sum()))


def _values(matrix: Array) -> Array:
    return np.asarray(as_array(svd(torch.from_numpy(matrix), vectors=False).values))
