"""stories260K, the Llama of 260,032 weights of llama2.c, as a plain module that can write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, SHARED, INNER, LAYERS, WORDS = 64, 8, 4, 172, 5, 512
FOLDER = "transformer-weights"


class Attention(nn.Module):
    """Causal attention of 8 heads that share 4 keys and values; pairs (2i, 2i + 1) are rotated."""

    def __init__(self) -> None:
        super().__init__()
        narrow = WIDTH // HEADS * SHARED
        self.q_proj, self.o_proj = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
        self.k_proj, self.v_proj = (nn.Linear(WIDTH, narrow, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        n, steps, _ = x.shape
        q, k, v = (
            layer(x).view(n, steps, -1, WIDTH // HEADS).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        k, v = (part.repeat_interleave(HEADS // SHARED, 1) for part in (rotated(k), v))
        out = functional.scaled_dot_product_attention(rotated(q), k, v, is_causal=True)
        mixed: Tensor = self.o_proj(out.transpose(1, 2).reshape(n, steps, WIDTH))
        return mixed


class Gated(nn.Module):
    """SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(WIDTH, INNER, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Attention and SwiGLU, each behind its normalisation and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(), Gated()
        self.input_layernorm, self.post_attention_layernorm = (
            nn.RMSNorm(WIDTH, 1e-5) for _ in "12"
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Stories(nn.Module):
    """Tokens ``(n, steps)`` to logits ``(n, steps, 512)``; the output is tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH, 1e-5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x)
        return functional.linear(self.norm(x), self.embed_tokens.weight)

    @property
    def unembedding(self) -> Tensor:
        """What a state before the last normalisation writes: gains and embedding, ``(512, 64)``."""
        return (self.embed_tokens.weight * self.norm.weight).detach()

    @torch.no_grad()
    def write(self, count: int, steps: int, seed: int = 0) -> Tensor:
        """Stories from token 1 on, drawn at temperature 1, ``(count, steps)``."""
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.ones(count, 1, dtype=torch.long)
        while tokens.shape[1] < steps:
            odds = self(tokens)[:, -1].softmax(-1)
            tokens = torch.cat([tokens, torch.multinomial(odds, 1, generator=generator)], 1)
        return tokens


def rotated(x: Tensor) -> Tensor:
    """Rotary positions, ``(n, heads, steps, size)``."""
    steps, size = x.shape[-2:]
    speeds = 10000.0 ** (-torch.arange(0, size, 2, device=x.device) / size)
    angle = torch.arange(steps, device=x.device)[:, None] * speeds
    cos, sin = angle.cos().to(x), angle.sin().to(x)
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


def stories(root: Path) -> tuple[Stories, list[str]]:
    """The trained net and its vocabulary."""
    model = Stories().eval()
    weights: dict[str, Any] = load_file(root / FOLDER / "stories260k.safetensors")
    model.load_state_dict({k.removeprefix("model."): v for k, v in weights.items()})
    vocabulary = json.loads((root / FOLDER / "stories260k_vocab.json").read_text("utf-8"))
    return model, vocabulary["pieces"]
