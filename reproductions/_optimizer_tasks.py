"""What optimizers are compared on: nets and data of `source_004_sdprop.py`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from nakami.data import mnist

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Task:
    """A net, its data, and how long it is trained."""

    name: str
    title: str
    net: Callable[[], nn.Module]
    data: Callable[[], Pictures | Text]
    batch: int
    steps: int
    schedule: bool = True  # warm-up and cosine to a tenth; else one rate throughout
    clip: float = math.inf  # largest norm of a gradient
    decay: float = 0.0  # of matrices at the peak of the schedule, in one step
    beta2: float = 0.999
    search_steps: int = 0  # while rates are searched; 0: steps


class Pictures:
    """Training, validation and test pictures with labels."""

    def __init__(self, train: Pair, valid: Pair, test: Pair):
        self.sets = {"train": train, "valid": valid, "test": test}

    def batches(self, size: int, steps: int, generator: torch.Generator) -> Iterator[Pair]:
        """Batches in a new random order in every epoch; what does not fill one is left out."""
        x, y = self.sets["train"]
        done = 0
        while done < steps:
            order = torch.randperm(len(x), generator=generator)
            for part in order[: len(x) // size * size].split(size)[: steps - done]:
                yield x[part], y[part]
                done += 1

    def whole(self, name: str) -> Iterator[Pair]:
        """A set in order."""
        x, y = self.sets[name]
        yield from zip(x.split(500), y.split(500), strict=True)


class Text:
    """Characters: 90 % for training, 5 % for validation, 5 % for test, in their order."""

    def __init__(self, window: int, most: int = 20_000):
        text = (data_folder() / "tinyshakespeare" / "input.txt").read_text("utf-8")
        kinds = {character: i for i, character in enumerate(sorted(set(text)))}
        ids = torch.tensor([kinds[character] for character in text])
        first, second = int(0.9 * len(ids)), int(0.95 * len(ids))
        self.sets = {"train": ids[:first], "valid": ids[first:second], "test": ids[second:]}
        self.window, self.most = window, most

    def batches(self, size: int, steps: int, generator: torch.Generator) -> Iterator[Pair]:
        """Windows that begin anywhere."""
        ids = self.sets["train"]
        for _ in range(steps):
            starts = torch.randint(len(ids) - self.window, (size,), generator=generator)
            windows = torch.stack([ids[i : i + self.window + 1] for i in starts.tolist()])
            yield windows[:, :-1], windows[:, 1:]

    def whole(self, name: str) -> Iterator[Pair]:
        """Windows side by side, from the first on, up to the number of characters asked for."""
        ids = self.sets[name][: self.most + 1]
        count = (len(ids) - 1) // self.window
        x = ids[: count * self.window].view(count, self.window)
        y = ids[1 : count * self.window + 1].view(count, self.window)
        yield from zip(x.split(100), y.split(100), strict=True)


def data_folder() -> Path:
    """Where the data lie."""
    folder = Path(__file__).parents[1] / ".." / "shared" / "data"
    root = Path(os.environ.get("NAKAMI_DATA", folder))
    if not root.is_dir():
        sys.exit(f"no data: {root} is needed; set NAKAMI_DATA to its folder.")
    return root


def idx_pictures(folder: str, train: int, valid: int, test: int, border: int = 0) -> Pictures:
    """The first ones of MNIST's or Fashion-MNIST's files, standardised by the training pictures."""
    begin = mnist(data_folder() / folder, n=train + valid)
    end = mnist(data_folder() / folder, "test", n=test)
    x = pad(torch.cat([begin.inputs, end.inputs]), (border,) * 4)
    y = torch.cat([begin.labels, end.labels])
    return split(x, y, train, valid)


def split(x: Tensor, y: Tensor, train: int, valid: int) -> Pictures:
    """Three sets, less the mean and over the deviation of the first, by channel."""
    mean, spread = (f(x[:train], (0, 2, 3)).view(-1, 1, 1) for f in (torch.mean, torch.std))
    x, y = (x - mean) / spread, y.long()
    ends = [0, train, train + valid, len(x)]
    sets = [(x[a:b], y[a:b]) for a, b in pairwise(ends)]
    return Pictures(*sets)


@cache
def digits() -> Pictures:
    """The sizes of the demonstration of SDProp's authors."""
    return idx_pictures("mnist", 2000, 1000, 1000, border=2)


@cache
def more_digits() -> Pictures:
    """For the deep net."""
    return idx_pictures("mnist", 5000, 1000, 2000)


@cache
def clothes() -> Pictures:
    """Fashion-MNIST."""
    return idx_pictures("fashion-mnist", 5000, 1000, 2000)


@cache
def things() -> Pictures:
    """CIFAR-10's beginning."""
    path = data_folder() / "cifar10-subset" / "cifar10_train5000_test2000.npz"
    with np.load(path) as stored:
        x = np.concatenate([stored["x_train"], stored["x_test"]])
        y = np.concatenate([stored["y_train"], stored["y_test"]])
    return split(torch.from_numpy(x).float(), torch.from_numpy(y), 4000, 1000)


@cache
def short_text() -> Text:
    """Windows of 32 characters."""
    return Text(32)


@cache
def long_text() -> Text:
    """Windows of 64 characters."""
    return Text(64)


def demo_net() -> nn.Module:
    """That of the demonstration of SDProp's authors, for 32x32 pictures.

    Theirs has tanh before the maximum, which gives the same numbers and costs more.
    """
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.MaxPool2d(3), nn.Tanh(),
        nn.Conv2d(32, 64, 5), nn.MaxPool2d(2), nn.Tanh(),
        nn.Flatten(), nn.Linear(256, 200), nn.Tanh(), nn.Linear(200, 10),
    )  # fmt: skip


def clothes_net() -> nn.Module:
    """Two convolutions and a hidden layer."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def things_net() -> nn.Module:
    """Three convolutions, each normalised in groups of channels."""
    layers: list[nn.Module] = []
    for n, m in ((3, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(n, m, 3, padding=1), nn.GroupNorm(4, m), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10))


def deep_net() -> nn.Module:
    """20 layers of ReLU, 50 units wide, weights drawn by He's rule."""
    widths = [784, *[50] * 19, 10]
    layers: list[nn.Module] = [nn.Flatten()]
    for n, m in pairwise(widths):
        linear = nn.Linear(n, m)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class CharacterGRU(nn.Module):
    """Characters in, logits of the next ones out; each window begins with the state 0."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(65, 32)
        self.gru = nn.GRU(32, 64, batch_first=True)
        self.out = nn.Linear(64, 65)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of (texts, steps, characters)."""
        return self.out(self.gru(self.embedding(x))[0])


class Block(nn.Module):
    """Attention and two layers of GELU, each after a normalisation, each added."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.LayerNorm(width, bias=False) for _ in range(2))
        self.attention = nn.Linear(width, 3 * width, bias=False)
        self.mixed = nn.Linear(width, width, bias=False)
        self.wide = nn.Linear(width, 4 * width, bias=False)
        self.narrow = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        parts = self.attention(self.norm1(x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        heard = scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mixed(heard.transpose(1, 2).flatten(2))
        return x + self.narrow(nn.functional.gelu(self.wide(self.norm2(x))))


class NanoGPT(nn.Module):
    """GPT-2 without biases as nanoGPT draws it: deviation 0.02, less before a sum; tied output."""

    def __init__(self, kinds: int = 65, window: int = 64, width: int = 128, depth: int = 4):
        super().__init__()
        self.embedding = nn.Embedding(kinds, width)
        self.positions = nn.Embedding(window, width)
        self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                summed = name.endswith(("mixed.weight", "narrow.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * depth) if summed else 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of (texts, steps, characters)."""
        h = self.embedding(x) + self.positions.weight[: x.shape[1]]
        return self.norm(self.blocks(h)) @ self.embedding.weight.T


TASKS = {
    task.name: task
    for task in (
        Task("deep", "20 fully connected layers of ReLU, MNIST", deep_net, more_digits, 100, 500),
        Task("fashion", "a small CNN, Fashion-MNIST", clothes_net, clothes, 50, 400),
        Task("gru", "a character GRU, Tiny Shakespeare", CharacterGRU, short_text, 16, 400),
        Task("cifar", "a CNN with GroupNorm, CIFAR-10", things_net, things, 32, 400),
        Task("mnist-100", "the authors' CNN, batches of 100", demo_net, digits, 100, 200, False),
        Task("mnist-500", "the authors' CNN, batches of 500", demo_net, digits, 500, 40, False),
        Task("mnist-10", "the authors' CNN, batches of 10", demo_net, digits, 10, 2000, False),
        Task("nanogpt", "a fifth of nanoGPT's recipe for a CPU, Tiny Shakespeare", NanoGPT,
             long_text, 12, 400, clip=1.0, decay=1e-4, beta2=0.99, search_steps=100),
    )
}  # fmt: skip
