"""The eight networks of the learning-rate protocol, in torch's default initialisation unless said.

Every network takes a batch and gives what torch's loss module reads: logits ``(N, 10)``, logits of
notes ``(N, 64, 88)``, logits of characters ``(N, 65, 64)`` (classes on axis 1) or pixels
``(N, 784)``.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn


def _dense(sizes: tuple[int, ...], activation: type[nn.Module]) -> nn.Sequential:
    parts: list[nn.Module] = [nn.Flatten()]
    for inputs, units in itertools.pairwise(sizes):
        parts += [nn.Linear(inputs, units), activation()]
    return nn.Sequential(*parts[:-1])


def _conv(inputs: int, maps: int, side: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, maps, side, padding=side // 2), nn.ReLU(), nn.MaxPool2d(2)]


def mlp() -> nn.Module:
    return _dense((784, 300, 100, 10), nn.ReLU)


def cnn() -> nn.Module:
    maps = [*_conv(1, 16, 5), *_conv(16, 32, 5)]  # (32, 7, 7)
    return nn.Sequential(*maps, *_dense((32 * 49, 100, 10), nn.ReLU))


def cnn_colour() -> nn.Module:
    maps = [*_conv(3, 32, 3), *_conv(32, 64, 3), *_conv(64, 64, 3)]  # (64, 4, 4)
    return nn.Sequential(*maps, *_dense((64 * 16, 10), nn.ReLU))


def deep_tanh() -> nn.Module:
    """Weights ``N(0, 1 / fan-in)``, biases 0, the last layer included."""
    made = _dense((784, *[128] * 10, 10), nn.Tanh)
    for part in made:
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=part.in_features**-0.5)
            nn.init.zeros_(part.bias)
    return made


def autoencoder() -> nn.Module:
    code = _dense((784, 256, 64), nn.ReLU)
    return nn.Sequential(*code, *_dense((64, 256, 784), nn.ReLU)[1:])


class Block(nn.Module):
    """He et al. 2016, the basic block: two 3x3 convolutions and the shortcut, then ReLU."""

    def __init__(self, inputs: int, maps: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, maps, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(maps),
            nn.ReLU(),
            nn.Conv2d(maps, maps, 3, padding=1, bias=False),
            nn.BatchNorm2d(maps),
        )
        project = [nn.Conv2d(inputs, maps, 1, stride, bias=False), nn.BatchNorm2d(maps)]
        self.shortcut = nn.Identity() if inputs == maps else nn.Sequential(*project)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, h, w) -> (N, maps, h / stride, w / stride)``."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


class GRU(nn.Module):
    """Next step of a piano roll: ``(N, T, 88) -> (N, T, 88)`` logits, state 0 at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(88, 128, batch_first=True)
        self.output = nn.Linear(128, 88)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the next notes at every step."""
        return self.output(self.gru(x)[0])


class Attention(nn.Module):
    """Causal attention in plain products, which every kind of derivative passes."""

    def __init__(self, width: int, heads: int, context: int):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        later = torch.ones(context, context, dtype=torch.bool).triu(1)
        self.register_buffer("later", later, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, width) -> (N, T, width)``; a step sees itself and what was before."""
        n, steps, width = x.shape
        parts = self.project(x).view(n, steps, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (n, heads, steps, width / heads)
        scores = query @ key.transpose(-2, -1) / (width // self.heads) ** 0.5
        weights = scores.masked_fill(self.later[:steps, :steps], -torch.inf).softmax(-1)
        return self.output((weights @ value).transpose(1, 2).reshape(n, steps, width))


class Layer(nn.Module):
    """Attention, then a dense part, four times as wide; each after layer norm, with a shortcut."""

    def __init__(self, width: int, heads: int, context: int):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width, heads, context))
        wide = 4 * width
        self.dense = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, width) -> (N, T, width)``."""
        x = x + self.attention(x)
        return x + self.dense(x)


class Transformer(nn.Module):
    """Next character: ``(N, T) -> (N, 65, T)`` logits; learned positions, no shared weights."""

    def __init__(self, characters: int = 65, width: int = 64, heads: int = 4, context: int = 64):
        super().__init__()
        self.characters = nn.Embedding(characters, width)
        self.positions = nn.Embedding(context, width)
        self.layers = nn.Sequential(*(Layer(width, heads, context) for _ in range(2)))
        self.output = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, characters))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the next character at every step."""
        places = torch.arange(x.shape[1], device=x.device)
        h = self.layers(self.characters(x) + self.positions(places))
        return self.output(h).transpose(1, 2)


MODELS = {
    "mlp": mlp,
    "cnn": cnn,
    "cnn_colour": cnn_colour,
    "deep_tanh": deep_tanh,
    "resnet": resnet,
    "gru": GRU,
    "transformer": Transformer,
    "autoencoder": autoencoder,
}
