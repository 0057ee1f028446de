"""The settings of SDProp, which are the same in every framework. Knows no torch."""

from __future__ import annotations

import math
from typing import Any

from ..results import is_number, wrong
from ._settings import check_inside


def check_sdprop(gamma: object, max_step: object) -> None:
    """Refuse a ``gamma`` or ``max_step`` out of range."""
    check_inside("gamma", gamma, "0.99 is the default")
    if max_step is None:
        return
    if isinstance(max_step, bool) or not is_number(max_step) or not max_step > 0:
        way_out = "leave it out for 1 / sqrt(gamma (1 - gamma)) or pass math.inf for none"
        raise wrong("max_step", "be a number above 0", repr(max_step), way_out)


def largest_move(gamma: Any, max_step: Any) -> Any:
    """The bound on a move in units of the rate that the settings stand for."""
    return (gamma * (1 - gamma)) ** -0.5 if max_step is None else max_step


def filled(step: float, gamma: float) -> float:
    """``sqrt(1 - gamma^t)``: of a deviation that began at 0 so much is there."""
    return math.sqrt(-math.expm1(step * math.log(gamma)))
