"""Tasks of the learning-rate protocol: model, loss and batches from ``protocol.toml`` and a seed.

``task(name)`` gives a ``Task``; its examples are read from ``$NAKAMI_DATA`` (else
``../shared/data``) when the first batch is asked for. Nothing here imports nakami or touches the
global random state of torch.
"""

from __future__ import annotations

import gzip
import os
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .models import MODELS

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL: dict[str, Any] = tomllib.loads(Path(__file__).with_name("protocol.toml").read_text())
TASKS: tuple[str, ...] = tuple(PROTOCOL["task"])
OPTIMIZERS: tuple[str, ...] = tuple(PROTOCOL["optimizer"])
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Examples:
    """What a task is trained on, kept as it was read.

    Attributes:
        arrays: Tensors with one entry an example. prepare: makes ``(input, target)`` of a batch.
    """

    arrays: tuple[Tensor, ...]
    prepare: Callable[..., Batch]

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, which: Tensor) -> Batch:
        return self.prepare(*(array[which] for array in self.arrays))


@dataclass(frozen=True)
class Task:
    """One model with its data, loss and batches.

    Attributes:
        name: Key in ``protocol.toml``. settings: Its table there.
        given: Examples to use in place of the data folder's; for tests.
    """

    name: str
    settings: dict[str, Any]
    given: Examples | None = None

    @property
    def examples(self) -> Examples:
        """What it is trained on; read once."""
        return self.given or _examples(self.settings["data"])

    def model(self, seed: int) -> nn.Module:
        """The network in train mode, at the initial weights of this seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(PROTOCOL["run"]["weights_seed"] + seed)
            return MODELS[self.settings["model"]]().train()

    def loss(self) -> nn.Module:
        """The loss module of torch, reduction "mean"; ``loss(model(x), y)`` is a scalar."""
        made: nn.Module = getattr(nn, self.settings["loss"])()
        return made

    def batches(self, seed: int, order: str = "order") -> Iterator[Batch]:
        """Endless batches ``(x, y)``, each epoch in a new order.

        Args:
            seed: Of the protocol.
            order: ``"order"`` for training, ``"advice"`` for what an advice may read.
        """
        examples, size = self.examples, self.settings["batch"]
        g = torch.Generator().manual_seed(PROTOCOL["run"][f"{order}_seed"] + seed)
        while True:
            for which in torch.randperm(len(examples), generator=g).split(size):
                if len(which) == size:
                    yield examples[which]

    def rates(self, optimizer: str) -> np.ndarray:
        """The grid of this case, ascending, ``(13,)``."""
        run = PROTOCOL["run"]
        thirds = np.arange(run["rates"]) / run["rates_per_decade"]
        return self.settings["first_rate"][optimizer] * 10**thirds


def task(name: str, given: Examples | None = None) -> Task:
    """The task of this name; ``given`` replaces its data."""
    return Task(name, PROTOCOL["task"][name], given)


def optimizer(
    name: str, model: nn.Module, rate: float, protocol: dict[str, Any] = PROTOCOL
) -> torch.optim.Optimizer:
    """An optimizer of a protocol on all parameters of a model."""
    settings = protocol["optimizer"][name]
    return getattr(torch.optim, settings["name"])(
        model.parameters(), lr=float(rate), **settings["settings"]
    )


def data_folder() -> Path:
    """``$NAKAMI_DATA``, else ``../shared/data``, from the root of the repository."""
    return (ROOT / os.environ.get("NAKAMI_DATA", "../shared/data")).resolve()


def missing(name: str) -> str:
    """What the data folder lacks for a task, in words; empty where everything is there."""
    folder, files = data_folder(), PROTOCOL["data"][PROTOCOL["task"][name]["data"]]["files"]
    lacking = [file for file in files if not (folder / file).exists()]
    if not lacking:
        return ""
    return f"no {', '.join(lacking)} in {folder}; set NAKAMI_DATA to a folder that has them"


@cache
def _examples(name: str) -> Examples:
    settings = PROTOCOL["data"][name]
    files = [data_folder() / file for file in settings["files"]]
    made = _READERS[settings["kind"]](settings, *files)
    if len(made) != settings["examples"]:
        raise ValueError(f"{name} has {len(made)} examples, the protocol {settings['examples']}")
    return made


def pictures(settings: dict[str, Any], pixels: np.ndarray, labels: np.ndarray | None) -> Examples:
    """Pictures ``(n, channels, rows, columns)`` of bytes; without labels they are the target."""
    mean, std = (torch.tensor(settings[key]).view(-1, 1, 1) for key in ("mean", "std"))

    def prepare(x: Tensor, y: Tensor | None = None) -> Batch:
        x = (x.float() / 255 - mean) / std
        return (x, x.flatten(1)) if y is None else (x, y.long())

    arrays = (pixels,) if labels is None else (pixels, labels)
    return Examples(tuple(torch.from_numpy(array) for array in arrays), prepare)


def windows(pieces: list[np.ndarray], length: int) -> Examples:
    """Windows of ``length + 1`` steps, cut every ``length``; the target is one step later."""
    cut = [
        piece[start : start + length + 1]
        for piece in pieces
        for start in range(0, len(piece) - length, length)
    ]
    kind = torch.long if cut[0].ndim == 1 else torch.float32

    def prepare(window: Tensor) -> Batch:
        return window[:, :-1].to(kind), window[:, 1:].to(kind)

    return Examples((torch.from_numpy(np.stack(cut)),), prepare)


def _idx(settings: dict[str, Any], images: Path, labels: Path | None = None) -> Examples:
    pixels = np.frombuffer(bytearray(gzip.decompress(images.read_bytes())), np.uint8, offset=16)
    numbers = labels and np.frombuffer(
        bytearray(gzip.decompress(labels.read_bytes())), np.uint8, offset=8
    )
    return pictures(settings, pixels.reshape(-1, 1, 28, 28), numbers)


def _npz(settings: dict[str, Any], path: Path) -> Examples:
    with np.load(path) as stored:
        return pictures(settings, stored["x_train"], stored["y_train"])


def _piano(settings: dict[str, Any], path: Path) -> Examples:
    from scipy.io import loadmat

    return windows(list(loadmat(path)["traindata"][0]), settings["length"])


def _text(settings: dict[str, Any], path: Path) -> Examples:
    text = path.read_text()
    codes = {character: code for code, character in enumerate(sorted(set(text)))}
    numbers = np.array([codes[c] for c in text[: settings["characters"]]], np.uint8)
    return windows([numbers], settings["length"])


_READERS: dict[str, Callable[..., Examples]] = {
    "idx": _idx,
    "npz": _npz,
    "piano": _piano,
    "text": _text,
}
