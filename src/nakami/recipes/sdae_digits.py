"""Stacked denoising autoencoders on digits, before and after fine-tuning.

Three hidden layers of 1,000 sigmoid units. Each learns to give back the clean output of the layer
below from one with a quarter of its entries set to 0; those below run without noise. Then, with a
softmax output, back-propagation through all: Vincent, Larochelle, Lajoie, Bengio & Manzagol, JMLR
11 (2010). Sizes and data are those of ``dbn_digits``, so that both are compared layer by layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch

from nakami.data import Examples
from nakami.training import Masking, Training

from ..results import Picture
from . import _stacked_autoencoders as coders
from ._examples import digits_from
from ._settings import POSITIVE, Bounds
from ._stacked import StackedSettings, epochs, stages
from ._subject import Network, Recipe


@dataclass(frozen=True)
class SDAESettings(StackedSettings):
    """As ``StackedSettings``; each layer by plain descent on the cross-entropy summed over units.

    Attributes:
        noise: Share of the entries that are set to 0 while a layer is trained.
    """

    pretrain_rate: Annotated[float, POSITIVE] = 0.01
    noise: Annotated[float, Bounds(0, 1, without=(0, 1))] = 0.25


def train(
    training: Training, train: Examples, test: Examples, settings: SDAESettings
) -> tuple[Network, Network]:
    """Both networks, trained or read back."""
    kind = (
        f"{len(settings.hidden)} denoising autoencoders, one on the other, {settings.noise:.0%} of "
        "the entries masked"
    )
    noise = Masking(settings.noise)
    return coders.trained(training, (train, test), settings, kind, corruption=noise)


def pictures(
    networks: Sequence[Network], test: Examples, settings: SDAESettings, generator: torch.Generator
) -> list[Picture]:
    """Filters of the lowest layer, and what it and all layers make of examples with noise."""
    return coders.pictures(networks, test, generator, Masking(settings.noise))


ENTRY = Recipe(
    settings=SDAESettings(),
    examples=digits_from,
    untrained=coders.untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    dtype=torch.float64,
    in_unit=True,
    pictures=pictures,
)
