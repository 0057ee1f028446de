"""AlexNet as it was in 2012, named as Caffe's reference model is (conv1 ... fc8).

Origin: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
networks", NIPS 2012.

Deliberate differences: one network with grouped convolutions where 2012 had two halves on two
devices. It pads the picture by 2, since the paper's 224 pixels do not fit its 55 x 55 maps
otherwise (227 pixels without padding do).
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import nn

from nakami.results import check_at_least, is_number, wrong

from ._entry import Entry
from ._layers import layer, seeded


def make(
    padding: int = 2,
    *,
    side: int | None = None,
    classes: int = 1000,
    width: float = 1.0,
    std: float | None = 0.01,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """The network of 2012: ``(N, 3, 224, 224) -> (N, 1000)``, 60,965,224 parameters.

    Local response normalisation ``a_i / (2 + 1e-4 sum_j a_j^2)^0.75`` over five maps; torch divides
    alpha by their number, so it is given 5e-4. The first weights are meant for pixels in 0..255
    with the mean taken off.

    Args:
        padding: Pixels around the picture; 2 for 224 pixels, 0 for 227.
        side: Of the picture; 63 or more with padding 2. The fully connected layers follow it. None:
            that of 2012, 6 x 6 values before them.
        classes: Number of outputs.
        width: Share of the maps and units of 2012, rounded to even numbers.
        std: Of the first weights, and biases of 1 in conv2, conv4, conv5, fc6 and fc7, as in the
            paper. None: a variance of 2 / fan-in, and biases 0, for pixels of deviation 1: narrow
            networks on small pictures do not begin to learn otherwise.
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    padding = check_at_least("padding", padding, 0, "use 2 for 224 pixels")
    classes = check_at_least("classes", classes, 1, "use 1000")
    if std is not None and not (is_number(std) and 0 < std < math.inf):
        raise wrong("std", "be a number above 0, or None", std, "use 0.01")
    last = 6 if side is None else last_side(side, padding)
    g, one = seeded(generator), 0.0 if std is None else 1.0
    n1, n2, n3, n6 = (_even(width, n) for n in (96, 256, 384, 4096))

    def conv(inputs: int, maps: int, side: int, bias: float = 0.0, **options: int) -> nn.Module:
        return _biased(layer(nn.Conv2d, inputs, maps, side, std=std, generator=g, **options), bias)

    def dense(inputs: int, units: int, bias: float = 0.0) -> nn.Module:
        return _biased(layer(nn.Linear, inputs, units, std=std, generator=g), bias)

    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=conv(3, n1, 11, stride=4, padding=padding),  # (96, 55, 55)
            relu1=nn.ReLU(),
            norm1=nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2),
            pool1=nn.MaxPool2d(3, 2),  # (96, 27, 27)
            conv2=conv(n1, n2, 5, bias=one, padding=2, groups=2),
            relu2=nn.ReLU(),
            norm2=nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2),
            pool2=nn.MaxPool2d(3, 2),  # (256, 13, 13)
            conv3=conv(n2, n3, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=conv(n3, n3, 3, bias=one, padding=1, groups=2),
            relu4=nn.ReLU(),
            conv5=conv(n3, n2, 3, bias=one, padding=1, groups=2),
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, 2),  # (256, 6, 6)
            flatten=nn.Flatten(),
            fc6=dense(n2 * last * last, n6, bias=one),
            relu6=nn.ReLU(),
            drop6=nn.Dropout(0.5),
            fc7=dense(n6, n6, bias=one),
            relu7=nn.ReLU(),
            drop7=nn.Dropout(0.5),
            fc8=dense(n6, classes),
        )
    )


def last_side(side: int, padding: int) -> int:
    """Rows of the maps of pool5, or a refusal."""
    n = (check_at_least("side", side, 1, "use 224") + 2 * padding - 11) // 4 + 1
    for _ in range(3):
        n = (n - 3) // 2 + 1
    if n < 1:
        least = 67 - 2 * padding
        raise wrong("side", f"be {least} or more", side, f"scale the pictures to {least} pixels")
    return n


def _even(width: float, n: int) -> int:
    """That share of ``n``, an even number from 2 on."""
    if not (is_number(width) and 0 < width < math.inf):
        raise wrong("width", "be a number above 0", width, "use 1")
    return max(2, 2 * round(width * n / 2))


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
