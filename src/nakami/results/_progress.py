"""How far a piece of work is, and the time that is left from what each kind of piece has cost.

Everything that reports calls ``progress(done, total, seconds_left, what)`` after each piece, and
says the same to whoever listens.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from statistics import mean, median
from typing import TypeAlias, final

from ._listening import duration, said

Progress: TypeAlias = Callable[[int, int, float | None, str], None]


def report(
    progress: Progress | None, done: int, total: int, seconds_left: float | None, what: str
) -> None:
    """Say that pieces are done, to ``progress``, if there is one, and to whoever listens."""
    if progress is not None:
        progress(done, total, seconds_left, what)
    said(piece(done, total, seconds_left, what))


def piece(done: int, total: int, seconds_left: float | None, what: str) -> str:
    """``relu3: 4 of 11, 20 s left``."""
    known = seconds_left is not None and done < total
    left = f", {duration(seconds_left)} left" if known and seconds_left is not None else ""
    return f"{what}: {done} of {total}{left}"


@final
class Work:
    """Pieces of work, counted for a ``Progress``.

    Args:
        kinds: The kind of every piece that is to be done, one entry each; each kind has a mean
            cost of its own, so that the estimate is steady.
        progress: Called after each piece, if not None.
        before: Number of pieces that an earlier call has left.
        at_once: How many pieces are in work at the same time.
    """

    def __init__(
        self,
        kinds: Iterable[Hashable],
        progress: Progress | None = None,
        before: int = 0,
        at_once: int = 1,
    ):
        self._at_once = at_once
        self._left, self._progress = Counter(kinds), progress
        self._done, self._total = before, before + self._left.total()
        self._spent: dict[Hashable, list[float]] = {}
        self._warmed_up: Hashable | None = None  # the kind whose only cost so far is the first
        self._last = time.monotonic()

    def done(self, what: str, kind: Hashable = "", seconds: float | None = None) -> float:
        """Note one finished piece; returns the seconds that the others will take.

        The first piece of all carries the warm-up, so it counts only while its kind has no other. A
        kind not seen yet is taken to cost the median of those seen.

        Args:
            what: What was done, in a few words.
            kind: As given to ``kinds``.
            seconds: What it cost; None: the time since the piece before.
        """
        now = time.monotonic()
        cost, self._last = (now - self._last if seconds is None else seconds), now
        self._done += 1
        self._left[kind] -= 1
        if kind == self._warmed_up:
            self._spent[kind], self._warmed_up = [], None
        elif not self._spent:
            self._warmed_up = kind
        self._spent.setdefault(kind, []).append(cost)
        means = {k: mean(v) for k, v in self._spent.items()}
        usual = median(means.values())
        left = sum(n * means.get(k, usual) for k, n in self._left.items()) / self._at_once
        report(self._progress, self._done, self._total, left, what)
        return left


def share(progress: Progress | None, index: int, count: int, name: str) -> Progress | None:
    """Progress of one of ``count`` works as progress of all; later ones are taken to cost as much.

    Args:
        progress: Of all; None gives None.
        index: Which of them this is, from 0 on.
        count: How many there are.
        name: Stands before what was done.
    """
    if progress is None:
        return None
    began, kept = time.monotonic(), -1  # pieces that an earlier call has left

    def tell(done: int, total: int, left: float | None, what: str) -> None:
        nonlocal kept
        kept = done - 1 if kept < 0 else kept
        if left is not None:
            whole = (time.monotonic() - began + left) * total / (total - kept)
            left += (count - 1 - index) * whole
        progress(index * total + done, count * total, left, f"{name}: {what}")

    return tell
