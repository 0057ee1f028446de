"""SqueezeNet 1.1: fire modules, which squeeze to a few maps and expand by two kernels.

Origin: Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer, "SqueezeNet: AlexNet-level accuracy with
50x fewer parameters", arXiv:1602.07360, 2016; version 1.1 is the authors' later, cheaper one (3x3
stem, earlier pooling). State dict as torchvision's ``squeezenet1_1``.

Deliberate differences: first weights ``N(0, 2 / fan-in)``, in the classifier ``N(0, 0.01^2)``.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from ._entry import Entry
from ._layers import layer, numbered, seeded


class Fire(nn.Module):
    """1x1 maps, then 1x1 and 3x3 ones of those, side by side.

    ``(N, inputs, H, W) -> (N, 2 expand, H, W)``.

    Args:
        inputs: Maps below. squeeze: maps in between. expand: maps of each of the two kernels.
        generator: Source of the first weights.
    """

    def __init__(self, inputs: int, squeeze: int, expand: int, generator: torch.Generator):
        super().__init__()
        g = generator
        self.squeeze = layer(nn.Conv2d, inputs, squeeze, 1, generator=g)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = layer(nn.Conv2d, squeeze, expand, 1, generator=g)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = layer(nn.Conv2d, squeeze, expand, 3, padding=1, generator=g)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The maps of the 1x1 kernels, then those of the 3x3 kernels."""
        x = self.squeeze_activation(self.squeeze(x))
        narrow = self.expand1x1_activation(self.expand1x1(x))
        wide = self.expand3x3_activation(self.expand3x3(x))
        return torch.cat([narrow, wide], 1)


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """``(N, 3, 224, 224) -> (N, 1000)`` logits, 1,235,496 parameters.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    g = seeded(generator)
    pool = nn.MaxPool2d
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            features=numbered(
                conv1=layer(nn.Conv2d, 3, 64, 3, stride=2, generator=g),  # (64, 111, 111)
                relu1=nn.ReLU(),
                pool1=pool(3, 2, ceil_mode=True),  # (64, 55, 55)
                fire2=Fire(64, 16, 64, g),
                fire3=Fire(128, 16, 64, g),
                pool3=pool(3, 2, ceil_mode=True),  # (128, 27, 27)
                fire4=Fire(128, 32, 128, g),
                fire5=Fire(256, 32, 128, g),
                pool5=pool(3, 2, ceil_mode=True),  # (256, 13, 13)
                fire6=Fire(256, 48, 192, g),
                fire7=Fire(384, 48, 192, g),
                fire8=Fire(384, 64, 256, g),
                fire9=Fire(512, 64, 256, g),  # (512, 13, 13)
            ),
            classifier=numbered(
                drop9=nn.Dropout(0.5),
                conv10=layer(nn.Conv2d, 512, 1000, 1, std=0.01, generator=g),
                relu10=nn.ReLU(),
                pool10=nn.AdaptiveAvgPool2d(1),
            ),
            output=nn.Flatten(),
        )
    )


ENTRY = Entry(
    make=make,
    input=(3, 224, 224),
    output=(1000,),
    parameters=1_235_496,
    task="classification",
    origin="Iandola et al. 2016, version 1.1",
    preprocessing="imagenet",
    state="torchvision `squeezenet1_1`",
)
