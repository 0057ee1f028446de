"""VGG-16: thirteen 3x3 convolutions in five blocks, three fully connected layers.

Origin: Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition",
ICLR 2015, configuration D. State dict as torchvision's ``vgg16`` (features.{0,2,5,...,28},
classifier.{0,3,6}).

Deliberate differences: first weights ``N(0, 2 / fan-in)``; the paper starts from a shallower,
trained network.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from ._entry import Entry
from ._layers import layer, numbered, seeded

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """The whole network: ``(N, 3, 224, 224) -> (N, 1000)``, 138,357,544 parameters.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    g = seeded(generator)
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            features=trunk(g),
            avgpool=nn.AdaptiveAvgPool2d(7),  # leaves 7 x 7 maps as they are
            flatten=nn.Flatten(),
            classifier=numbered(
                fc6=layer(nn.Linear, 512 * 7 * 7, 4096, generator=g),
                relu6=nn.ReLU(),
                drop6=nn.Dropout(0.5),
                fc7=layer(nn.Linear, 4096, 4096, generator=g),
                relu7=nn.ReLU(),
                drop7=nn.Dropout(0.5),
                fc8=layer(nn.Linear, 4096, 1000, generator=g),
            ),
        )
    )


def trunk(g: torch.Generator) -> nn.Sequential:
    """The convolutions: ``(N, 3, 224, 224) -> (N, 512, 7, 7)``."""
    parts: dict[str, nn.Module] = {}
    below = 3
    for block, widths in enumerate(BLOCKS, 1):
        for i, maps in enumerate(widths, 1):
            parts[f"conv{block}_{i}"] = layer(nn.Conv2d, below, maps, 3, padding=1, generator=g)
            parts[f"relu{block}_{i}"] = nn.ReLU()
            below = maps
        parts[f"pool{block}"] = nn.MaxPool2d(2)
    return numbered(**parts)


ENTRY = Entry(
    make=make,
    input=(3, 224, 224),
    output=(1000,),
    parameters=138_357_544,
    task="classification",
    origin="Simonyan & Zisserman 2015, configuration D",
    preprocessing="imagenet",
    state="torchvision `vgg16`",
)
