"""What the page is about: the looks of a training, by stage and step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ....results import counted, evenly, wrong
from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.results import StageSummary, XrayHistory

say = Sentences(__file__)
PANELS = 6  # stages with charts of their own, at most
LINES = 8  # values drawn of each, at most
LOOKS = 200  # looks drawn, at most


@dataclass(frozen=True)
class Data:
    """A history with at least one look.

    Attributes:
        found: All of it.
        values: Of the looks that are drawn, ``(looks, stages, inputs, k)``.
        steps: Of these looks.
        summaries: Of every stage, a row for each of these looks.
    """

    found: XrayHistory
    values: np.ndarray
    steps: list[int]
    summaries: Mapping[str, Sequence[StageSummary]]

    @property
    def panels(self) -> list[str]:
        """Stages with charts of their own: the first, the last and some between."""
        return evenly(self.found.names, PANELS)

    @property
    def last(self) -> str:
        """The deepest stage on the way to the output that is read."""
        return self.found.path[-1]

    def lines(self, stage: str) -> list[int]:
        """Indices from 0 on of the values of a stage that are drawn."""
        return evenly(range(min(row.k for row in self.summaries[stage])), LINES)

    def mean_sd(self, stage: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd over inputs of each drawn value, ``(looks, lines)``; sd 0 of one input."""
        of = self.values[:, self.found.names.index(stage)][..., self.lines(stage)]
        sd = of.std(1, ddof=1) if of.shape[1] > 1 else np.zeros_like(of[:, 0])
        return of.mean(1), sd

    def text(self, key: str, default: str = "not stated") -> str:
        """A setting as text."""
        return str(self.found.settings.get(key) or default)


def read(found: XrayHistory, _: Mapping[str, Any]) -> Data:
    """Choose the looks that are drawn.

    Raises:
        UsageError: There is none.
    """
    if not found.looks:
        why = [f"{counted(n, 'look')} failed: {text}" for text, n in found.failures.items()]
        ways = ["call look() of the XrayMonitor at sound weights"]
        if over := len(found.skipped) - sum(found.failures.values()):
            left = f"left out for the budget, max_share={found.max_share:g}"
            why = [f"{counted(over, 'look')} {left}", *why]
            ways = ["give the XrayMonitor a larger max_share", "call its look()"]
        raise wrong("result", "hold a look", f"none ({', '.join(why)})" if why else "none", ways)
    drawn = evenly(range(len(found.looks)), LOOKS)
    rows = {name: [found.summary(name)[i] for i in drawn] for name in found.names}
    return Data(found, found.values[drawn], found.steps[drawn].tolist(), rows)
