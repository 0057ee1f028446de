"""How far a reading of a learning rate is, in parts and in words."""

from __future__ import annotations

from typing import final

from ...results import Progress, report


@final
class Parts:
    """Parts of a reading, counted for a ``Progress``.

    Attributes:
        total: How many there are. count: how many are done.
    """

    def __init__(self, progress: Progress | None, total: int):
        self._progress, self.total, self.count = progress, total, 0

    def tell(self, words: str) -> None:
        """Say what goes on in a part."""
        report(self._progress, self.count, self.total, None, words)

    def done(self, words: str, count: int = 1) -> None:
        """So many more parts."""
        self.count += count
        self.tell(words)
