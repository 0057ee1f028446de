"""The convolutions of VGG-16 alone, for published weights that end there."""

from __future__ import annotations

import torch
from torch import nn

from ._entry import Entry
from ._layers import features_alone
from .vgg16 import trunk


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """One module, ``features``; its last stage is a pooling.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    return features_alone(trunk, generator)


ENTRY = Entry(
    make=make,
    input=(3, 224, 224),
    output=(512, 7, 7),
    parameters=14_714_688,
    task="features",
    origin="Simonyan & Zisserman 2015, configuration D",
    preprocessing="imagenet",
    state="torchvision `vgg16`, `features.{0,2,5,...,28}`",
)
