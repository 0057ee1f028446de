"""AlexNet as it was in 2012, named as Caffe's reference model is (conv1 ... fc8).

Origin: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
networks", NIPS 2012.

Deliberate differences: one network with grouped convolutions where 2012 had two halves on two
devices. It pads the picture by 2, since the paper's 224 pixels do not fit its 55 x 55 maps
otherwise (227 pixels without padding do).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from ._entry import Entry
from ._layers import layer, seeded


def make(padding: int = 2, *, generator: torch.Generator | None = None) -> nn.Sequential:
    """The network of 2012: ``(N, 3, 224, 224) -> (N, 1000)``, 60,965,224 parameters.

    Local response normalisation ``a_i / (2 + 1e-4 sum_j a_j^2)^0.75`` over five maps; torch divides
    alpha by their number, so it is given 5e-4.

    Args:
        padding: Pixels around the picture; 2 for 224 pixels, 0 for 227.
        generator: Source of the first weights ``N(0, 0.01^2)``; None: a fresh one with seed 0.
            Biases start at 1 in conv2, conv4, conv5, fc6 and fc7, else at 0, as in the paper.
    """
    g = seeded(generator)

    def conv(inputs: int, maps: int, side: int, bias: float = 0.0, **options: int) -> nn.Module:
        return _biased(layer(nn.Conv2d, inputs, maps, side, std=0.01, generator=g, **options), bias)

    def dense(inputs: int, units: int, bias: float = 0.0) -> nn.Module:
        return _biased(layer(nn.Linear, inputs, units, std=0.01, generator=g), bias)

    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=conv(3, 96, 11, stride=4, padding=padding),  # (96, 55, 55)
            relu1=nn.ReLU(),
            norm1=nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2),
            pool1=nn.MaxPool2d(3, 2),  # (96, 27, 27)
            conv2=conv(96, 256, 5, bias=1, padding=2, groups=2),
            relu2=nn.ReLU(),
            norm2=nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2),
            pool2=nn.MaxPool2d(3, 2),  # (256, 13, 13)
            conv3=conv(256, 384, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=conv(384, 384, 3, bias=1, padding=1, groups=2),
            relu4=nn.ReLU(),
            conv5=conv(384, 256, 3, bias=1, padding=1, groups=2),
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, 2),  # (256, 6, 6)
            flatten=nn.Flatten(),
            fc6=dense(256 * 6 * 6, 4096, bias=1),
            relu6=nn.ReLU(),
            drop6=nn.Dropout(0.5),
            fc7=dense(4096, 4096, bias=1),
            relu7=nn.ReLU(),
            drop7=nn.Dropout(0.5),
            fc8=dense(4096, 1000),
        )
    )


def _biased(made: nn.Module, value: float) -> nn.Module:
    nn.init.constant_(made.bias, value)  # type: ignore[arg-type]
    return made


ENTRY = Entry(
    make=make,
    input=(3, 224, 224),
    output=(1000,),
    parameters=60_965_224,
    task="classification",
    origin="Krizhevsky, Sutskever, Hinton 2012",
    preprocessing="imagenet",
    state="ours, with the layer names of Caffe",
)
