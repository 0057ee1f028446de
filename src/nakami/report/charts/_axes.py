"""Domains and ticks: at most six, at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

MAX_TICKS = 6
MINUS_SIGN = "replace(format(datum.value, '~g'), '-', '\u2212')"
TINY = "replace(format(datum.value, '.2~g'), '-', '\u2212')"
_EXPONENT = "-floor(log(datum.value) / LN10 + 1e-9)"
_DIGITS = f"format(datum.value * pow(10, {_EXPONENT}), '.3~g')"
_RAISED = "['⁰','¹','²','³','⁴','⁵','⁶','⁷','⁸','⁹']"
POWERS = (
    "datum.value >= 0.001 || datum.value == 0 ? format(datum.value, '~g') : "
    f"({_DIGITS} == '1' ? '' : {_DIGITS} + '×') + '10⁻' + "
    f"({_EXPONENT} >= 10 ? {_RAISED}[floor({_EXPONENT} / 10)] : '') + {_RAISED}[{_EXPONENT} % 10]"
)


def log_axis(low: float, high: float) -> dict[str, Any]:
    """Scale and axis of a log axis that covers ``low`` to ``high`` (both positive).

    At least two ticks: at powers of ten; where these are fewer at 1, 2 and 5 times them, then at
    every digit, then at equal distances.
    """
    seen = ([t for t in ticks if low * 0.999 <= t <= high * 1.001] for ticks in _ticks(low, high))
    values = next((some for some in seen if len(some) > 1), [low, high])
    return {
        "scale": {"type": "log", "domain": [low, high], "nice": False},
        "axis": {"values": [float(f"{t:.6g}") for t in values], "labelExpr": POWERS},
    }


def _ticks(low: float, high: float) -> Iterator[list[float]]:
    """Places for ticks, each finer than the one before."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    if last - first > 1:
        step = math.ceil((last - first) / (MAX_TICKS - 1))
        yield [10.0**p for p in range(first, last + 1, step)]
    for digits in ((1, 2, 5), range(1, 10)):
        yield [m * 10.0**p for p in range(first, last + 1) for m in digits]
    even = nice_step((high - low) / 4)
    yield [i * even for i in range(math.floor(low / even), math.ceil(high / even) + 1)]


def linear_axis(low: float, high: float, whole: bool = False) -> dict[str, Any]:
    """Scale and axis of a linear axis that covers ``low`` to ``high``, widened to round numbers."""
    step = nice_step((high - low) / 5, whole)
    ends = (math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step)
    count = round((ends[1] - ends[0]) / step)
    ticks = [float(f"{ends[0] + i * step:.6g}") for i in range(count + 1)]
    return {
        "scale": {"type": "linear", "domain": [ticks[0], ticks[-1]], "nice": False},
        "axis": {"values": ticks, "labelExpr": MINUS_SIGN if max(high, -low) >= 1e-3 else TINY},
    }


def value_axes(top: float, means: list[float], starts: list[float]) -> dict[str, dict[str, Any]]:
    """The two modes of a singular value axis; only linear where every value is zero.

    Args:
        top: Largest value to show, band included.
        means: All mean values.
        starts: The first mean of each curve; on the log axis at least its decade is shown.
    """
    if max(means, default=0.0) <= 0:
        return {"linear": linear_axis(0, 1)}
    positive = [v for v in means if v > 0]
    low = max(min(positive, default=top) * 0.8, top * 3e-4)
    low = min([low, *(max(v / 10, top * 1e-12) for v in starts if v > 0)])
    if 0.05 < top < 1:  # keep s = 1 in sight where it is near
        top = 1.0
    low = min(low, 0.6) if low < 300 else low
    bottom = 10.0 ** math.floor(math.log10(low)) if top / low > 200 else low
    log = log_axis(float(f"{bottom:.3g}"), float(f"{top * 1.12:.3g}"))
    return {"log": log, "linear": linear_axis(0, top)}


def index_axes(k: int, small: bool = False) -> dict[str, dict[str, Any]]:
    """The two modes of an index axis from 1 to k; fewer ticks for a small chart."""
    if k < 3:
        only = {"scale": {"type": "linear", "domain": [0.5, k + 0.5], "nice": False},
                "axis": {"values": list(range(1, k + 1)), "format": "d"}}  # fmt: skip
        return {"linear": only}
    step = nice_step(k / (3 if small else 5), whole=True)
    near = [v for v in np.arange(step, k * 1.001, step) if v > step / 2]
    linear = {"scale": {"type": "linear", "domain": [1, k], "nice": False},
              "axis": {"values": [1, *(int(v) for v in near)]}}  # fmt: skip
    marks = (1,) if small and k > 50 else (1, 2, 5) if k < 1200 else (1, 3)
    found = [m * 10**p for p in range(8) for m in marks if m * 10**p <= k]
    while len(found) > 9:
        found = [v for v in found if str(v)[0] == "1"]
    log = {"scale": {"type": "log", "domain": [1, k], "nice": False}, "axis": {"values": found}}
    return {"log": log, "linear": linear}


def nice_step(rough: float, whole: bool = False) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is at least ``rough``."""
    if rough <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    return max(1.0, float(math.ceil(step))) if whole else step
