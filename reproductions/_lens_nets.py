"""A trained vision transformer and a trained BERT, with inputs, for the averaged Jacobian."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from _stories import FOLDER
from safetensors.torch import load_file
from torch import Tensor, nn

import nakami


class Clothes(nn.Module):
    """A ViT for Fashion-MNIST: 49 patches of 4 x 4 and a class token, width 64, 4 blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, 64, 4, 4)
        self.cls, self.pos = (nn.Parameter(torch.zeros(1, n, 64)) for n in (1, 50))
        block = nn.TransformerEncoderLayer(
            64, 4, 128, dropout=0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(block, 4, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        out: Tensor = self.head(self.norm(self.encoder(x))[:, 0])
        return out


def pictures(root: Path, n: int) -> tuple[nn.Module, Any]:
    """The ViT, and pictures of the test set."""
    model = Clothes().eval()
    model.load_state_dict(load_file(root / FOLDER / "vit_fashion.safetensors"))
    found = nakami.data.read(root / "fashion-mnist" / "t10k-images-idx3-ubyte.gz", n=n)
    return model, (found.inputs - 0.2860) / 0.3530


def sentences(root: Path, n: int) -> tuple[nn.Module, Any]:
    """paraphrase-MiniLM-L3, a BERT of width 384, and sentences of the Stanford Sentiment Treebank.

    Raises:
        ImportError: Without transformers.
    """
    from transformers import BertConfig, BertModel, BertTokenizerFast

    config = BertConfig(
        vocab_size=10067, hidden_size=384, num_hidden_layers=3, num_attention_heads=12,
        intermediate_size=1536, layer_norm_eps=1e-12,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False).eval()
    model.load_state_dict(load_file(root / FOLDER / "paraphrase_minilm_l3.fp16.safetensors"))
    lines = (root / FOLDER / "paraphrase_minilm_l3_vocab.txt").read_text("utf-8").split("\n")
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(lines[:10067])})
    trees = (root / "sst" / "dev.txt").read_text("utf-8").splitlines()[:n]
    texts = [" ".join(re.findall(r"\(\d ([^()]+)\)", tree)) for tree in trees]
    found = tokenizer(texts, padding=True, return_tensors="pt")
    return model, {name: found[name] for name in ("input_ids", "attention_mask")}
