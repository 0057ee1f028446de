"""A maxout network with dropout on digits.

Two hidden layers of 240 units, each the largest of five linear pieces; ``zoo.maxout`` has origin
and published figures.

Deliberate differences: momentum 0.7 from the start (the paper lets it rise), a rate for the 4,000
shipped digits, and a fixed number of passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from nakami.data import Examples
from nakami.training import Training
from nakami.zoo import maxout

from ..results import Picture
from ._classifiers import Descent, DropoutSettings, classifier, first_filters
from ._examples import classes, digits_from
from ._settings import POSITIVE, Bounds
from ._stacked import pixels_of_digits, stages
from ._subject import Network, Recipe


@dataclass(frozen=True)
class MaxoutSettings(DropoutSettings):
    """As ``DropoutSettings``.

    Attributes:
        pieces: Linear pieces of each unit.
    """

    hidden: Annotated[tuple[int, ...], Bounds(1)] = (240, 240)
    pieces: Annotated[int, Bounds(1)] = 5
    epochs: int = 80
    momentum: Annotated[float, Bounds(0, 1, without=(1,))] = 0.7
    max_norm: Annotated[float, POSITIVE] = 2.0


def made(
    settings: MaxoutSettings, inputs: int, outputs: int, generator: torch.Generator | None = None
) -> nn.Sequential:
    """The network with first weights."""
    sizes = (inputs, *settings.hidden, outputs)
    return maxout.make(sizes, pieces=settings.pieces, dropout=settings.dropout, generator=generator)


def untrained(settings: MaxoutSettings) -> nn.Sequential:
    """The network with first weights, in evaluation mode."""
    return made(settings, pixels_of_digits(), 10).eval()


def epochs(settings: MaxoutSettings) -> Mapping[str, int]:
    """One phase."""
    return {"trained": settings.epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: MaxoutSettings
) -> tuple[Network]:
    """The one network."""
    first = training.generator("first weights")
    model = made(settings, train.inputs[0].numel(), classes(train), first)
    descent = Descent.of(settings)
    return (classifier(training, "trained", model, (train, test), descent, settings.dropped),)


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: MaxoutSettings,
    generator: torch.Generator,
) -> list[Picture]:
    """Filters, the pieces of a unit side by side."""
    return first_filters(networks, test)


ENTRY = Recipe(
    settings=MaxoutSettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    pictures=pictures,
)
