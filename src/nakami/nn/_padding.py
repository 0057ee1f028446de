"""What is put around pictures before fields are laid, by the arguments of ``nn.Conv2d``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..results import check_at_least, check_choice, wrong

MODES = ("zeros", "reflect", "replicate", "circular")


def pair(argument: str, value: int | tuple[int, int], least: int = 1) -> tuple[int, int]:
    """Two whole numbers from one or two, at least ``least``."""
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2 or isinstance(value, str):
        raise wrong(argument, "be one number or two", repr(value), "pass 2, or (2, 2)")
    first, second = (check_at_least(argument, each, least, "use 2") for each in both)
    return first, second


def padded(
    padding: int | tuple[int, int] | str,
    stride: tuple[int, int],
    more: tuple[int, int],
) -> tuple[int, int, int, int]:
    """Pixels on the left, the right, above and below.

    Args:
        padding: Pixels of height and width on both sides, ``"valid"`` for none, ``"same"`` for
            outputs of the size of the inputs.
        stride: Of the fields.
        more: Height and width of a field, less 1.
    """
    if not isinstance(padding, str):
        height, width = pair("padding", padding, least=0)
        return width, width, height, height
    check_choice("padding", padding, ("same", "valid"), "or pass numbers")
    if padding == "valid":
        return 0, 0, 0, 0
    if stride != (1, 1):
        raise wrong("padding", "be a number where stride is not 1", "'same'", "use padding=0")
    height, width = more
    return width // 2, width - width // 2, height // 2, height - height // 2


def check_pads(pads: tuple[int, int, int, int], size: tuple[int, int], mode: str) -> None:
    """Refuse modes there are not, and reflections or copies of more than the pictures hold."""
    check_choice("padding_mode", mode, MODES, "use 'zeros'")
    for side, around in zip(size, (max(pads[2:]), max(pads[:2])), strict=True):
        if around > (most := most_padding(side, mode)):
            rule = f"be at most {most:g} with padding_mode={mode!r}"
            raise wrong("padding", rule, around, "use padding_mode='zeros'")


def most_padding(side: int, mode: str) -> float:
    """Pixels that can be put around a picture's side: a reflection leaves out the border."""
    return {"reflect": side - 1, "circular": side}.get(mode, math.inf)
