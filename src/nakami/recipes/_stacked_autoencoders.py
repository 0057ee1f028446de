"""Stacked autoencoders of sigmoid units: what the recipes of them share, beside ``_stacked``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from nakami.data import Examples
from nakami.training import Autoencoding, Corruption, Training
from nakami.zoo._stack import classifier_of
from nakami.zoo.autoencoder import Autoencoder

from ..results import Picture, counted
from ._examples import classes
from ._pictures import filters, reconstructions
from ._stacked import StackedSettings, finetuned, pixels_of_digits, stacked
from ._subject import Network


def layers(
    settings: StackedSettings, pixels: int, generator: torch.Generator | None = None
) -> nn.ModuleList:
    """The autoencoders, tied, from the bottom up, untrained."""
    generator = generator or torch.Generator().manual_seed(0)
    sizes = (pixels, *settings.hidden)
    return nn.ModuleList(Autoencoder(n, m, generator=generator) for n, m in pairwise(sizes))


def untrained(settings: StackedSettings) -> nn.Sequential:
    """The classifier with first weights."""
    return classifier_of(layers(settings, pixels_of_digits())).eval()


def trained(
    training: Training,
    examples: tuple[Examples, Examples],
    settings: StackedSettings,
    kind: str,
    **options: Any,
) -> tuple[Network, Network]:
    """Both networks, trained or read back.

    Args:
        training: Runs the phases.
        examples: To train, and to test.
        settings: Of the recipe.
        kind: What the layers are, in words: ``"3 denoising autoencoders, one on the other, ..."``.
        options: Of each layer's ``Autoencoding``.
    """
    train, _ = examples
    pixels = train.inputs.flatten(1)
    stack = layers(settings, pixels.shape[1], training.generator("first weights"))

    def learner(layer: nn.Module) -> Autoencoding:
        assert isinstance(layer, Autoencoder)
        optimizer = torch.optim.SGD(layer.parameters(), settings.pretrain_rate)
        return Autoencoding(layer, optimizer, **options)

    stacked(training, pixels, list(stack), learner, settings.batch)
    start = classifier_of(stack, classes(train), generator=training.generator("output")).eval()
    before = (
        f"{kind}, {counted(settings.pretrain_epochs, 'epoch')} each at rate "
        f"{settings.pretrain_rate} on the {train.source}; output layer random"
    )
    return finetuned(training, start, before, examples, settings, stack)


def pictures(
    networks: Sequence[Network],
    test: Examples,
    generator: torch.Generator,
    noise: Corruption | None = None,
) -> list[Picture]:
    """Filters of the lowest layer, and what it and all layers make of examples, with noise or not.

    Args:
        networks: As ``trained`` gave them.
        test: Examples to give back.
        generator: Of the noise.
        noise: What the lowest layer was trained with.
    """
    stack = networks[0].origin
    assert isinstance(stack, nn.ModuleList)
    lowest = stack[0]
    assert isinstance(lowest, Autoencoder)
    return [*filters(lowest.weight, test), *reconstructions(stack, test, generator, noise)]
