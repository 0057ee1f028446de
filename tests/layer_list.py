"""Every layer of ``nakami.nn``: a new one is one entry, and all checks run over it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn as layers

from nakami import nn


@dataclass(frozen=True)
class Case:
    """A layer and the shape of what it takes, batch axis included.

    ``reference``: the same in evaluation mode, written another way.
    """

    make: Any
    shape: tuple[int, ...]
    reference: Any


def maxout(layer, x):
    k = layer.pieces
    return torch.stack([x[:, i::k] for i in range(k)]).amax(0)


def drop_connect(layer, x):
    """By many random masks of the normal sum, entry by entry."""
    mean = x @ layer.weight.T + layer.bias
    variance = (x[:, None] * layer.weight).square().sum(-1) * layer.p / (1 - layer.p)
    z = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    z = torch.special.ndtri(z)
    return layer.activation(mean[..., None] + variance.sqrt()[..., None] * z).mean(-1)


def standout(layer, x):
    sums = x @ layer.weight.T
    return (sums + layer.bias).relu() / (1 + torch.exp(-(layer.alpha * sums + layer.beta)))


def windows(x, size, stride):
    return x.unfold(2, size, stride).unfold(3, size, stride)


def l2(layer, x):
    return (windows(x, 3, 2).square().mean((-2, -1)) + 1e-8).sqrt()


def bell(side, sigma):
    at = torch.arange(side, dtype=torch.float64) - side // 2
    weights = torch.exp(-(at[:, None] ** 2 + at**2) / (2 * sigma**2))
    return weights / weights.sum()


def gaussian(layer, x):
    return ((windows(x, 3, 2).square() * bell(3, 0.8)).sum((-2, -1)) + 1e-8).sqrt()


def gaussian_mean(layer, x):
    return (windows(x, 3, 2) * bell(3, 0.75)).sum((-2, -1))


def contrast(layer, x):
    def mean(t):
        wide = layers.ReflectionPad2d(2)(t)
        return (windows(wide, 5, 1) * bell(5, 1.25)).sum((-2, -1)).mean(1, keepdim=True)

    v = x - mean(x)
    spread = mean(v**2)
    spread = spread.sqrt() if layer.root else spread
    return v / spread.maximum(spread.mean((1, 2, 3), keepdim=True))


def local(layer, x):
    """Place by place, without a product of many matrices."""
    up, left = layers.modules.utils._pair(layer.padding)
    (h, w), (k, m) = layer.output_size, layer.kernel_size
    x = layers.functional.pad(x, (left, left, up, up))
    weight = layer.weight.unflatten(0, (h, w, -1)).unflatten(2, (layer.groups, -1))
    made = torch.zeros(len(x), layer.out_channels, h, w, dtype=x.dtype)
    for i, j in torch.cartesian_prod(torch.arange(h), torch.arange(w)).tolist():
        (s, t), (d, e) = layer.stride, layer.dilation
        field = x[:, :, i * s :, j * t :][:, :, : d * (k - 1) + 1 : d, : e * (m - 1) + 1 : e]
        field = field.unflatten(1, (layer.groups, -1))
        made[..., i, j] = (field[:, :, None] * weight[i, j]).sum((-3, -2, -1)).flatten(1)
    bias = 0 if layer.bias is None else layer.bias.reshape(h, w, -1).permute(2, 0, 1)
    return made + bias


def convolution(layer, x):
    """Sums over windows, group by group."""
    (down, across), n = layer.stride, layer.groups
    patches = layers.functional.pad(x, layer._reversed_padding_repeated_twice)
    patches = patches.unfold(2, layer.kernel_size[0], down).unfold(3, layer.kernel_size[1], across)
    parts = zip(patches.chunk(n, 1), layer.weight.chunk(n), strict=True)
    sums = [torch.einsum("nchwij,ocij->nohw", part, weight) for part, weight in parts]
    return torch.cat(sums, 1) + layer.bias[:, None, None]


FREQUENCIES = (3, 50, 1, 0, 20, 7, 4, 9)


def factored(layer, x):
    """Word by word, from the class and its members."""
    order, found, first = layer.order.tolist(), {}, 0
    logits = x @ layer.weight.T + layer.bias
    classes = logits[:, : len(layer.sizes)].softmax(1)
    for kind, size in enumerate(layer.sizes):
        begin = len(layer.sizes) + first
        within = logits[:, begin : begin + size].softmax(1)
        for place, word in enumerate(order[first : first + size]):
            found[word] = (classes[:, kind] * within[:, place]).log()
        first += size
    return torch.stack([found[word] for word in range(len(found))], 1)


CASES = {
    "maxout": Case(lambda: nn.Maxout(3), (4, 6, 5), maxout),
    "drop connect": Case(
        lambda: nn.DropConnect(5, 3, 0.3, layers.Tanh(), draws=2000), (4, 5), drop_connect
    ),
    "adaptive dropout": Case(lambda: nn.AdaptiveDropout(5, 3, beta=0.5), (4, 5), standout),
    "l2 pooling": Case(lambda: nn.L2Pool2d(3, 2), (2, 3, 7, 7), l2),
    "gaussian pooling": Case(lambda: nn.GaussianPool2d(3, 2, sigma=0.8), (2, 3, 7, 7), gaussian),
    "gaussian mean": Case(lambda: nn.GaussianPool2d(3, 2, power=1), (2, 3, 7, 7), gaussian_mean),
    "local": Case(lambda: nn.LocallyConnected2d(2, 3, 3, input_size=5), (2, 2, 5, 5), local),
    "local, all options": Case(
        lambda: nn.LocallyConnected2d(
            2, 4, (2, 3), (1, 2), (1, 2), (2, 1), 2, False, "zeros", input_size=(5, 4)
        ),
        (2, 2, 5, 4),
        local,
    ),
    "factored softmax": Case(lambda: nn.FactoredSoftmax(5, FREQUENCIES), (4, 5), factored),
    "fft convolution": Case(
        lambda: nn.FFTConv2d(4, 6, (3, 2), (2, 1), (1, 2), groups=2, method="fft"),
        (2, 4, 5, 6),
        convolution,
    ),
    "contrast": Case(lambda: nn.LocalContrastNorm2d(5), (2, 3, 7, 8), contrast),
    "contrast, no root": Case(
        lambda: nn.LocalContrastNorm2d(5, root=False), (2, 3, 7, 8), contrast
    ),
}


def made(name, dtype=torch.float64):
    """The layer in evaluation mode and an input, from one seed."""
    case = CASES[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.randn(case.shape, dtype=torch.float64)
        return case.make().to(dtype).eval(), x.to(dtype), case.reference
