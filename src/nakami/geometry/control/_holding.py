"""One control for one optimizer: two would overwrite each other's rates."""

from __future__ import annotations

import weakref
from typing import Any

from torch.optim import Optimizer

from ...results import wrong
from ..rate._optimizers import check_optimizer
from ._group_rates import GroupRates

Held = tuple["weakref.ref[Any]", "weakref.ref[GroupRates]"]
_HELD: weakref.WeakKeyDictionary[Optimizer, Held] = weakref.WeakKeyDictionary()


def check_free(optimizer: object) -> None:
    """Refuse an optimizer that another control holds; one that is gone gives schedulers back."""
    if not isinstance(optimizer, Optimizer):
        check_optimizer(optimizer)
        return
    control, rates = _HELD.get(optimizer, (None, None))
    if control is not None and control() is not None:
        way_out = "call release() of the first, or build another optimizer"
        raise wrong("optimizer", "have one RateControl", "a second one", way_out)
    if rates is not None and (left := rates()) is not None:
        left.release()  # which its schedulers keep


def hold(optimizer: Optimizer, control: Any, rates: GroupRates) -> None:
    """Note which control an optimizer has."""
    _HELD[optimizer] = weakref.ref(control), weakref.ref(rates)


def let_go(optimizer: Optimizer, control: Any) -> None:
    """Forget a control that has released its optimizer."""
    if optimizer in _HELD and _HELD[optimizer][0]() is control:
        del _HELD[optimizer]
