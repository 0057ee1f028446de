"""Data of the second protocol: training and validation examples of each source, in memory.

Files are read from ``$NAKAMI_DATA`` (else ``../shared/data``); what is generated is drawn from
generators with seeds of their own. Nothing here imports nakami.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from benchmarks.lr.tasks import data_folder
from torch import Tensor
from torch.nn import functional as F

KEPT_OUT = 1000  # examples of validation, where a source has no small set of its own


@dataclass(frozen=True)
class Data:
    """Inputs and targets, one entry an example; ``changed`` draws a batch's augmentation."""

    x: Tensor
    y: Tensor
    x_kept: Tensor
    y_kept: Tensor
    changed: Callable[[Tensor, torch.Generator], Tensor] | None = None


def pictures(name: str, side: int = 28) -> Data:
    """MNIST or Fashion-MNIST ``(n, 1, side, side)``, standardised; side 14 is pooled 2 x 2."""
    parts = []
    for split in ("train", "t10k"):
        file = f"{name}/{split}-images-idx3-ubyte.gz"
        pixels, labels = _idx(file, 16), _idx(file.replace("images-idx3", "labels-idx1"), 8)
        x = torch.from_numpy(pixels.reshape(-1, 1, 28, 28)).float() / 255
        parts += [F.avg_pool2d(x, 28 // side), torch.from_numpy(labels).long()]
    x, y, x_kept, y_kept = parts
    mean, sd = x.mean(), x.std()
    return Data((x - mean) / sd, y, (x_kept[:KEPT_OUT] - mean) / sd, y_kept[:KEPT_OUT])


def cifar() -> Data:
    """The CIFAR-10 subset ``(n, 3, 16, 16)``, pooled 2 x 2 and standardised."""
    with np.load(data_folder() / "cifar10-subset/cifar10_train5000_test2000.npz") as stored:
        read = {k: torch.from_numpy(stored[k]) for k in stored.files if k[0] in "xy"}
    x, x_kept = (
        F.avg_pool2d(read[f"x_{k}"].float().view(-1, 3, 32, 32) / 255, 2) for k in ("train", "test")
    )
    mean, sd = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x_kept = (x_kept[:KEPT_OUT] - mean) / sd
    return Data((x - mean) / sd, read["y_train"].long(), x_kept, read["y_test"].long()[:KEPT_OUT])


def flipped_and_moved(x: Tensor, g: torch.Generator) -> Tensor:
    """Each picture mirrored or not, and moved by up to two pixels each way."""
    mirrored = torch.rand(len(x), generator=g) < 0.5
    x = torch.where(mirrored.view(-1, 1, 1, 1), x.flip(-1), x)
    return moved(x, g)


def moved(x: Tensor, g: torch.Generator) -> Tensor:
    """Each picture moved by up to two pixels each way; zeros (the mean) come in."""
    side, padded = x.shape[-1], F.pad(x, (2, 2, 2, 2))
    down, across = torch.randint(5, (2, len(x)), generator=g)
    rows = down[:, None] + torch.arange(side)
    columns = across[:, None] + torch.arange(side)
    index = torch.arange(len(x))[:, None, None]
    return padded[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@cache
def speech() -> Data:
    """Spoken digits: log energies of 32 bands in 32 frames ``(n, 32, 32)`` (bands, frames)."""
    with np.load(data_folder() / "spoken-digits/fsdd.npz") as stored:
        audio, offsets = stored["audio"], stored["offsets"]
        labels, takes = stored["labels"], stored["takes"]
    window = torch.hann_window(256)
    made = []
    for begin, end in pairwise(offsets):
        sound = torch.from_numpy(audio[begin:end].astype(np.float32) / 32768)
        sound = F.pad(sound, (0, max(0, 31 * 128 + 256 - len(sound))))[: 31 * 128 + 256]
        power = torch.fft.rfft(sound.unfold(0, 256, 128) * window).abs().square()[:, 1:]
        made.append((power.view(32, 32, 4).mean(2) + 1e-6).log().T)
    x, y = torch.stack(made), torch.from_numpy(labels.astype(np.int64))
    kept = torch.from_numpy(takes < 5)
    mean, sd = x[~kept].mean(), x[~kept].std()
    x = (x - mean) / sd
    return Data(x[~kept], y[~kept], x[kept], y[kept])


def sentiment(length: int = 32) -> Data:
    """Sentences of SST that are not neutral, as words ``(n, length)``; 0 is padding, 1 unknown."""
    read = {}
    for split in ("train", "dev"):
        pairs = []
        for line in (data_folder() / f"sst/{split}.txt").read_text("utf-8").splitlines():
            label = int(line[1])
            if label != 2:
                words = [w.lower() for w in re.findall(r" ([^()\s]+)\)", line)]
                pairs.append((words[:length], int(label > 2)))
        read[split] = pairs
    counts = Counter(w for words, _ in read["train"] for w in words)
    known = {w: i + 2 for i, w in enumerate(sorted(w for w, n in counts.items() if n >= 3))}
    parts = []
    for split in ("train", "dev"):
        x = torch.zeros(len(read[split]), length, dtype=torch.long)
        for row, (words, _) in zip(x, read[split], strict=True):
            row[: len(words)] = torch.tensor([known.get(w, 1) for w in words])
        parts += [x, torch.tensor([label for _, label in read[split]])]
    return Data(*parts)


def characters(file: str, length: int, most: int = 1_000_000) -> Data:
    """Windows of text ``(n, length)`` as character numbers; targets one character later."""
    text = (data_folder() / file).read_text("utf-8")[:most]
    codes = {c: i for i, c in enumerate(sorted(set(text)))}
    numbers = torch.tensor([codes[c] for c in text], dtype=torch.uint8)
    cut = numbers[: (len(numbers) - 1) // length * length + 1].unfold(0, length + 1, length)
    cut = cut[torch.randperm(len(cut), generator=torch.Generator().manual_seed(0))]
    x, y = cut[:, :-1], cut[:, 1:]
    return Data(x[KEPT_OUT:], y[KEPT_OUT:], x[:KEPT_OUT], y[:KEPT_OUT])


def notes(length: int = 32) -> Data:
    """Nottingham: pieces of tunes ``(n, length, 88)``; targets one step later."""
    from scipy.io import loadmat

    rolls = loadmat(data_folder() / "polyphonic-music/Nottingham.mat")
    parts = []
    for split in ("traindata", "validdata"):
        cut = [
            piece[start : start + length + 1]
            for piece in rolls[split][0]
            for start in range(0, len(piece) - length, length)
        ]
        stacked = torch.from_numpy(np.stack(cut)).float()
        parts += [stacked[:, :-1], stacked[:, 1:]]
    x, y, x_kept, y_kept = parts
    return Data(x, y, x_kept[:KEPT_OUT], y_kept[:KEPT_OUT])


def friedman(n: int = 5000) -> Data:
    """Friedman's first function of ten uniform inputs, with noise of sd 1: mean 14, sd 5."""
    g = torch.Generator().manual_seed(1)
    x = torch.rand(n, 10, generator=g)
    y = 10 * (torch.pi * x[:, 0] * x[:, 1]).sin() + 20 * (x[:, 2] - 0.5) ** 2
    y = y + 10 * x[:, 3] + 5 * x[:, 4] + torch.randn(n, generator=g)
    return _split(x, y[:, None])


def waves(n: int = 5000) -> Data:
    """A wavy function of two inputs in units of its own: mean about 500, sd about 150."""
    g = torch.Generator().manual_seed(2)
    x = 4 * torch.rand(n, 2, generator=g) - 2
    y = 500 + 200 * (3 * x[:, 0]).sin() * (2 * x[:, 1]).cos() + 50 * x[:, 0]
    return _split(x, (y + 5 * torch.randn(n, generator=g))[:, None])


def rare(n: int = 20_000) -> Data:
    """Twenty columns of a table, some of other sizes, 5 % of a rare class by a small network."""
    g = torch.Generator().manual_seed(3)
    x = torch.randn(n, 20, generator=g)
    x[:, 15:] = (x[:, 15:] > 0.7).float()
    score = torch.tanh(x @ torch.randn(20, 8, generator=g) / 3) @ torch.randn(8, generator=g)
    score = score + 0.3 * torch.randn(n, generator=g)
    y = (score > score.quantile(0.95)).float()
    return _split(x * torch.logspace(-0.5, 0.5, 20), y[:, None])


def committee(n: int = 20_000) -> Data:
    """A teacher with three hidden units, of a hundred Gaussian inputs, and noise of sd 0.1."""
    g = torch.Generator().manual_seed(4)
    teacher = torch.linalg.qr(torch.randn(100, 3, generator=g)).Q
    x, noise = torch.randn(n, 100, generator=g), torch.randn(n, 1, generator=g)
    return _split(x, torch.erf(x @ teacher / 2**0.5).sum(1, keepdim=True) + 0.1 * noise)


def parity(n: int = 20_000) -> Data:
    """The product of three of twenty-four signs, 5 % of it wrong: training meets a plateau."""
    g = torch.Generator().manual_seed(5)
    x = torch.randint(2, (n, 24), generator=g).float() * 2 - 1
    wrong = torch.rand(n, 1, generator=g) < 0.05
    return _split(x, ((x[:, :3].prod(1, keepdim=True) > 0) ^ wrong).float())


def same(data: Data, flat: bool) -> Data:
    """Pictures 0..1 as inputs and targets."""
    low, high = data.x.min(), data.x.max()
    x, x_kept = ((part - low) / (high - low) for part in (data.x, data.x_kept))
    if flat:
        x, x_kept = x.flatten(1), x_kept.flatten(1)
    return Data(x, x, x_kept, x_kept)


def noisy(x: Tensor, g: torch.Generator) -> Tensor:
    """With Gaussian noise of sd 0.3."""
    return x + 0.3 * torch.randn(x.shape, generator=g)


def _split(x: Tensor, y: Tensor) -> Data:
    return Data(x[KEPT_OUT:], y[KEPT_OUT:], x[:KEPT_OUT], y[:KEPT_OUT])


def _idx(file: str, header: int) -> np.ndarray:
    packed = (Path(data_folder()) / file).read_bytes()
    return np.frombuffer(bytearray(gzip.decompress(packed)), np.uint8, offset=header)
