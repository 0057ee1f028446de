"""Arguments that many functions take, each refused in one sentence; in one place.

Numbers of Python, NumPy and torch (scalars, tensors of one number) are taken alike.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any, TypeGuard

from ._errors import wrong

DEFAULT_BUDGET = 1 << 30  # bytes
MOST_SEEDS = 1 << 64
FINITE = sys.float_info.max


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is one real number, of Python, NumPy or torch; may be NaN."""
    return isinstance(_scalar(value), Real)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is one whole number, and not True or False."""
    found = _scalar(value)
    return isinstance(found, Integral) and not isinstance(found, bool)


def check_choice(argument: str, value: object, choices: Sequence[str], way_out: str) -> None:
    """Refuse anything but one of the words."""
    if not isinstance(value, str) or value not in choices:
        raise wrong(argument, f"be one of {', '.join(choices)}", repr(value), way_out)


def check_count(argument: str, value: object, most: int, rule: str, way_out: str) -> int:
    """A whole number from 1 to ``most``; ``rule`` says what the bound is."""
    value = _scalar(value)
    if not is_whole(value) or not 1 <= value <= most:
        raise wrong(argument, f"be a whole number from 1 to {most} ({rule})", repr(value), way_out)
    return int(value)


def check_at_least(argument: str, value: object, least: int, way_out: str) -> int:
    """A whole number from ``least`` on."""
    value = _scalar(value)
    if not is_whole(value) or value < least:
        raise wrong(argument, f"be a whole number from {least} on", repr(value), way_out)
    return int(value)


def check_budget(memory_budget: object) -> int:
    """Bytes; None is the default."""
    if memory_budget is None:
        return DEFAULT_BUDGET
    size = _scalar(memory_budget)
    size = int(size) if isinstance(size, float) and size.is_integer() else size  # 2e9
    if not is_whole(size) or size < 1:
        rule, way_out = "be a whole number of bytes, at least 1", "write 2**30 for 1 GiB"
        raise wrong("memory_budget", rule, repr(memory_budget), way_out)
    return int(size)


def check_ends(
    argument: str, value: object, least: float, most: float, rule: str, way_out: str
) -> tuple[float, float]:
    """Two finite numbers, ``least <= first <= second <= most``; ``rule`` says it in words."""
    both = tuple(value) if isinstance(value, Iterable) else ()
    ends = [_scalar(each) for each in both if is_number(each)]
    if len(both) != 2 or len(ends) != 2 or not least <= ends[0] <= ends[1] <= min(most, FINITE):
        raise wrong(argument, rule, repr(value), way_out)
    return float(ends[0]), float(ends[1])


def check_sizes(
    argument: str, value: object, count: int | None, rule: str, way_out: str, least: int = 1
) -> tuple[int, ...]:
    """So many whole numbers from ``least`` on, one or more for None; ``rule`` says it in words."""
    sizes = list(value) if isinstance(value, Sequence) else []
    right = bool(sizes) and count in (None, len(sizes))
    if not right or not all(is_whole(n) and n >= least for n in sizes):
        raise wrong(argument, rule, repr(value), way_out)
    return tuple(int(_scalar(n)) for n in sizes)


def check_seed(seed: object) -> int:
    """What a generator takes: a whole number from 0 on, of 64 bits."""
    seed = _scalar(seed)
    if not is_whole(seed) or not 0 <= seed < MOST_SEEDS:
        raise wrong("seed", "be a whole number from 0 to 2^64 - 1", repr(seed), "0 is the default")
    return int(seed)


def check_fraction(argument: str, value: object, way_out: str) -> None:
    """Refuse a bound that is no number between 0 and 1."""
    if not is_number(value) or not 0 < value < 1:
        raise wrong(argument, "lie between 0 and 1", repr(value), way_out)


def _scalar(value: Any) -> Any:
    """The Python number in a NumPy scalar or a tensor of one number; else the value itself."""
    one = getattr(value, "shape", None) == () or (hasattr(value, "numel") and value.numel() == 1)
    return value.item() if one else value
