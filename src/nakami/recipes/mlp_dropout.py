"""A perceptron with dropout on digits, beside the same one without.

Two hidden layers of 800 ReLUs. In training a fifth of the inputs and half of the hidden units are
dropped, and the incoming weights of a unit are kept at most 3 long; at a test all units are there.

Origin: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, "Dropout", JMLR 15 (2014).

Deliberate differences: narrower layers, and a rate and momentum for the 4,000 shipped digits.

Published, all of MNIST: 1.60 % without dropout (2 x 800 logistic units), 1.25 % with (3 x 1024
ReLUs), 1.06 % with a bound of the weights, too (the paper's table 2 as repeated in notes on it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from nakami.data import Examples
from nakami.training import Training
from nakami.zoo import mlp

from ..results import Picture
from ._classifiers import Descent, DropoutSettings, classifier, first_filters
from ._examples import classes, digits_from
from ._stacked import pixels_of_digits, stages
from ._subject import Network, Recipe


@dataclass(frozen=True)
class MLPDropoutSettings(DropoutSettings):
    """As ``DropoutSettings``; both networks at the same rate and momentum.

    Attributes:
        plain_epochs: Passes over the data of the network without dropout, which needs fewer.
    """

    plain_epochs: int = 20


def untrained(settings: MLPDropoutSettings) -> nn.Sequential:
    """Either network with first weights, in evaluation mode."""
    sizes = (pixels_of_digits(), *settings.hidden, 10)
    return mlp.make(sizes, dropout=settings.dropout).eval()


def epochs(settings: MLPDropoutSettings) -> Mapping[str, int]:
    """One phase for each network."""
    return {"plain": settings.plain_epochs, "dropout": settings.epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: MLPDropoutSettings
) -> tuple[Network, Network]:
    """Both networks, from the same first weights."""
    sizes = (train.inputs[0].numel(), *settings.hidden, classes(train))

    def made(dropout: tuple[float, float] | None) -> nn.Sequential:
        return mlp.make(sizes, dropout=dropout, generator=training.generator("first weights"))

    descent = Descent.of(settings)
    plain = replace(descent, epochs=settings.plain_epochs, max_norm=None)
    examples = (train, test)
    return (
        classifier(training, "plain", made(None), examples, plain),
        classifier(
            training, "dropout", made(settings.dropout), examples, descent, settings.dropped
        ),
    )


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: MLPDropoutSettings,
    generator: torch.Generator,
) -> list[Picture]:
    """Filters of both networks."""
    return first_filters(networks, test)


ENTRY = Recipe(
    settings=MLPDropoutSettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    pictures=pictures,
)
