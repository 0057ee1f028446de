"""How the values of one column become numbers; what all ways share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from nakami.results import check_at_least, check_choice, is_number, wrong

Check = Callable[[str, Any], Any]
Values = Any  # float64 array, array of rows, list of texts, or list of files


class Vector(ABC):
    """Values of one column as numbers: ``learn`` by parts from training rows, then ``apply``.

    Attributes:
        name: As a schema names it.
        for_targets: Whether a target may be given so.
        counts: What ``counted`` counts, in words.
        counted: Values of which ``apply`` left something out, since the start.
    """

    name: ClassVar[str]
    for_targets: ClassVar[bool] = False
    counts: ClassVar[str] = ""

    def __init__(self, column: str, options: Mapping[str, Any], classes: Sequence[str] = ()):
        self.column, self.chosen, self.classes = column, dict(options), tuple(classes)
        self.counted = 0

    @classmethod
    def options(cls) -> Mapping[str, Check]:
        """What it takes beside, with what refuses a wrong value."""
        return {}

    @property
    def kind(self) -> str:
        """What sources are asked for, where it is not the type of the column."""
        return ""

    def learn(self, values: Values) -> None:  # noqa: B027 - many have nothing to learn
        """Take in a part of the training rows."""

    def finish(self) -> None:  # noqa: B027
        """All training rows were taken in."""

    def quick(self, values: Values) -> Mapping[int, str]:
        """As ``wrong``, where that costs next to nothing."""
        return {}

    def wrong(self, values: Values) -> Mapping[int, str]:
        """Which of the values ``apply`` refuses, by place, and why."""
        return self.quick(values)

    @abstractmethod
    def apply(self, values: Values) -> Tensor:
        """Numbers of right values, ``(n, ...)``."""

    def learned(self) -> dict[str, Any]:
        """What training rows taught, plain JSON values."""
        return {}

    def restore(self, learned: Mapping[str, Any]) -> None:  # noqa: B027
        """Take ``learned`` of another one."""

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components of a row of numbers; empty: no row."""
        return ()


def whole(least: int, way_out: str) -> Check:
    """Takes whole numbers from ``least`` on."""
    return lambda name, value: check_at_least(name, value, least, way_out)


def one_of(*choices: str) -> Check:
    """Takes some words."""
    return lambda name, value: check_choice(name, value, choices, f'write "{choices[0]}"')


def above_zero(way_out: str) -> Check:
    """Takes numbers above 0."""

    def check(name: str, value: Any) -> None:
        if not is_number(value) or not 0 < value < float("inf"):
            raise wrong(name, "be a number above 0", repr(value), way_out)

    return check
