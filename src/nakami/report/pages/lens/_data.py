"""What the page is about: the lenses of a finished run, and those that have charts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ....results import UsageError, evenly
from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.results import Lens, LensRun

say = Sentences(__file__)
DRAWN = 4  # stages with a chart of their own, at most
SURE = 2  # standard errors
WANTED = 0.05  # relative standard error that the page compares with


@dataclass(frozen=True)
class Data:
    """A finished run.

    Attributes:
        found: All of it. first: the lens of the first stage. last: of the last.
    """

    found: LensRun
    first: Lens
    last: Lens

    @property
    def lenses(self) -> list[Lens]:
        """By depth."""
        return list(self.found.lenses.values())

    @property
    def drawn(self) -> list[Lens]:
        """The first, the last and some between, evenly."""
        return evenly(self.lenses, DRAWN)

    @property
    def square(self) -> bool:
        """Whether every matrix has an identity to be compared with."""
        return all(one.mean.shape[0] == one.mean.shape[1] for one in self.lenses)

    @property
    def known(self) -> bool:
        """Whether there are standard errors: of one prompt there are none."""
        return self.first.n_prompts > 1

    @property
    def depth(self) -> list[int]:
        """Numbers of the blocks, where every stage is one; else the stages are counted from 1."""
        return self._numbers or list(range(1, len(self.lenses) + 1))

    @property
    def blocks(self) -> bool:
        """Whether ``depth`` are numbers of blocks."""
        return bool(self._numbers)

    @property
    def _numbers(self) -> list[int]:
        found = [re.fullmatch(r"(.*\D)(\d+)", name) for name in self.found]
        stems = {match[1] if match else None for match in found}
        if len(stems) > 1 or None in stems:
            return []
        return [int(match[2]) for match in found if match]

    @property
    def detached(self) -> bool:
        """Whether multipliers of the states were held as numbers."""
        return "derivative" in self.found.settings

    def text(self, key: str, default: str = "not stated") -> str:
        """A setting as text."""
        return str(self.found.settings.get(key) or default)

    @property
    def positions(self) -> str:
        """Which positions count, in words."""
        start, stop, step = self.found.settings["positions"]
        if (start, stop, step) == (None, None, None):
            return "all positions"
        ends = ":".join("" if end is None else str(end) for end in (start, stop))
        return f"positions {ends}" + (f", every {step}" if step not in (None, 1) else "")


def read(found: LensRun, _: Mapping[str, Any]) -> Data:
    """Put the lenses in order.

    Raises:
        UsageError: The run is not finished.
    """
    if not found.lenses:
        raise UsageError(
            f"result must be a finished run, got {found.groups} of "
            f"{found.settings['groups']} groups; start the command that made it again."
        )
    every = list(found.lenses.values())
    return Data(found, every[0], every[-1])
