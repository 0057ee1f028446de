"""Names of many rows, which take no memory while nobody asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final, overload

import numpy as np


@final
class Names(Sequence[str]):
    """Texts that stand one behind the other in an array, perhaps of a file.

    Args:
        text: UTF-8, ``(bytes,)`` uint8.
        ends: Where each text ends, ``(n,)`` int64.
    """

    def __init__(self, text: np.ndarray, ends: np.ndarray):
        self._text, self._ends = text, ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return tuple(self[i] for i in range(len(self))[place])
        i = range(len(self))[place]
        first = int(self._ends[i - 1]) if i else 0
        return self._text[first : int(self._ends[i])].tobytes().decode()


def encoded(names: Sequence[str], first: int) -> tuple[np.ndarray, np.ndarray]:
    """Names as ``Names`` takes them, behind ``first`` bytes of others."""
    texts = [name.encode() for name in names]
    ends = first + np.cumsum([len(text) for text in texts], dtype=np.int64)
    return np.frombuffer(b"".join(texts), dtype=np.uint8), ends
