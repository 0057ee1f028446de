"""Ranges of the margin-perceptron model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...results import wrong
from ._channel import Array

LEAST_MARGIN, MOST_MARGIN, MOST_PATTERNS = 1e-4, 5.0, 1e5


def numbers(argument: str, values: ArrayLike, way_out: str) -> Array:
    """Real numbers of any shape, as float64."""
    try:
        found = np.asarray(values)
    except ValueError:  # ragged
        found = np.asarray(None)
    if found.dtype.kind not in "iuf" or found.size == 0:
        raise wrong(argument, "hold real numbers", repr(values), way_out)
    return found.astype(np.float64)


def margin(argument: str, kappa: ArrayLike, *, positive: bool = False) -> Array:
    """Margins from 0 (or 0.0001, where only positive ones make sense) to 5."""
    way_out = "0.5 is a good start"
    found = numbers(argument, kappa, way_out)
    inside = (found >= (LEAST_MARGIN if positive else 0)) & (found <= MOST_MARGIN)
    if not inside.all():
        rule = f"lie from {LEAST_MARGIN if positive else 0:g} to 5"
        raise wrong(argument, rule, f"{found[~inside].flat[0]:g}", way_out)
    return found


def one_margin(argument: str, kappa: float) -> float:
    """One margin from 0.0001 to 5."""
    found = margin(argument, kappa, positive=True)
    if found.ndim:
        raise wrong(argument, "be one number", f"shape {found.shape}", "call it for each margin")
    return float(found)


def load(argument: str, values: ArrayLike) -> Array:
    """Patterns over the dimension, alpha or beta: from 0 to 1e5."""
    way_out = "pass the number of patterns over the dimension N"
    found = numbers(argument, values, way_out)
    inside = (found >= 0) & (found <= MOST_PATTERNS)
    if not inside.all():
        raise wrong(argument, "lie from 0 to 1e5", f"{found[~inside].flat[0]:g}", way_out)
    return found


def one_load(argument: str, value: float) -> float:
    """One such number."""
    found = load(argument, value)
    if found.ndim:
        raise wrong(argument, "be one number", f"shape {found.shape}", "call it for each value")
    return float(found)


def overlap(argument: str, values: ArrayLike) -> Array:
    """Overlaps from 0 to below 1."""
    way_out = "0.9 is one"
    found = numbers(argument, values, way_out)
    inside = (found >= 0) & (found < 1)
    if not inside.all():
        raise wrong(argument, "lie from 0 to below 1", f"{found[~inside].flat[0]:g}", way_out)
    return found


def together(**arrays: Array) -> tuple[Any, ...]:
    """All of one shape, by NumPy's rules of broadcasting."""
    try:
        return tuple(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        first, last = ", ".join([*arrays][:-1]), [*arrays][-1]
        shapes = ", ".join(str(each.shape) for each in arrays.values())
        way_out = "pass numbers, or arrays of one shape; x[:, None] makes a column of x"
        raise wrong(f"{first} and {last}", "broadcast", f"shapes {shapes}", way_out) from None
