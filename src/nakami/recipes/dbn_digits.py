"""The default subject: a deep belief network on digits, before and after fine-tuning.

Three hidden layers of 1,000 sigmoid units, trained layer by layer as RBMs, then with a softmax
output by back-propagation: the network of the 2015 report on the dynamics of deep networks, on the
sample of MNIST that is shipped (or on the full files). Both networks are measured at the same test
digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from nakami import data
from nakami.data import Examples
from nakami.training import ContrastiveDivergence, Training
from nakami.zoo.dbn import DBN
from nakami.zoo.rbm import RBM

from ..results import counted
from ._facts import error_fact
from ._stacked import finetuned, stacked
from ._subject import Network, Recipe


@dataclass(frozen=True)
class DBNSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        hidden: Units of each hidden layer.
        pretrain_epochs: Passes of each RBM. pretrain_rate: its learning rate (CD-1; momentum 0.5,
            from epoch 5 on 0.9; weight decay 2e-4).
        finetune_epochs: Passes of the classifier. finetune_rate, momentum: of its gradient descent.
        batch: Examples of one update, in both.
    """

    hidden: tuple[int, ...] = (1000, 1000, 1000)
    pretrain_epochs: int = 20
    pretrain_rate: float = 0.1
    finetune_epochs: int = 20
    finetune_rate: float = 0.1
    momentum: float = 0.9
    batch: int = 100


def untrained(settings: DBNSettings) -> nn.Sequential:
    """The classifier with first weights."""
    pixels = data.digits("test")[:1].inputs[0].numel()
    return DBN((pixels, *settings.hidden)).classifier().eval()


def epochs(settings: DBNSettings) -> Mapping[str, int]:
    """One phase for each RBM, then back-propagation through all layers."""
    layers = {f"layer{i}": settings.pretrain_epochs for i in range(1, len(settings.hidden) + 1)}
    return {**layers, "finetuned": settings.finetune_epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: DBNSettings
) -> tuple[Network, Network]:
    """Both networks, trained or read back."""
    start = pretrained(training, train, settings)

    def descent(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(net.parameters(), settings.finetune_rate, settings.momentum)

    tuned = finetuned(training, start, train, descent, settings.batch)
    before, after = sentences(settings, train)
    label = "test error (output layer not trained yet)"
    return (
        Network("pretrained", start, before, [error_fact(start, test, label)]),
        Network("finetuned", tuned, after, [error_fact(tuned, test)]),
    )


def pretrained(training: Training, train: Examples, settings: DBNSettings) -> nn.Sequential:
    """The classifier as pre-training leaves it: one phase for each RBM, output layer at random."""
    pixels = train.inputs.flatten(1)
    sizes = (pixels.shape[1], *settings.hidden)
    dbn = DBN(sizes, generator=training.generator("first weights"))

    def learner(rbm: nn.Module) -> ContrastiveDivergence:
        assert isinstance(rbm, RBM)
        return ContrastiveDivergence(rbm, rate=settings.pretrain_rate)

    stacked(training, pixels, list(dbn.rbms), learner, settings.batch)
    return dbn.classifier(generator=training.generator("output")).eval()


def sentences(settings: DBNSettings, train: Examples) -> tuple[str, str]:
    """One sentence on the training of each network."""
    before = (
        f"{len(settings.hidden)} RBMs, one on the other, CD-1 for "
        f"{counted(settings.pretrain_epochs, 'epoch')} each at rate {settings.pretrain_rate} on "
        f"the {train.source}; output layer random"
    )
    after = (
        f"pre-trained as before, then {counted(settings.finetune_epochs, 'epoch')} of gradient "
        f"descent on the cross-entropy at rate {settings.finetune_rate}, "
        f"momentum {settings.momentum}"
    )
    return before, after


def digits_from(folder: Path | None) -> tuple[Examples, Examples]:
    """Training and test digits: shipped, or the MNIST files of a folder."""
    if folder is None:
        return data.digits("train"), data.digits("test")
    return data.mnist(folder, "train"), data.mnist(folder, "test")


ENTRY = Recipe(
    settings=DBNSettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=lambda settings: tuple(f"hidden{i}" for i in range(1, len(settings.hidden) + 1)),
    # In float32 a third layer's small values lie below the floor of the arithmetic.
    dtype=torch.float64,
)
