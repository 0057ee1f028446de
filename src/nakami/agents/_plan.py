"""How a Q-network is trained."""

from __future__ import annotations

from dataclasses import dataclass

from nakami.results import check_at_least, check_fraction, is_number, wrong


@dataclass(frozen=True)
class QPlan:
    """Settings of Q-learning by Stable-Baselines3, with Adam and gradients of norm 10 at most.

    Attributes:
        rate: Learning rate of Adam.
        batch: Steps of one update, drawn from the replay.
        discount: Of a reward one step later.
        replay: Steps that are kept, each with the state after it, as the game gives them: 56 kB a
            step of bytes ``(4, 84, 84)``; a checkpoint of a ``Training`` has all of them.
        warmup: Steps at random before the first update; a multiple of ``play``.
        play: Steps between two rounds of updates.
        updates: Updates of one round.
        target: Steps after which the target network is the network again.
        rate_steps: Steps in which the rate falls evenly to 0; None: it stays.
        explore: Share of moves at random in the end.
        explore_steps: Steps in which it falls there from 1, behind those of ``warmup``.
    """

    rate: float = 1e-4
    batch: int = 32
    discount: float = 0.99
    replay: int = 50_000
    warmup: int = 1000
    play: int = 4
    updates: int = 1
    target: int = 1000
    rate_steps: int | None = None
    explore: float = 0.05
    explore_steps: int = 10_000

    def __post_init__(self) -> None:
        if not is_number(self.rate) or not 0 < self.rate < float("inf"):
            raise wrong("rate", "be a number above 0", repr(self.rate), "pass rate=1e-4")
        for name in ("batch", "replay", "play", "updates", "target", "explore_steps"):
            check_at_least(name, getattr(self, name), 1, f"leave {name} out")
        if self.rate_steps is not None:
            check_at_least("rate_steps", self.rate_steps, 1, "leave rate_steps out")
        check_at_least("warmup", self.warmup, self.play, "pass warmup=1000")
        for name in ("discount", "explore"):
            check_fraction(name, getattr(self, name), f"leave {name} out")
        if self.warmup % self.play:
            rule = f"be a multiple of play, {self.play}"
            raise wrong("warmup", rule, self.warmup, f"pass warmup={self.play * 4}")

    def rate_at(self, step: int) -> float:
        """Learning rate after so many steps."""
        if self.rate_steps is None:
            return self.rate
        return self.rate * max(0.0, 1 - step / self.rate_steps)

    def randomness(self, step: int) -> float:
        """Share of moves at random after so many steps, those of ``warmup`` included."""
        done = min(1.0, max(0, step - self.warmup) / self.explore_steps)
        return 1 + done * (self.explore - 1)
