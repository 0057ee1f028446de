"""Counts with their nouns, and sentences that know one from several."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import Any

HISSING = ("s", "x", "ch", "sh")  # endings behind which a plural has an e


def counted(n: int, one: str, several: str = "") -> str:
    """A count and what is counted: ``1 batch``, ``1,024 batches``.

    Args:
        n: How many.
        one: What one of them is called.
        several: What they are called; default ``one`` with an s, or es.
    """
    hisses = one.endswith(HISSING) and not one.endswith("epoch")
    plural = several or one + ("es" if hisses else "s")
    return f"{n:,} {one if n == 1 else plural}"


def first_names(names: Iterable[str], most: int = 3) -> str:
    """The first names and how many more there are: ``a, b, c and 4 more``; ``none`` of none.

    Args:
        names: All of them.
        most: How many are shown.
    """
    every = list(names)
    more = len(every) - most
    shown = ", ".join(every[:most]) or "none"
    return f"{shown} and {more:,} more" if more > 0 else shown


class Counting(string.Formatter):
    """``str.format`` with ``{n:one|more}``: the first text where n is 1 or true, else the second.

    The texts may hold fields: ``{n:the value|all {n} values}``.
    """

    def format_field(self, value: Any, format_spec: str) -> str:
        """A value as its format says; see the class."""
        if "|" in format_spec:
            return format_spec.split("|")[value != 1]
        return format(value, format_spec)


def worded(sentence: str, numbers: Mapping[str, Any]) -> str:
    """A sentence with its numbers, in the form of ``Counting``."""
    return Counting().vformat(sentence, (), numbers)
