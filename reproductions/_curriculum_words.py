"""A language model whose vocabulary grows: windows of frequent words first, or otherwise."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import torch
from _wide import digits, generator
from torch import Tensor, nn

from nakami.training import Curriculum, Method, Supervised, fit
from nakami.zoo import mlp

WORDS, BEFORE, ASKED = 3000, 4, 40_000
EMBEDDED, HIDDEN, BATCH, RATE = 32, 64, 100, 1e-3
TEXTS = {  # windows, passes over them, deviation of the first vectors
    "words": (45_000, 6, 1.0),
    "text": (250_000, 4, 0.1),
}
STEP = 300_000  # words between the parts of the text of two seeds
ORDERS = {
    "all": "all from the beginning",
    "easy": "frequent words first",
    "hard": "rare words first",
    "random": "random windows first",
}


class NextWord(nn.Module):
    """Numbers of four words to logits of the next: their vectors, one hidden layer of ReLUs."""

    def __init__(self, source: torch.Generator, deviation: float):
        super().__init__()
        self.vectors = nn.utils.skip_init(nn.Embedding, WORDS, EMBEDDED)
        with torch.no_grad():
            self.vectors.weight.normal_(0, deviation, generator=source)
        self.body = mlp.make((BEFORE * EMBEDDED, HIDDEN, WORDS), generator=source)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 4) -> (N, 3000)``."""
        out: Tensor = self.body(self.vectors(x).flatten(1))
        return out


@cache
def texts(root: Path) -> tuple[Tensor, Tensor]:
    """Words of the training and the test text by rank of their frequency in the first.

    All beyond the 2,999 most frequent are one more word, the last.
    """
    parts = [
        [word for line in (root / "ptb" / f"ptb.{part}.txt").read_text("utf-8").splitlines()
         for word in (*line.split(), "<eos>")]
        for part in ("train", "test")
    ]  # fmt: skip
    rank = {word: i for i, (word, _) in enumerate(Counter(parts[0]).most_common(WORDS - 1))}
    train, test = (torch.tensor([rank.get(w, WORDS - 1) for w in part]) for part in parts)
    return train, test


def windows(text: Tensor, begin: int, n: int) -> tuple[Tensor, Tensor]:
    """Four words in a row ``(n, 4)`` and the next ``(n,)``, from all places."""
    found = text[begin : begin + n + BEFORE].unfold(0, BEFORE + 1, 1)
    return found[:, :-1].contiguous(), found[:, -1].contiguous()


def loss(root: Path, seed: int, order: str, kind: str) -> float:
    """Nats a word of the test text after training in this order on one of ``TEXTS``."""
    (train, test), (n, epochs, deviation) = texts(root), TEXTS[kind]
    x, y = windows(train, STEP * seed, n)
    rarest = torch.cat([x, y[:, None]], 1).max(1).values
    net = NextWord(generator(seed, 8), deviation)
    method: Method = Supervised(net, torch.optim.Adam(net.parameters(), RATE))
    if order != "all":
        share = float((rarest < WORDS // 4).double().mean())
        method = Curriculum(method, rarest, epochs // 2, first=share, order=order)  # type: ignore[arg-type]
    fit(method, (x, y), epochs=epochs, batch=BATCH, generator=generator(seed, 9))
    asked, truth = windows(test, 0, ASKED)
    total = 0.0
    with torch.no_grad():
        for part, word in zip(asked.split(2000), truth.split(2000), strict=True):
            total += float(nn.functional.cross_entropy(net(part), word, reduction="sum"))
    return digits(total / ASKED, 5)


def frequencies_alone(root: Path, seed: int, kind: str) -> float:
    """Nats a word by how often words stand in the training windows, one more added to each."""
    train, test = texts(root)
    counts = torch.bincount(windows(train, STEP * seed, TEXTS[kind][0])[1], minlength=WORDS) + 1.0
    told = (counts / counts.sum()).log()[windows(test, 0, ASKED)[1]]
    return digits(-float(told.double().mean()), 5)
