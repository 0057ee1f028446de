"""A column of texts in which each is held once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np


@final
class Texts(Sequence[str]):
    """Texts as places among their kinds; what has to be done by text is done by kind.

    Args:
        kinds: Those that may occur, each once. places: of each text among them, ``(n,)`` whole.
    """

    def __init__(self, kinds: Sequence[str], places: np.ndarray):
        self.kinds, self.places = kinds, places

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[str]:
        return map(self.kinds.__getitem__, self.places.tolist())

    def __getitem__(self, which: Any) -> Any:
        """A text, or the texts of a slice or a mask."""
        if isinstance(which, slice | np.ndarray):
            return Texts(self.kinds, self.places[which])
        return self.kinds[self.places[which]]

    def counts(self) -> dict[str, int]:
        """How often each occurs, of those that do."""
        found = np.bincount(self.places, minlength=len(self.kinds)).tolist()
        return {kind: n for kind, n in zip(self.kinds, found, strict=True) if n}

    def by_kind(self, make: Any, dtype: Any) -> np.ndarray:
        """``make(kind)`` of each text, made once for each kind, ``(n,)``."""
        found = np.fromiter(map(make, self.kinds), dtype=dtype, count=len(self.kinds))
        return found[self.places]
