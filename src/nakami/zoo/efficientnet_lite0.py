"""EfficientNet-lite0: inverted residuals with depthwise convolutions, made for small devices.

Origin: Tan & Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML
2019; the lite models of the TensorFlow TPU repository (2020) leave out squeeze-and-excitation, use
ReLU6 in place of swish, and keep stem and head at one width. State dict as EfficientNet-PyTorch has
it (``_conv_stem``, ``_blocks.N._depthwise_conv``, ...). Pictures are ``(byte - 127) / 128``.

Padding is TensorFlow's "same": ``ceil(n / stride)`` outputs, the odd pixel at the right and bottom.

Deliberate differences: no stochastic depth in training; first weights ``N(0, 2 / fan-in)``, in
``_fc`` ``N(0, 1 / inputs)``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._entry import Entry
from ._layers import layer, seeded

# times, kernel, stride of the first, factor of expansion, maps
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES, DROP = 32, 1280, 1000, 0.2


class SameConv2d(nn.Conv2d):
    """Convolution without bias that gives ``ceil(n / stride)`` outputs along each axis."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, maps, ceil(H / stride), ceil(W / stride))``."""
        pads: list[int] = []
        for axis in (1, 0):  # F.pad begins with the last axis
            n, k, s = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max((-(-n // s) - 1) * s + k - n, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


class InvertedResidual(nn.Module):
    """1x1 to more maps, depthwise, 1x1 to fewer; the input is added where the shapes agree.

    Args:
        inputs: Maps below. maps: maps above. kernel: side of the depthwise kernel.
        stride: Of the depthwise convolution. factor: expansion; 1 leaves the first 1x1 out.
        generator: Source of the first weights.
    """

    def __init__(
        self,
        inputs: int,
        maps: int,
        kernel: int,
        stride: int,
        factor: int,
        generator: torch.Generator,
    ):
        super().__init__()
        wide, g = inputs * factor, generator
        self._residual = stride == 1 and inputs == maps
        self._expands = factor > 1
        if self._expands:
            self._expand_conv = _conv(inputs, wide, 1, generator=g)
            self._bn0 = _norm(wide)
            self._relu0 = nn.ReLU6()
        self._depthwise_conv = _conv(wide, wide, kernel, stride=stride, groups=wide, generator=g)
        self._bn1 = _norm(wide)
        self._relu1 = nn.ReLU6()
        self._project_conv = _conv(wide, maps, 1, generator=g)
        self._bn2 = _norm(maps)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W) -> (N, maps, ceil(H / stride), ceil(W / stride))``."""
        y = self._relu0(self._bn0(self._expand_conv(x))) if self._expands else x
        y = self._relu1(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._residual else y


class EfficientNetLite0(nn.Module):
    """``(N, 3, 224, 224) -> (N, 1000)`` logits, 4,652,008 parameters; other sides work too.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """

    def __init__(self, generator: torch.Generator | None = None):
        super().__init__()
        g = seeded(generator)
        self._conv_stem = _conv(3, STEM, 3, stride=2, generator=g)
        self._bn0 = _norm(STEM)
        self._relu0 = nn.ReLU6()
        self._blocks = nn.Sequential(*_blocks(g))
        self._conv_head = _conv(STAGES[-1][-1], HEAD, 1, generator=g)
        self._bn1 = _norm(HEAD)
        self._relu1 = nn.ReLU6()
        self._avg_pooling = nn.AdaptiveAvgPool2d(1)
        self._flatten = nn.Flatten()
        self._dropout = nn.Dropout(DROP)
        self._fc = layer(nn.Linear, HEAD, CLASSES, std=HEAD**-0.5, generator=g)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of pictures."""
        x = self._relu0(self._bn0(self._conv_stem(x)))
        x = self._blocks(x)
        x = self._relu1(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(self._flatten(self._avg_pooling(x))))


def make(*, generator: torch.Generator | None = None) -> EfficientNetLite0:
    """The network, untrained.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    return EfficientNetLite0(generator)


def _blocks(g: torch.Generator) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    below = STEM
    for times, kernel, stride, factor, maps in STAGES:
        for i in range(times):
            blocks.append(InvertedResidual(below, maps, kernel, 1 if i else stride, factor, g))
            below = maps
    return blocks


def _conv(
    inputs: int, maps: int, kernel: int, *, generator: torch.Generator, **options: int
) -> nn.Module:
    made: nn.Module = layer(
        SameConv2d, inputs, maps, kernel, bias=False, generator=generator, **options
    )
    return made


def _norm(maps: int) -> nn.BatchNorm2d:
    """TensorFlow's momentum of 0.99 keeps that share of the old value; torch's names the rest."""
    return nn.BatchNorm2d(maps, eps=1e-3, momentum=0.01)


ENTRY = Entry(
    make=make,
    input=(3, 224, 224),
    output=(1000,),
    parameters=4_652_008,
    task="classification",
    origin="Tan & Le 2019; lite models 2020",
    preprocessing="efficientnet-lite",
    state="EfficientNet-PyTorch, lite0",
)
