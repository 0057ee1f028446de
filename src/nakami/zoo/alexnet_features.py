"""The convolutions of AlexNet alone, for published weights that end there."""

from __future__ import annotations

import torch
from torch import nn

from ._entry import Entry
from ._layers import features_alone
from .alexnet import trunk


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """One module, ``features``; its last stage is a pooling.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    return features_alone(trunk, generator)


ENTRY = Entry(
    make=make,
    input=(3, 224, 224),
    output=(256, 6, 6),
    parameters=2_469_696,
    task="features",
    origin="Krizhevsky 2014",
    preprocessing="imagenet",
    state="torchvision `alexnet`, `features.{0,3,6,8,10}`",
)
