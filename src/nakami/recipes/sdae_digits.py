"""Stacked denoising autoencoders on digits, before and after fine-tuning.

Three hidden layers of 1,000 sigmoid units. Each learns to give back the clean output of the layer
below from one with a quarter of its entries set to 0; those below run without noise. Then, with a
softmax output, back-propagation through all: Vincent, Larochelle, Lajoie, Bengio & Manzagol, JMLR
11 (2010). Sizes and data are those of ``dbn_digits``, so that both are compared layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from nakami import data
from nakami.data import Examples
from nakami.training import Autoencoding, Masking, Training
from nakami.zoo._stack import classifier_of
from nakami.zoo.autoencoder import Autoencoder

from ..results import counted
from ._facts import error_fact
from ._stacked import finetuned, stacked
from ._subject import Network, Recipe
from .dbn_digits import digits_from


@dataclass(frozen=True)
class SDAESettings:
    """What decides the weights, beside seed and data.

    Attributes:
        hidden: Units of each hidden layer.
        noise: Share of the entries that are set to 0 while a layer is trained.
        pretrain_epochs: Passes of each layer. pretrain_rate: its learning rate, of plain gradient
            descent on the cross-entropy summed over the units.
        finetune_epochs: Passes of the classifier. finetune_rate, momentum: of its gradient descent.
        batch: Examples of one update, in both.
    """

    hidden: tuple[int, ...] = (1000, 1000, 1000)
    noise: float = 0.25
    pretrain_epochs: int = 20
    pretrain_rate: float = 0.01
    finetune_epochs: int = 20
    finetune_rate: float = 0.1
    momentum: float = 0.9
    batch: int = 100


def layers(
    settings: SDAESettings, pixels: int, generator: torch.Generator | None = None
) -> nn.ModuleList:
    """The autoencoders, from the bottom up, untrained."""
    generator = generator or torch.Generator().manual_seed(0)
    sizes = (pixels, *settings.hidden)
    return nn.ModuleList(Autoencoder(n, m, generator=generator) for n, m in pairwise(sizes))


def untrained(settings: SDAESettings) -> nn.Sequential:
    """The classifier with first weights."""
    pixels = data.digits("test")[:1].inputs[0].numel()
    return classifier_of(layers(settings, pixels)).eval()


def epochs(settings: SDAESettings) -> Mapping[str, int]:
    """One phase for each layer, then back-propagation through all."""
    each = {f"layer{i}": settings.pretrain_epochs for i in range(1, len(settings.hidden) + 1)}
    return {**each, "finetuned": settings.finetune_epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: SDAESettings
) -> tuple[Network, Network]:
    """Both networks, trained or read back."""
    pixels = train.inputs.flatten(1)
    stack = layers(settings, pixels.shape[1], training.generator("first weights"))

    def learner(layer: nn.Module) -> Autoencoding:
        assert isinstance(layer, Autoencoder)
        optimizer = torch.optim.SGD(layer.parameters(), settings.pretrain_rate)
        return Autoencoding(layer, optimizer, corruption=Masking(settings.noise))

    def descent(net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(net.parameters(), settings.finetune_rate, settings.momentum)

    stacked(training, pixels, list(stack), learner, settings.batch)
    start = classifier_of(stack, generator=training.generator("output")).eval()
    tuned = finetuned(training, start, train, descent, settings.batch)
    before, after = sentences(settings, train)
    label = "test error (output layer not trained yet)"
    return (
        Network("pretrained", start, before, [error_fact(start, test, label)]),
        Network("finetuned", tuned, after, [error_fact(tuned, test)]),
    )


def sentences(settings: SDAESettings, train: Examples) -> tuple[str, str]:
    """One sentence on the training of each network."""
    before = (
        f"{len(settings.hidden)} denoising autoencoders, one on the other, {settings.noise:.0%} of "
        f"the entries masked, {counted(settings.pretrain_epochs, 'epoch')} each at rate "
        f"{settings.pretrain_rate} on the {train.source}; output layer random"
    )
    after = (
        f"pre-trained as before, then {counted(settings.finetune_epochs, 'epoch')} of gradient "
        f"descent on the cross-entropy at rate {settings.finetune_rate}, "
        f"momentum {settings.momentum}"
    )
    return before, after


ENTRY = Recipe(
    settings=SDAESettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=lambda settings: tuple(f"hidden{i}" for i in range(1, len(settings.hidden) + 1)),
    dtype=torch.float64,
)
