"""What the heads of picture and sound files say: a proposal of how to take them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nakami.results import UsageError

from .._pictures import heads_of_pictures
from ._files import BANDS, RATE, again, length_of_sound

SIDE = 64  # pixels that a network of few layers can take in
Head = TypeVar("Head")


def proposed(kind: str, files: Sequence[Any]) -> tuple[dict[str, Any], str]:
    """Options of a column of files, and a remark for the reader; damaged ones are left out.

    Args:
        kind: ``"picture"`` or ``"sound"``.
        files: Those that are looked at.
    """
    return _sounds(files) if kind == "sound" else _pictures(files)


def _pictures(files: Sequence[Any]) -> tuple[dict[str, Any], str]:
    heads = _readable(lambda file: heads_of_pictures([file]), files)
    sides = [min(sizes[0]) for sizes, _ in heads] or [SIDE]
    options: dict[str, Any] = {"size": min(SIDE, max(sides))}
    if heads and all(grey for _, grey in heads):
        options["mode"] = "grey"
    return options, f"pictures, shorter side {_between(min(sides), max(sides), 'pixels')}"


def _sounds(files: Sequence[Any]) -> tuple[dict[str, Any], str]:
    """The highest rate, and a length in which all of them fit."""
    heads = _readable(length_of_sound, files) or [(RATE, RATE)]
    times = [n / rate for n, rate in heads]
    rate = max(rate for _, rate in heads)
    seconds = math.ceil(round(100 * max(times), 6)) / 100
    options = {"rate": rate, "bands": BANDS, "seconds": seconds}
    return options, f"sounds of {_between(round(min(times), 2), round(max(times), 2), 's')}"


def _readable(look: Callable[[Any], Head], files: Sequence[Any]) -> list[Head]:
    found = []
    for file in files:
        try:
            found.append(look(again(file)))
        except UsageError:
            continue
    return found


def _between(least: float, most: float, unit: str) -> str:
    return f"{least:g} {unit}" if least == most else f"{least:g} to {most:g} {unit}"
