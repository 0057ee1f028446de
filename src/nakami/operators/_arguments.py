"""Arguments in the order of a function: exchanged ones are named in one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from ..results import is_number, wrong_type
from .curvature._losses import NAMES
from .model._view import View

OF_LOSSES = nn.MSELoss.__module__


def check_order(**arguments: Any) -> None:
    """Refuse arguments that would all fit in another order, by what each of them can be.

    Args:
        arguments: In the order of the function that takes them, named ``model``, ``optimizer``,
            ``data``, ``loss`` or ``rate``.

    Raises:
        UsageError: Another order fits, this one does not.
    """
    names, values = tuple(arguments), tuple(arguments.values())
    kinds = [_kinds(value) for value in values]
    if all(name in kind for name, kind in zip(names, kinds, strict=True)):
        return
    fitting = [
        order
        for order in permutations(names)
        if all(name in kind for name, kind in zip(order, kinds, strict=True))
    ]
    if not fitting:  # each is then refused by itself
        return
    meant = max(fitting, key=lambda order: sum(a == b for a, b in zip(order, names, strict=True)))
    moved = [name for name, other in zip(names, meant, strict=True) if name != other]
    given = [f"{type(arguments[name]).__name__} as {name}" for name in moved]
    rule = f"come in the order ({', '.join(names)})"
    way_out = "exchange them" if len(moved) == 2 else "pass them in this order"
    raise wrong_type(_listed(moved), rule, _listed(given), way_out)


def unwrapped_optimizer(optimizer: Any) -> Any:
    """The optimizer in a wrapper that is one, too, as accelerate's."""
    inner = getattr(optimizer, "optimizer", None)
    return unwrapped_optimizer(inner) if isinstance(inner, Optimizer) else optimizer


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _kinds(value: Any) -> tuple[str, ...]:
    """The arguments that a value can be."""
    if isinstance(value, View):
        return ("model",)
    if isinstance(value, nn.Module):
        return ("loss",) if type(value).__module__ == OF_LOSSES else ("model", "loss")
    if isinstance(value, Optimizer):
        return ("optimizer",)
    if isinstance(value, str):
        return ("loss",) if value in NAMES else ("optimizer",)
    if isinstance(value, (Tensor, np.ndarray)):
        return ("data",)
    if is_number(value) or hasattr(value, "advised"):
        return ("rate",)
    if value is None or isinstance(value, type):
        return ("loss",)
    if hasattr(value, "to") or isinstance(value, Iterable):
        return ("data",)
    return ("loss",) if callable(value) else ()
