"""Stacked denoising autoencoders on digits, before and after fine-tuning.

Three hidden layers of 1,000 sigmoid units. Each learns to give back the clean output of the layer
below from one with a quarter of its entries set to 0; those below run without noise. Then, with a
softmax output, back-propagation through all: Vincent, Larochelle, Lajoie, Bengio & Manzagol, JMLR
11 (2010). Sizes and data are those of ``dbn_digits``, so that both are compared layer by layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from torch import nn

from nakami.data import Examples
from nakami.training import Autoencoding, Masking, Training
from nakami.zoo._stack import classifier_of
from nakami.zoo.autoencoder import Autoencoder

from ..results import Picture, counted
from ._examples import classes, digits_from
from ._pictures import filters, reconstructions
from ._settings import POSITIVE, Bounds
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
class SDAESettings(StackedSettings):
    """As ``StackedSettings``; each layer by plain descent on the cross-entropy summed over units.

    Attributes:
        noise: Share of the entries that are set to 0 while a layer is trained.
    """

    pretrain_rate: Annotated[float, POSITIVE] = 0.01
    noise: Annotated[float, Bounds(0, 1, without=(0, 1))] = 0.25


def layers(
    settings: SDAESettings, pixels: int, generator: torch.Generator | None = None
) -> nn.ModuleList:
    """The autoencoders, from the bottom up, untrained."""
    generator = generator or torch.Generator().manual_seed(0)
    sizes = (pixels, *settings.hidden)
    return nn.ModuleList(Autoencoder(n, m, generator=generator) for n, m in pairwise(sizes))


def untrained(settings: SDAESettings) -> nn.Sequential:
    """The classifier with first weights."""
    return classifier_of(layers(settings, pixels_of_digits())).eval()


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

    stacked(training, pixels, list(stack), learner, settings.batch)
    start = classifier_of(stack, classes(train), generator=training.generator("output")).eval()
    before = (
        f"{len(settings.hidden)} denoising autoencoders, one on the other, {settings.noise:.0%} of "
        f"the entries masked, {counted(settings.pretrain_epochs, 'epoch')} each at rate "
        f"{settings.pretrain_rate} on the {train.source}; output layer random"
    )
    return finetuned(training, start, before, (train, test), settings, stack)


def pictures(
    networks: Sequence[Network], test: Examples, settings: SDAESettings, generator: torch.Generator
) -> list[Picture]:
    """Filters of the lowest layer, and what it and all layers make of examples with noise."""
    stack = networks[0].origin
    assert isinstance(stack, nn.ModuleList)
    lowest = stack[0]
    assert isinstance(lowest, Autoencoder)
    noise = Masking(settings.noise)
    return [
        *filters(lowest.weight, test),
        *reconstructions(stack, test, generator, noise),
    ]


ENTRY = Recipe(
    settings=SDAESettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    dtype=torch.float64,
    pictures=pictures,
)
