"""The default subject: a deep belief network on digits, before and after fine-tuning.

Three hidden layers of 1,000 sigmoid units, trained layer by layer as RBMs, then with a softmax
output by back-propagation: the network of the 2015 report on the dynamics of deep networks, on the
sample of MNIST that is shipped (or on the full files). Both networks are measured at the same test
digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from nakami.data import Examples
from nakami.training import ContrastiveDivergence, Training
from nakami.zoo.dbn import DBN
from nakami.zoo.rbm import RBM

from ..results import counted
from ._examples import classes, digits_from
from ._stacked import (
    StackedSettings,
    epochs,
    finetuned,
    pixels_of_digits,
    stacked,
    stages,
)
from ._subject import Network, Recipe


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
    start = pretrained(training, train, settings)
    before = (
        f"{len(settings.hidden)} RBMs, one on the other, CD-1 for "
        f"{counted(settings.pretrain_epochs, 'epoch')} each at rate {settings.pretrain_rate} on "
        f"the {train.source}; output layer random"
    )
    return finetuned(training, start, before, (train, test), settings)


def pretrained(training: Training, train: Examples, settings: DBNSettings) -> nn.Sequential:
    """The classifier as pre-training leaves it: one phase for each RBM, output layer at random."""
    pixels = train.inputs.flatten(1)
    sizes = (pixels.shape[1], *settings.hidden)
    dbn = DBN(sizes, generator=training.generator("first weights"))

    def learner(rbm: nn.Module) -> ContrastiveDivergence:
        assert isinstance(rbm, RBM)
        return ContrastiveDivergence(rbm, rate=settings.pretrain_rate)

    stacked(training, pixels, list(dbn.rbms), learner, settings.batch)
    return dbn.classifier(classes(train), generator=training.generator("output")).eval()


ENTRY = Recipe(
    settings=DBNSettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    # In float32 a third layer's small values lie below the floor of the arithmetic.
    dtype=torch.float64,
)
