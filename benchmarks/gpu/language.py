"""Language models in the shapes of GPT-2 and Llama, drawn at random; torch alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu


@dataclass(frozen=True)
class Shape:
    """Sizes of a model.

    Attributes:
        kind: ``"gpt2"`` or ``"llama"``. layers, width, heads: as usual.
        inner: Width between the two layers of a block's MLP. words: of the vocabulary.
        groups: Heads of keys and values.
    """

    kind: str
    layers: int
    width: int
    heads: int
    inner: int
    words: int
    groups: int


SHAPES = {
    "gpt2-124m": Shape("gpt2", 12, 768, 12, 3072, 50257, 12),
    "gpt2-774m": Shape("gpt2", 36, 1280, 20, 5120, 50257, 20),
    "llama-1.1b": Shape("llama", 22, 2048, 32, 5632, 32000, 4),
}
SMALL = {
    name: Shape(shape.kind, 2, 32, 4, 64, 200, 2 if shape.kind == "llama" else 4)
    for name, shape in SHAPES.items()
}


class Attention(nn.Module):
    """Causal attention, with rotated positions and shared keys for Llama."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape, self.size = shape, shape.width // shape.heads
        bias = shape.kind == "gpt2"
        self.q = nn.Linear(shape.width, shape.width, bias=bias)
        self.k = nn.Linear(shape.width, shape.groups * self.size, bias=bias)
        self.v = nn.Linear(shape.width, shape.groups * self.size, bias=bias)
        self.out = nn.Linear(shape.width, shape.width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, width)`` to the same."""
        n, t, _ = x.shape
        q, k, v = (m(x).view(n, t, -1, self.size).transpose(1, 2) for m in (self.q, self.k, self.v))
        if self.shape.kind == "llama":
            q, k = rotated(q), rotated(k)
            times = self.shape.heads // self.shape.groups
            k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
        seen = scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = self.out(seen.transpose(1, 2).reshape(n, t, -1))
        return out


def rotated(x: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021), base 10,000, halves as pairs."""
    t, size = x.shape[-2:]
    place = torch.arange(t, device=x.device, dtype=x.dtype)
    rate = 10_000 ** (-torch.arange(0, size, 2, device=x.device, dtype=x.dtype) / size)
    angle = torch.outer(place, rate)
    a, b = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Gated(nn.Module):
    """Llama's MLP: ``down(silu(gate x) * up x)``."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.inner, bias=False)
        self.up = nn.Linear(shape.width, shape.inner, bias=False)
        self.down = nn.Linear(shape.inner, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, width)`` to the same."""
        out: Tensor = self.down(silu(self.gate(x)) * self.up(x))
        return out


class Block(nn.Module):
    """Attention and an MLP, each behind a norm and beside a sum."""

    def __init__(self, shape: Shape):
        super().__init__()
        norm = nn.LayerNorm if shape.kind == "gpt2" else nn.RMSNorm
        self.first, self.second = norm(shape.width), norm(shape.width)
        self.attention = Attention(shape)
        self.mlp: nn.Module = Gated(shape)
        if shape.kind == "gpt2":
            wide, narrow = nn.Linear(shape.width, shape.inner), nn.Linear(shape.inner, shape.width)
            self.mlp = nn.Sequential(wide, nn.GELU("tanh"), narrow)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, width)`` to the same."""
        x = x + self.attention(self.first(x))
        out: Tensor = x + self.mlp(self.second(x))
        return out


class Language(nn.Module):
    """Tokens ``(N, T)`` to logits ``(N, words, T)``, as cross entropy takes them."""

    def __init__(self, shape: Shape, longest: int = 256):
        super().__init__()
        self.embed = nn.Embedding(shape.words, shape.width)
        self.place = nn.Embedding(longest, shape.width) if shape.kind == "gpt2" else None
        self.blocks = nn.Sequential(*(Block(shape) for _ in range(shape.layers)))
        self.norm = nn.LayerNorm(shape.width) if shape.kind == "gpt2" else nn.RMSNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.words, bias=False)
        if shape.kind == "gpt2":
            self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits."""
        x = self.embed(tokens)
        if self.place is not None:
            x = x + self.place.weight[: tokens.shape[1]]
        out: Tensor = self.head(self.norm(self.blocks(x))).transpose(1, 2)
        return out


def build(name: str, device: str, small: bool) -> Language:
    """A model on a device, weights of variance 0.02^2, from one seed."""
    shape = (SMALL if small else SHAPES)[name]
    with torch.device(device):
        model = Language(shape).eval().requires_grad_(True)
    gen = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.02, generator=gen)
    return model
