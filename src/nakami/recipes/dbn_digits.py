"""The default subject: a deep belief network on digits, before and after fine-tuning.

Three hidden layers of 1,000 sigmoid units, trained layer by layer as RBMs, then with a softmax
output by back-propagation: the network of the 2015 report on the dynamics of deep networks, on the
sample of MNIST that is shipped (or on the full files). Both networks are measured at the same test
digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nakami.data import Examples
from nakami.training import ContrastiveDivergence, Training
from nakami.zoo.dbn import DBN
from nakami.zoo.rbm import RBM

from ..results import Picture, counted
from ._examples import classes, digits_from
from ._pictures import filters, gallery
from ._stacked import (
    StackedSettings,
    epochs,
    finetuned,
    pixels_of_digits,
    stacked,
    stages,
)
from ._subject import Network, Recipe

SAMPLES, STEPS = 40, 1000


@dataclass(frozen=True)
class DBNSettings(StackedSettings):
    """As ``StackedSettings``; each RBM by CD-1, momentum 0.5, from epoch 5 on 0.9, decay 2e-4."""


def untrained(settings: DBNSettings) -> nn.Sequential:
    """The classifier with first weights."""
    return DBN((pixels_of_digits(), *settings.hidden)).classifier().eval()


def train(
    training: Training, train: Examples, test: Examples, settings: DBNSettings
) -> tuple[Network, Network]:
    """Both networks, trained or read back."""
    dbn = pretrained(training, train, settings)
    output = training.generator("output")
    start = dbn.classifier(classes(train), generator=output).eval()
    before = (
        f"{len(settings.hidden)} RBMs, one on the other, CD-1 for "
        f"{counted(settings.pretrain_epochs, 'epoch')} each at rate {settings.pretrain_rate} on "
        f"the {train.source}; output layer random"
    )
    return finetuned(training, start, before, (train, test), settings, dbn)


def pretrained(training: Training, train: Examples, settings: DBNSettings) -> DBN:
    """The machines, one on the other: one phase for each."""
    pixels = train.inputs.flatten(1)
    sizes = (pixels.shape[1], *settings.hidden)
    dbn = DBN(sizes, generator=training.generator("first weights"))

    def learner(rbm: nn.Module) -> ContrastiveDivergence:
        assert isinstance(rbm, RBM)
        return ContrastiveDivergence(rbm, rate=settings.pretrain_rate)

    stacked(training, pixels, list(dbn.rbms), learner, settings.batch)
    return dbn


def pictures(
    networks: Sequence[Network], test: Examples, settings: DBNSettings, generator: torch.Generator
) -> list[Picture]:
    """Filters of the lowest machine, and samples of the stack of machines."""
    dbn = networks[0].origin
    assert isinstance(dbn, DBN)
    lowest = dbn.rbms[0]
    assert isinstance(lowest, RBM)
    samples = dbn.sample(SAMPLES, steps=STEPS, generator=generator)
    caption = (
        f"{SAMPLES} chains of {STEPS:,} Gibbs steps in the top machine from random units, then "
        "once down: probabilities of the visible units."
    )
    return [
        *filters(lowest.weight, test),
        *gallery("Samples of the deep belief network", caption, samples, test),
    ]


ENTRY = Recipe(
    settings=DBNSettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    # In float32 a third layer's small values lie below the floor of the arithmetic.
    dtype=torch.float64,
    in_unit=True,
    pictures=pictures,
)
