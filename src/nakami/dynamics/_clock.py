"""The time that is left, from what each kind of piece has cost so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from statistics import mean, median


class Clock:
    """Estimates of remaining seconds, steady because each kind of piece has a mean of its own.

    Args:
        kinds: The kind of every piece that is to be done, one entry each.
    """

    def __init__(self, kinds: Iterable[Hashable]):
        self._left = Counter(kinds)
        self._spent: dict[Hashable, list[float]] = {}
        self._warmed_up: Hashable | None = None  # the kind whose only cost so far is the first

    def done(self, kind: Hashable, seconds: float) -> float:
        """Note one finished piece; returns the seconds that the others will take.

        The first piece of all carries the warm-up, so it counts only while its kind has no other. A
        kind not seen yet is taken to cost the median of those seen.
        """
        self._left[kind] -= 1
        if kind == self._warmed_up:
            self._spent[kind], self._warmed_up = [], None
        elif not self._spent:
            self._warmed_up = kind
        self._spent.setdefault(kind, []).append(seconds)
        means = {k: mean(v) for k, v in self._spent.items()}
        usual = median(means.values())
        return sum(n * means.get(k, usual) for k, n in self._left.items())
