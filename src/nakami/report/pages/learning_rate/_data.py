"""What the page is about: the report, what was said about it, and numbers made from both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.geometry import LearningRateReport, Trial

say = Sentences(__file__)
LAST = 5  # steps of a trial that its end is the mean of


@dataclass(frozen=True)
class Data:
    """A report on learning rates, and what it does not know itself."""

    found: LearningRateReport
    about: Mapping[str, Any]

    def text(self, key: str, default: str = "not stated") -> str:
        """What was said about something."""
        return str(self.about.get(key, default))

    @property
    def largest(self) -> float:
        """The largest eigenvalue of the loss's Gauss-Newton matrix."""
        e = self.found.eigenvalues
        return e.largest if e else self.found.limit.lambda_max

    @property
    def whole(self) -> int:
        """Steps of a trial that was not stopped."""
        return longest(self.found.rate.trials)

    def above(self, border: float) -> float:
        """Eigenvalues above a border, by the curve."""
        e = self.found.eigenvalues
        assert e is not None
        step = math.log10(e.points[1] / e.points[0])
        return sum(c * step for x, c in zip(e.points, e.count, strict=True) if x >= border)


def read(found: LearningRateReport, about: Mapping[str, Any]) -> Data:
    """Put both together."""
    return Data(found, about)


def longest(trials: tuple[Trial, ...]) -> int:
    """Steps of a trial that was not stopped."""
    return max(len(t.losses) for t in trials)


def end(trial: Trial) -> float:
    """Mean of the last finite losses of a trial; inf where there are none."""
    losses = [v for v in trial.losses if math.isfinite(v)][-LAST:]
    return sum(losses) / len(losses) if losses else float("inf")
