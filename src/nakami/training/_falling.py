"""Any method, at a learning rate that falls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch import Tensor

from nakami.geometry.rate._schedule import named_course
from nakami.results import check_at_least, check_fraction, is_number, wrong

from ._method import Descend, Method
from ._wrapped import Wrapped


@final
class Falling(Wrapped):
    """A method whose learning rates fall linearly, epoch by epoch, to 0 after the last one.

    Persistent chains need this to follow the model that they are drawn from.

    Args:
        method: Any with ``at_rate``.
        epochs: Of the whole training: epoch i, from 0 on, runs at ``1 - i / epochs`` of the rates.
    """

    def __init__(self, method: Method, epochs: int):
        super().__init__(method)
        self._epochs = check_at_least("epochs", epochs, 0, "pass those of the training")

    def epoch(self, index: int) -> None:
        """Set the rates of this one."""
        self.at_rate(max(0.0, 1 - index / max(1, self._epochs)))
        self.method.epoch(index)


@final
class Plateaus(Wrapped):
    """A method whose learning rates are cut where its loss has stopped falling.

    Krizhevsky, Sutskever & Hinton (NIPS 2012) divided theirs by 10, three times, when the error of
    held-out pictures no longer fell; here the mean loss of an epoch of training decides.

    Args:
        method: Any with ``at_rate``.
        share: What the rates are multiplied by, between 0 and 1.
        patience: After so many epochs without a new best loss.
        least: A new best lies this share below the last one.
        times: How often, at most.
    """

    def __init__(
        self,
        method: Method,
        share: float = 0.1,
        *,
        patience: int = 5,
        least: float = 0.01,
        times: int = 3,
    ):
        super().__init__(method)
        check_fraction("share", share, "use 0.1")
        if not (is_number(least) and 0 <= least < 1):
            raise wrong("least", "be a number from 0 on and below 1", least, "use 0.01")
        self._share, self._least = share, least
        self._patience = check_at_least("patience", patience, 1, "use 5")
        self._times = check_at_least("times", times, 0, "use 3")
        self._cuts, self._waited = 0, 0
        self._best: float | None = None
        self._sum: Tensor | None = None  # of the losses of this epoch's rows
        self._rows = 0

    def epoch(self, index: int) -> None:
        """Judge the epoch before, and set the rates of this one."""
        if self._sum is not None:
            self._judge(float(self._sum) / self._rows)
        self._sum, self._rows = None, 0
        self.at_rate(self._share**self._cuts)
        self.method.epoch(index)

    def _judge(self, loss: float) -> None:
        if self._best is None or loss < self._best - self._least * abs(self._best):
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self._patience and self._cuts < self._times:
            self._cuts, self._waited = self._cuts + 1, 0

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """As the method does; its loss is added up."""
        loss = self.method.step(batch, descend)
        part = loss.detach().double() * len(batch[0])
        self._sum = part if self._sum is None else self._sum + part
        self._rows += len(batch[0])
        return loss

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far, and what the method carries."""
        seen = (self._cuts, self._waited, self._best, self._sum, self._rows)
        return {"seen": seen, "method": self.method.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take both up."""
        self._cuts, self._waited, self._best, self._sum, self._rows = state["seen"]
        self.method.load_state_dict(state["method"])


@final
class Scheduled(Wrapped):
    """A method whose rates rise in a short warm-up and then fall linearly to 0, step by step.

    Args:
        method: Any with ``at_rate``.
        batches: Steps of an epoch.
        steps: Of the whole training.
        warmup: Of these, steps of the warm-up.
    """

    def __init__(self, method: Method, batches: int, steps: int, warmup: int):
        super().__init__(method)
        self._batches = check_at_least("batches", batches, 1, "pass the steps of an epoch")
        self._course = named_course(
            "linear", max(1, steps), check_at_least("warmup", warmup, 0, "0")
        )
        self._step = 0

    def epoch(self, index: int) -> None:
        """Go on with its first step."""
        self._step = index * self._batches
        self.method.epoch(index)

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """As the method does, at the rate of this step."""
        self.at_rate(self._course.factor(self._step))
        self._step += 1
        return self.method.step(batch, descend)
