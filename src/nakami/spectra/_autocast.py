"""Products in the arithmetic that they say: autocast is lifted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

KINDS = ("cpu", "cuda", "mps")


def enabled() -> list[str]:
    """The kinds of devices for which autocast is on."""
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
    """The function, run without the autocast that is around its call."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        on = enabled()
        if not on:
            return function(*args, **kwargs)
        with autocast_put_back():
            for kind in on:
                torch.set_autocast_enabled(kind, False)
            return function(*args, **kwargs)

    return run
