"""Products, and all else of an operator, in the arithmetic that they say.

Autocast is lifted, and so is TF32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, wraps
from types import FunctionType
from typing import ParamSpec, TypeVar

import torch

from ._tf32 import coarse, full_float32

P = ParamSpec("P")
R = TypeVar("R")

KINDS = ("cpu", "cuda", "mps")


def enabled() -> list[str]:
    """The kinds of devices for which autocast is on."""
    if not torch._C._is_any_autocast_enabled():  # asked at each function that a network calls
        return []
    return [kind for kind in KINDS if torch.is_autocast_enabled(kind)]


@contextmanager
def autocast_put_back() -> Iterator[None]:
    """After it autocast is on where it was on before."""
    before = enabled()
    try:
        yield
    finally:
        for kind in before:
            torch.set_autocast_enabled(kind, True)


def without_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """The function, run without the autocast and the TF32 that are around its call."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        on = enabled()
        if not on and not coarse():
            return function(*args, **kwargs)
        with autocast_put_back(), full_float32():
            for kind in on:
                torch.set_autocast_enabled(kind, False)
            return function(*args, **kwargs)

    return run


def lift_in_methods(kind: type) -> None:
    """Let the public methods and properties that a class defines run without autocast and TF32."""
    for name, value in list(vars(kind).items()):
        if name.startswith("_"):
            continue
        if isinstance(value, FunctionType):
            setattr(kind, name, without_autocast(value))
        elif isinstance(value, cached_property):
            value.func = without_autocast(value.func)
        elif isinstance(value, property) and value.fget is not None:
            setattr(kind, name, value.getter(without_autocast(value.fget)))
