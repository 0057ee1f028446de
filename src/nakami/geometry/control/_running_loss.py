"""Running mean and spread of a training's loss, and the record of a measure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from ...results import Outcome
from .._outcomes import ControlEnding

RECENT = 5.0  # steps over which the level is averaged
LONG = 50.0  # and the band
WIDTH = 2.0  # standard deviations of a single loss
FIRST = 5  # losses before anything is judged


@dataclass
class RunningLoss:
    """Running mean and spread of losses, and the level of the last few.

    A loss above the band enters as its upper edge, so that an explosion does not widen the
    band. All four sums are exponential, corrected for their start.

    Attributes:
        count: Losses seen. level: sum for the recent mean. mean, square: for the band.
        run: Losses in a row with the level above the band. since: the level at the first of them.
    """

    count: int = 0
    level: float = 0.0
    mean: float = 0.0
    square: float = 0.0
    run: int = 0
    since: float = 0.0

    def add(self, loss: float) -> None:
        """One more loss, finite."""
        value = loss if self.count < FIRST else min(loss, self.band[1])
        self.count += 1
        self.level += (loss - self.level) / RECENT
        self.mean += (value - self.mean) / LONG
        self.square += (value * value - self.square) / LONG
        self.run = self.run + 1 if self.above else 0
        self.since = self.recent if self.run == 1 else self.since

    @property
    def recent(self) -> float:
        """Mean of the last few losses."""
        return self.level / (1 - (1 - 1 / RECENT) ** self.count) if self.count else math.nan

    @property
    def band(self) -> tuple[float, float]:
        """Lower and upper edge: the mean and twice the spread of single losses."""
        if not self.count:
            return -math.inf, math.inf
        weight = 1 - (1 - 1 / LONG) ** self.count
        mean = self.mean / weight
        spread = math.sqrt(max(0.0, self.square / weight - mean * mean))
        return mean - WIDTH * spread, mean + WIDTH * spread

    @property
    def above(self) -> bool:
        """Whether the recent level has left the band upwards."""
        return self.count >= FIRST and self.recent > self.band[1]

    def stays(self, steps: int) -> bool:
        """Whether it has been above for more than so many, and has not come down meanwhile."""
        return self.run > steps and self.recent >= self.since

    def as_dict(self) -> dict[str, float]:
        """All of it; ``RunningLoss(**d)`` makes it again."""
        return asdict(self)


@dataclass(frozen=True)
class RateRecord:
    """One measure of a training's stability.

    Attributes:
        step: Optimizer steps done.
        rate: Of the fastest group, in the last step.
        sharpness: Lower bound of the largest eigenvalue of the Gauss-Newton matrix of ``data``
            (the Hessian of a loss that the model makes) in the optimizer's coordinates; plain
            descent with one rate: lambda_max itself.
        residual: Of that eigenvalue; some eigenvalue lies within it.
        limit: ``stability_threshold / sharpness``, the largest stable rate; an upper bound.
        level: Mean loss of the last few steps. low, high: the running band of the loss.
        above: Whether ``level > high``. beyond: whether ``rate > limit``.
        streak: Measures beyond the limit since the last calm one.
        target: The rate aimed at after this measure; lower than before where it was lowered.
        lowered: Whether it was.
        cost: Gradient evaluations on ``data`` spent on measures so far, by count; as before where
            the last measure was judged again.
        noise_limit: The limit where gradients of small batches scatter, which momentum sums up:
            ``noise_threshold / sharpness``, for a momentum of 0.9 a 19th of ``limit``.
        rising: Steps in a row with the level above its band.
    """

    step: int
    rate: float
    sharpness: float
    residual: float
    limit: float
    level: float
    low: float
    high: float
    above: bool
    beyond: bool
    streak: int
    target: float
    lowered: bool
    cost: float
    noise_limit: float = math.inf
    rising: int = 0

    @property
    def outcome(self) -> Outcome:
        """What the measure showed, a ``ControlEnding``."""
        kind = ControlEnding.BEYOND if self.beyond else ControlEnding.CALM
        if not self.beyond and self.above:
            kind = ControlEnding.LOSS_HIGH
        if self.lowered:
            kind = ControlEnding.LOWERED if self.beyond else ControlEnding.ROSE
        said = {"streak": self.streak, "rising": self.rising, "target": self.target}
        return Outcome(kind, said)

    def as_dict(self) -> dict[str, float]:
        """Plain numbers by name, for a table, TensorBoard or a logger."""
        return asdict(self)
