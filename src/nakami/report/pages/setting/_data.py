"""What the page is about: a setting with its advice, or an advice alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.geometry import LearningRate, NoiseScale, TrainingSetting, Trial
    from nakami.results import Outcome

say = Sentences(__file__)
SHAPES = ("constant", "cosine", "linear", "wsd")


@dataclass(frozen=True)
class Data:
    """An advice, the setting that it is part of, and what neither knows.

    Attributes:
        advice: The rate and its trials. setting: All parts, or None where the rate is alone.
        about: What was said about it.
    """

    advice: LearningRate
    setting: TrainingSetting | None
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of the model."""
        return str(self.about.get("model", "network"))

    @property
    def noise(self) -> NoiseScale | None:
        """How gradients scatter, where that was read."""
        return self.setting.noise if self.setting else None

    @property
    def cost(self) -> float:
        """In gradients on one batch."""
        return self.setting.cost if self.setting else self.advice.cost

    @property
    def share(self) -> float | None:
        """The cost as a share of the training's, where its length is known."""
        return self.cost / self.advice.training if self.advice.training else None

    @property
    def steps(self) -> int:
        """Of the training; 0 where its length is not known."""
        return self.advice.training or 0

    @property
    def warmup(self) -> int:
        """How many of the steps climb to the rate."""
        return self.advice.warmup

    def factor(self, step: int) -> float:
        """What the rate is multiplied by at a step of a schedule that has a name."""
        return self.advice.factor(step) or 0.0

    @property
    def doubts(self) -> list[Outcome]:
        """What speaks against the rate."""
        return [note for note in self.advice.notes if not note.converged]

    @property
    def sure(self) -> bool:
        """Whether a rate is known, and nothing speaks against it."""
        return self.advice.converged and self.advice.advised is not None and not self.doubts

    @property
    def best(self) -> Trial | None:
        """The trial that ended lowest; None where all ran away, or there was none."""
        ended = [t for t in self.advice.trials if math.isfinite(end(t))]
        return min(ended, key=end, default=None)

    @property
    def shape(self) -> str:
        """What the rate does over the training, in words that follow a rate."""
        name = self.advice.schedule
        return say(f"shape.{name}") if name in SHAPES else say("shape.other", name=name)


def read(found: Any, about: Mapping[str, Any]) -> Data:
    """A ``TrainingSetting`` with its advice, or a ``LearningRate`` alone."""
    whole = hasattr(found, "snippet")
    return Data(found.advice if whole else found, found if whole else None, about)


def end(trial: Trial) -> float:
    """The geometric mean of the last third of a trial's losses, by which trials are compared.

    The mean where some are below 0; inf where the loss ran away.
    """
    if trial.diverged or not trial.losses:
        return math.inf
    last = trial.losses[-max(1, len(trial.losses) // 3) :]
    if min(last) <= 0:
        return sum(last) / len(last)
    return math.exp(sum(map(math.log, last)) / len(last))
