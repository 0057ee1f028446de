"""Hooks of one model alone: its copies and pickles do without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class OwnHook:
    """A hook that acts on the model that it was registered on, and on no copy of it.

    ``copy.deepcopy(model)`` (an average of weights) and ``torch.save(model)`` take hooks along.
    What they hold in place of this one does nothing.
    """

    def __init__(self, act: Callable[..., Any]):
        self._act = act

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What ``act`` returns."""
        return self._act(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """A hook that does nothing."""
        return OwnHook, (_nothing,)


def _nothing(*_: Any, **__: Any) -> None:
    return
