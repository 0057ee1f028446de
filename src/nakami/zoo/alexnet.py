"""AlexNet, in the layout that torchvision's weights have.

Origin: Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
arXiv:1404.5997, 2014. State dict of torchvision's ``alexnet`` (features.{0,3,6,8,10},
classifier.{1,4,6}).

Deliberate differences: first weights ``N(0, 2 / fan-in)``.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from ._entry import Entry
from ._layers import layer, numbered, seeded


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """The whole network: ``(N, 3, 224, 224) -> (N, 1000)``, 61,100,840 parameters.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    g = seeded(generator)
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            features=trunk(g),
            avgpool=nn.AdaptiveAvgPool2d(6),  # leaves 6 x 6 maps as they are
            flatten=nn.Flatten(),
            classifier=numbered(
                drop6=nn.Dropout(0.5),
                fc6=layer(nn.Linear, 256 * 6 * 6, 4096, generator=g),
                relu6=nn.ReLU(),
                drop7=nn.Dropout(0.5),
                fc7=layer(nn.Linear, 4096, 4096, generator=g),
                relu7=nn.ReLU(),
                fc8=layer(nn.Linear, 4096, 1000, generator=g),
            ),
        )
    )


def trunk(g: torch.Generator) -> nn.Sequential:
    """The five convolutions: ``(N, 3, 224, 224) -> (N, 256, 6, 6)``."""
    return numbered(
        conv1=layer(nn.Conv2d, 3, 64, 11, stride=4, padding=2, generator=g),  # (64, 55, 55)
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(3, 2),  # (64, 27, 27)
        conv2=layer(nn.Conv2d, 64, 192, 5, padding=2, generator=g),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(3, 2),  # (192, 13, 13)
        conv3=layer(nn.Conv2d, 192, 384, 3, padding=1, generator=g),
        relu3=nn.ReLU(),
        conv4=layer(nn.Conv2d, 384, 256, 3, padding=1, generator=g),
        relu4=nn.ReLU(),
        conv5=layer(nn.Conv2d, 256, 256, 3, padding=1, generator=g),
        relu5=nn.ReLU(),
        pool5=nn.MaxPool2d(3, 2),  # (256, 6, 6)
    )


ENTRY = Entry(
    make=make,
    input=(3, 224, 224),
    output=(1000,),
    parameters=61_100_840,
    task="classification",
    origin="Krizhevsky 2014",
    preprocessing="imagenet",
    state="torchvision `alexnet`",
)
