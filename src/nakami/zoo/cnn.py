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

from nakami.results import wrong

from ._entry import Entry
from ._layers import layer, seeded


def make(
    shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 10,
    *,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Modules ``conv1``, ``relu1``, ``pool1``, ``conv2``, ..., ``linear``, ``hidden``, ``output``.

    Args:
        shape: Channels, height and width of an example; 16 pixels or more on each side.
        classes: Number of outputs.
        generator: Source of the first weights ``N(0, 2 / fan-in)``; None: a fresh one with seed 0.

    Returns:
        A network ``(N, *shape) -> (N, classes)``; the default has 431,080 parameters.
    """
    if len(shape) != 3 or min(shape[1:]) < 16:
        rule = "be (channels, height, width), 16 pixels or more on each side"
        raise wrong("shape", rule, tuple(shape), "for example (1, 28, 28)")
    g, channels = seeded(generator), shape[0]
    height, width = (((side - 4) // 2 - 4) // 2 for side in shape[1:])
    n = 50 * height * width
    parts = OrderedDict[str, nn.Module](
        conv1=layer(nn.Conv2d, channels, 20, 5, generator=g),  # (20, 24, 24) of 28 x 28
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),  # (20, 12, 12)
        conv2=layer(nn.Conv2d, 20, 50, 5, generator=g),  # (50, 8, 8)
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),  # (50, 4, 4)
        flatten=nn.Flatten(),
        linear=layer(nn.Linear, n, 500, generator=g),
        hidden=nn.ReLU(),
        output=layer(nn.Linear, 500, classes, std=(1 / 500) ** 0.5, generator=g),
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
