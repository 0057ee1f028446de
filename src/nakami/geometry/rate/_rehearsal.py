"""Short trainings of copies of a model, as it trains: their losses at each of several rates."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from ...operators import LiveLoss, random_states_kept
from ...results import wrong
from ._optimizers import Named, fastest_group, set_rates, twin

RUNAWAY = 4.0  # times the largest loss at the start, or that of a constant output: a run ends there


class Run:
    """A training of one copy at a constant rate.

    Attributes:
        rate: Of the fastest group, the others in proportion. losses: of each step, before it.
        ended: Whether its loss ran away.
    """

    def __init__(self, live: LiveLoss, optimizer: Optimizer, named: Named, rate: float):
        self.live, self.rate, self.losses, self.ended = live, rate, list[float](), False
        self.model = live.copy()
        own: dict[str, Tensor] = dict(self.model.named_parameters())
        self.copies = {name: own[name] for name in named}
        self.optimizer = twin(optimizer, named, self.copies)
        set_rates(self.optimizer, rate / fastest_group(optimizer)[0])

    def step(self, runs_away: Callable[[float], bool]) -> float:
        """One step; the loss before it. Where that runs away, it ends."""
        self.optimizer.zero_grad()
        loss = self.live(self.model, len(self.losses))
        value = float(loss.detach())
        self.losses.append(value)
        if not runs_away(value):
            loss.backward()
            self._move()
        else:
            self.ended = True
        return value

    def _move(self) -> None:
        try:
            self.optimizer.step()
        except RuntimeError as error:
            if not any(c.grad is not None and c.grad.is_sparse for c in self.copies.values()):
                raise
            got = f"{type(self.optimizer).__name__}: {str(error).splitlines()[0]}"
            way_out = "use torch.optim.SGD, or an embedding with sparse=False"
            raise wrong("optimizer", "take sparse gradients", got, way_out) from error


@dataclass
class Rehearsal:
    """Trainings from the same weights on the same batches, with the same random numbers.

    Attributes:
        live: The loss. optimizer, named: the caller's, which stay as they are.
        seed: Of dropout and the like. runs: by rate. steps: made in all.
        tell: Called with words after each step.
        by_size: Whether a loss several times that of the start has run away.
    """

    live: LiveLoss
    optimizer: Optimizer
    named: Named
    seed: int
    tell: Callable[[str], None] = lambda words: None
    runs: dict[float, Run] = field(default_factory=dict)
    steps: int = 0
    by_size: bool = True
    _most: float | None = None
    _asked: bool = False

    def losses(self, rate: float, steps: int) -> list[float] | None:
        """The losses of so many steps at a rate; None where they ran away."""
        run = self.runs[rate] = Run(self.live, self.optimizer, self.named, rate)
        with random_states_kept(self.live.device, self.seed), torch.enable_grad():
            while len(run.losses) < steps and not run.ended:
                value = run.step(self._runs_away)
                self.steps += 1
                self.tell(f"trial step {self.steps}, at rate {rate:.2g} loss {value:.3g}")
        return None if run.ended else run.losses

    def _runs_away(self, value: float) -> bool:
        """Whether a loss is far above all of the first step's, and that of a constant output.

        The constant's is looked for once a loss is that high. Losses that have no known least value
        have no such measure: they have to be infinite.
        """
        if self._most is None:
            known = value > 0 and self.by_size
            self._most = RUNAWAY * value if known else sys.float_info.max
        if value <= self._most:
            return False
        if not self._asked and math.isfinite(value):
            self._asked = True
            self._most = max(self._most, RUNAWAY * (self.live.constant() or 0.0))
        return not value <= self._most
