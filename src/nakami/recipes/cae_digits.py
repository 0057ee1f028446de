"""Stacked contractive autoencoders on digits, before and after fine-tuning.

Three hidden layers of 1,000 sigmoid units, tied weights. Each learns to give back the output of the
layer below while ``|dh/dx|_F^2`` is kept small, so that its units answer only to directions in
which the data vary. Then, with a softmax output, back-propagation through all.

Origin: Rifai, Vincent, Muller, Glorot & Bengio, "Contractive auto-encoders", ICML 2011.

Deliberate differences: three layers of one size, as in ``dbn_digits`` and ``sdae_digits``, so that
all are compared layer by layer (the paper has one and two); the shipped sample of the digits.

Published: one hidden layer of 1,000 units, all of MNIST, 1.14 % test error; denoising with masks
1.57 %, without either 1.78 % (the paper's table as repeated in a later thesis and in notes on it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch

from nakami.data import Examples
from nakami.training import Training

from ..results import Picture
from . import _stacked_autoencoders as coders
from ._examples import digits_from
from ._settings import POSITIVE
from ._stacked import StackedSettings, epochs, stages
from ._subject import Network, Recipe


@dataclass(frozen=True)
class CAESettings(StackedSettings):
    """As ``StackedSettings``; each layer by plain descent on the cross-entropy summed over units.

    Attributes:
        contraction: Weight of the squared norm of a layer's Jacobian, beside the cross-entropy.
    """

    pretrain_rate: Annotated[float, POSITIVE] = 0.01
    contraction: float = 0.1


def train(
    training: Training, train: Examples, test: Examples, settings: CAESettings
) -> tuple[Network, Network]:
    """Both networks, trained or read back."""
    kind = (
        f"{len(settings.hidden)} contractive autoencoders, one on the other, squared norm of the "
        f"Jacobian weighted {settings.contraction}"
    )
    weight = settings.contraction
    return coders.trained(training, (train, test), settings, kind, contraction=weight)


def pictures(
    networks: Sequence[Network], test: Examples, settings: CAESettings, generator: torch.Generator
) -> list[Picture]:
    """Filters of the lowest layer, and what it and all layers make of examples."""
    return coders.pictures(networks, test, generator)


ENTRY = Recipe(
    settings=CAESettings(),
    examples=digits_from,
    untrained=coders.untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    dtype=torch.float64,
    in_unit=True,
    pictures=pictures,
)
