"""Names that tell two runs apart."""

from __future__ import annotations

from itertools import count
from pathlib import Path

NAMELESS = ("before", "after")


def told_apart(one: Path | None, other: Path | None, subjects: tuple[str, str]) -> tuple[str, str]:
    """The names of the folders of two runs, with as many folders above them as tell them apart.

    Args:
        one: Folder of the first run; None for one in memory.
        other: Of the second.
        subjects: What the runs are about, for those in memory.

    Returns:
        Two names; ``before`` and ``after`` where subjects, or the folders, are the same.
    """
    if one is None or other is None:
        first, second = (
            s if f is None else f.name for f, s in zip((one, other), subjects, strict=True)
        )
        return (first, second) if first != second else NAMELESS
    a, b = one.resolve().parts, other.resolve().parts
    if a == b:
        return NAMELESS
    n = next(n for n in count(1) if a[-n:] != b[-n:])
    return str(Path(*a[-n:])), str(Path(*b[-n:]))
