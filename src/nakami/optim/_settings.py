"""Checks of an optimizer's settings, of its defaults and of every group alike. Knows no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..results import is_number, wrong

SWITCHES = ("decoupled_weight_decay", "maximize", "capturable")


def check_shared(group: Mapping[str, Any]) -> None:
    """Refuse a rate, a weight decay, an ``eps`` or a switch that is out of range."""
    check_rate(group["lr"])
    check_from_0("weight_decay", group["weight_decay"], "0 is the default")
    check_eps(group["eps"])
    for name in SWITCHES:
        if not isinstance(group[name], bool):
            raise wrong(name, "be True or False", repr(group[name]), f"pass {name}=True")
    if group["foreach"] not in (None, True, False):
        way_out = "leave it out for the default"
        raise wrong("foreach", "be True, False or None", repr(group["foreach"]), way_out)


def check_eps(eps: object, name: str = "eps") -> None:
    """Refuse anything but a finite number above 0: 0 / 0 is NaN."""
    if isinstance(eps, bool) or not is_number(eps) or not 0 < eps < math.inf:
        raise wrong(name, "be a number above 0", repr(eps), "1e-8 is the default")


def check_rate(lr: object) -> None:
    """Refuse what is no learning rate: a number from 0 on, or a tensor of one."""
    way_out = "pass lr=1e-3"
    shape = getattr(lr, "shape", ())
    if math.prod(shape) != 1:
        raise wrong("lr", "be one number", f"a tensor of shape {tuple(shape)}", way_out)
    check_from_0("lr", lr, way_out)


def check_from_0(name: str, value: object, way_out: str) -> None:
    """Refuse anything but a finite number from 0 on."""
    if isinstance(value, bool) or not is_number(value) or not 0 <= value < math.inf:
        raise wrong(name, "be a number from 0 on", repr(value), way_out)


def check_inside(name: str, value: object, way_out: str) -> None:
    """Refuse anything but a number between 0 and 1, both left out."""
    if isinstance(value, bool) or not is_number(value) or not 0 < value < 1:
        raise wrong(name, "lie between 0 and 1", repr(value), way_out)
