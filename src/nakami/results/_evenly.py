"""Some of many, evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def evenly(every: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of them: all, or the first, the last and some between, evenly."""
    count = min(most, len(every))
    step = (len(every) - 1) / max(1, count - 1)
    return [every[round(i * step)] for i in range(count)]
