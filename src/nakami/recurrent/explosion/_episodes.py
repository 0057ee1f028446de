"""What a monitor read at a step, and when a reading begins a new episode."""

from __future__ import annotations

from dataclasses import dataclass

from ...results import Shown

CALM = 20  # steps below the limits that end an episode


@dataclass(frozen=True)
class ExplosionReading(Shown):
    """What an ``ExplosionMonitor`` read after one optimizer step.

    Attributes:
        step: Optimizer steps so far, this one included.
        update: Norm of the step of a recurrent matrix over the norm of the matrix before it, of the
            matrix where this is largest; ``inf`` where it is not finite.
        name: Of this matrix.
        growth: Largest growth of a backward signal over some steps of the sequence, in nats; None
            where it was not read.
        growth_name: Of the layer's matrix where it grew most; None likewise.
        above: Whether one of them was above its limit.
        warned: Whether this began an episode, so that the monitor warned.
    """

    step: int
    update: float
    name: str
    growth: float | None
    growth_name: str | None
    above: bool
    warned: bool


@dataclass
class Episodes:
    """One warning for each stretch of steps above a limit; ``CALM`` steps below end a stretch.

    Attributes:
        last: The last step above a limit; None before the first.
    """

    last: int | None = None

    def begins(self, step: int, above: bool) -> bool:
        """Whether a new episode begins at this step."""
        if not above:
            return False
        new = self.last is None or step - self.last > CALM
        self.last = step
        return new
