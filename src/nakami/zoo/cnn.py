"""Small convolutional network in the line of LeNet: 20 and 50 maps, 500 units, 10 classes.

Origin: LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86 (1998); in the sizes that the Caffe examples
made common (two 5x5 convolutions without padding, each followed by 2x2 pooling).

Deliberate differences from 1998: maximum pooling without weights, every map sees every map below,
ReLU after both convolutions and the hidden layer, logits for a softmax.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from ._entry import Entry
from ._layers import layer, seeded


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """Modules ``conv1``, ``relu1``, ``pool1``, ``conv2``, ..., ``linear``, ``hidden``, ``output``.

    Args:
        generator: Source of the first weights ``N(0, 2 / fan-in)``; None: a fresh one with seed 0.

    Returns:
        A network ``(N, 1, 28, 28) -> (N, 10)`` with 431,080 parameters.
    """
    g = seeded(generator)
    parts = OrderedDict[str, nn.Module](
        conv1=layer(nn.Conv2d, 1, 20, 5, std=(2 / 25) ** 0.5, generator=g),  # (20, 24, 24)
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),  # (20, 12, 12)
        conv2=layer(nn.Conv2d, 20, 50, 5, std=(2 / 500) ** 0.5, generator=g),  # (50, 8, 8)
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),  # (50, 4, 4)
        flatten=nn.Flatten(),
        linear=layer(nn.Linear, 800, 500, std=(2 / 800) ** 0.5, generator=g),
        hidden=nn.ReLU(),
        output=layer(nn.Linear, 500, 10, std=(1 / 500) ** 0.5, generator=g),
    )
    return nn.Sequential(parts)


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(10,),
    parameters=431_080,
    task="classification",
    origin="LeCun et al. 1998, in the sizes of Caffe",
    preprocessing="unit",
    data="digits",
)
