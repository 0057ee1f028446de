"""Networks of the second protocol, in torch's default initialisation."""

from __future__ import annotations

from itertools import pairwise

import torch
from benchmarks.lr.models import Block, Layer
from torch import Tensor, nn


def dense(
    *sizes: int, act: type[nn.Module] = nn.ReLU, drop: float = 0.0, norm: bool = False
) -> nn.Sequential:
    """Linear layers, each but the last with layer norm, activation and dropout as asked."""
    parts: list[nn.Module] = [nn.Flatten()]
    for n, m in pairwise(sizes[:-1]):
        parts += [nn.Linear(n, m), *([nn.LayerNorm(m)] if norm else []), act()]
        parts += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*parts, nn.Linear(*sizes[-2:]))


def conv(inputs: int, maps: int, *, norm: bool = False, pool: bool = True) -> list[nn.Module]:
    made: list[nn.Module] = [nn.Conv2d(inputs, maps, 3, padding=1, bias=not norm)]
    made += [nn.BatchNorm2d(maps)] if norm else []
    return [*made, nn.ReLU(), *([nn.MaxPool2d(2)] if pool else [])]


def small_cnn(channels: int, *, norm: bool, drop: float = 0.0) -> nn.Sequential:
    """Three convolutions of 16, 32 and 32 maps on 16 x 16 (or 14 x 14), then a linear layer."""
    body = [*conv(channels, 16, norm=norm), *conv(16, 32, norm=norm), *conv(32, 32, norm=norm)]
    width = 32 * 4 if channels == 3 else 32
    return nn.Sequential(
        *body, nn.Flatten(), *([nn.Dropout(drop)] if drop else []), nn.Linear(width, 10)
    )


class Words(nn.Module):
    """Mean of the embeddings of a sentence's words, after a transformer's layer or none."""

    def __init__(self, vocabulary: int, width: int, *, layers: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        made = [
            nn.TransformerEncoderLayer(
                width, 4, 2 * width, 0.1, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        ]
        self.layers = nn.ModuleList(made)
        self.output = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, length) -> (N, 2)``."""
        padding = x == 0
        h = self.embedding(x)
        for layer in self.layers:
            h = layer(h, src_key_padding_mask=padding)
        there = (~padding).unsqueeze(2).to(h.dtype)
        return self.output((h * there).sum(1) / there.sum(1).clamp_min(1))


class Recurrent(nn.Module):
    """A GRU or LSTM and a linear layer, at every step or after the last one."""

    def __init__(
        self,
        kind: str,
        inputs: int,
        units: int,
        outputs: int,
        *,
        symbols: int = 0,
        last: bool = False,
    ):
        super().__init__()
        self.embedding = nn.Embedding(symbols, inputs) if symbols else nn.Identity()
        self.cell = getattr(nn, kind)(inputs, units, batch_first=True)
        self.output = nn.Linear(units, outputs)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, inputs)`` or ``(N, T)`` symbols; symbols' logits have classes on axis 1."""
        symbols = isinstance(self.embedding, nn.Embedding)
        h = self.cell(self.embedding(x.long() if symbols else x))[0]
        found = self.output(h[:, -1] if self.last else h)
        return found.transpose(1, 2) if symbols else found


class Frames(nn.Module):
    """Spoken digits ``(N, bands, frames)``: convolutions over time, or a GRU over frames."""

    def __init__(self, recurrent: bool):
        super().__init__()
        if recurrent:
            self.body: nn.Module = Recurrent("GRU", 32, 48, 10, last=True)
        else:
            parts = [
                nn.Conv1d(32, 48, 5, stride=2),
                nn.ReLU(),
                nn.Conv1d(48, 48, 5, stride=2),
                nn.ReLU(),
            ]
            self.body = nn.Sequential(
                *parts, nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(48, 10)
            )
        self.recurrent = recurrent

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 32, 32) -> (N, 10)``."""
        return self.body(x.transpose(1, 2) if self.recurrent else x)


class Patches(nn.Module):
    """A small vision transformer with a class token."""

    def __init__(
        self, channels: int, side: int, patch: int, width: int, layers: int, heads: int = 4
    ):
        super().__init__()
        self.patch = nn.Conv2d(channels, width, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.pos = nn.Parameter(torch.randn(1, (side // patch) ** 2 + 1, width) * 0.02)
        one = nn.TransformerEncoderLayer(
            width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(one, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, side, side) -> (N, 10)``."""
        h = self.patch(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.cls.expand(len(x), -1, -1), h], 1) + self.pos
        return self.head(self.norm(self.encoder(h)[:, 0]))


class Characters(nn.Module):
    """A causal language model of characters."""

    def __init__(self, symbols: int, width: int, layers: int, context: int):
        super().__init__()
        self.characters, self.positions = nn.Embedding(symbols, width), nn.Embedding(context, width)
        self.layers = nn.Sequential(*(Layer(width, 4, context) for _ in range(layers)))
        self.output = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, symbols))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T) -> (N, symbols, T)``."""
        h = self.characters(x.long()) + self.positions(torch.arange(x.shape[1]))
        return self.output(self.layers(h)).transpose(1, 2)


class Committee(nn.Module):
    """Three units ``erf(w.x / sqrt 2)``, summed with trained weights."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(100, 3, bias=False), nn.Linear(3, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 100) -> (N, 1)``."""
        return self.output(torch.erf(self.hidden(x) / 2**0.5))


def resnet() -> nn.Sequential:
    """One convolution of 8 maps and blocks of 8, 16 and 32, of a picture ``(1, 14, 14)``."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 1, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        Block(8, 8, 1),
        Block(8, 16, 2),
        Block(16, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def denoiser() -> nn.Sequential:
    """Convolutions down to 4 maps of 7 x 7 and up again, of pictures ``(1, 14, 14)``."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(16, 4, 2, 2),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 16, 2, 2),
        nn.ReLU(),
        nn.Conv2d(16, 1, 3, 1, 1),
    )


def scalar_cnn() -> nn.Sequential:
    """One number of a picture ``(1, 14, 14)``."""
    return nn.Sequential(
        *conv(1, 16),
        *conv(16, 32),
        nn.Flatten(),
        nn.Linear(32 * 9, 32),
        nn.ReLU(),
        nn.Linear(32, 1),
    )
