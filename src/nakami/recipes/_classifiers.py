"""Classifiers trained from random weights, by labels alone: what such recipes share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from nakami.data import Examples
from nakami.nn import MaxNorm
from nakami.training import Method, Supervised, Training

from ..results import Picture, counted
from ._facts import error_fact
from ._pictures import filters
from ._settings import POSITIVE, Bounds
from ._subject import Network
from ._times import run_looked_at

SHARE = Bounds(0, 1, without=(0, 1))


@dataclass(frozen=True)
class DropoutSettings:
    """What decides the weights of a network with dropout, beside seed and data.

    Attributes:
        hidden: Units of each hidden layer.
        epochs: Passes over the data.
        rate: Learning rate.
        momentum: Share of the last update that is repeated.
        batch: Examples of one update.
        drop_inputs: Share of the inputs that are dropped.
        drop_hidden: Share of the hidden units that are dropped.
        max_norm: Greatest length of the incoming weights of a unit.
    """

    hidden: Annotated[tuple[int, ...], Bounds(1)] = (800, 800)
    epochs: int = 60
    rate: Annotated[float, POSITIVE] = 0.05
    momentum: Annotated[float, Bounds(0, 1, without=(1,))] = 0.9
    batch: Annotated[int, Bounds(1)] = 100
    drop_inputs: Annotated[float, SHARE] = 0.2
    drop_hidden: Annotated[float, SHARE] = 0.5
    max_norm: Annotated[float, POSITIVE] = 3.0

    @property
    def dropout(self) -> tuple[float, float]:
        """As the zoo's models take it."""
        return self.drop_inputs, self.drop_hidden

    @property
    def dropped(self) -> str:
        """The beginning of a sentence on how the network was trained."""
        return f"dropout of {self.drop_inputs:.0%} of inputs and {self.drop_hidden:.0%} of units, "


@dataclass(frozen=True)
class Descent:
    """Gradient descent on the cross-entropy, in small batches.

    Attributes:
        epochs: Passes over the data. rate: learning rate. momentum: share of the last update.
        batch: Examples of one update. max_norm: bound on the weights of a unit; None: without.
        decay: Share of the weights, times the rate, that is taken off at each update.
    """

    epochs: int
    rate: float
    momentum: float
    batch: int
    max_norm: float | None = None
    decay: float = 0.0

    @classmethod
    def of(cls, settings: DropoutSettings) -> Descent:
        """As the settings have it."""
        s = settings
        return cls(s.epochs, s.rate, s.momentum, s.batch, s.max_norm)

    def __str__(self) -> str:
        bound = "" if self.max_norm is None else f", weights of a unit at most {self.max_norm} long"
        bound += f", weight decay {self.decay}" if self.decay else ""
        return (
            f"{counted(self.epochs, 'epoch')} of gradient descent on the cross-entropy at rate "
            f"{self.rate}, momentum {self.momentum}{bound}"
        )


def classifier(
    training: Training,
    name: str,
    model: nn.Module,
    examples: tuple[Examples, Examples],
    descent: Descent,
    what: str = "",
    wrap: Callable[[Method], Method] = lambda method: method,
    times: Sequence[int] = (),
) -> Network:
    """A network trained by labels, in the phase of its name.

    Args:
        training: Runs the phase.
        name: Of the phase and of the network.
        model: With first weights.
        examples: To train, and to test.
        descent: How it is trained.
        what: What it is, for the sentence on its training: ``"with dropout, "``.
        wrap: Puts something around the descent: changed pictures, rates that fall.
        times: Epochs after which weights are kept too, as ``milestones`` gives them; the network
            then holds these, the first weights and the last.
    """
    train, test = examples
    assert train.labels is not None  # as check_labels has seen
    inputs, labels = train.inputs, train.labels
    optimizer = torch.optim.SGD(
        model.parameters(), descent.rate, descent.momentum, weight_decay=descent.decay
    )
    if descent.max_norm is not None:
        MaxNorm(model, descent.max_norm).attach(optimizer)
    method = wrap(Supervised(model, optimizer))
    kept = {}
    if times:
        kept = run_looked_at(
            training, name, method, lambda: (inputs, labels), descent.batch, times, descent.epochs
        )
    else:
        training.run(name, method, lambda: (inputs, labels), batch=descent.batch)
    said = f"{what}{descent} on the {train.source}"
    facts = [error_fact(model, test)] if len(test) else []
    return Network(name, model, said, facts, times=kept)


def first_filters(networks: Sequence[Network], test: Examples) -> list[Picture]:
    """Filters of each network's first linear layer."""
    found = []
    for network in networks:
        first = next(m for m in network.model.modules() if isinstance(m, nn.Linear))
        found += filters(first.weight, test, f"the first layer, {network.name}")
    return found
