"""Tasks of the second protocol: model, loss and batches from ``protocol.toml`` and a seed.

Nothing here imports nakami or touches the global random state of torch.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from benchmarks.lr import tasks as lr
from benchmarks.lr.tasks import data_folder
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from . import data as d
from . import models as m

PROTOCOL: dict[str, Any] = tomllib.loads(Path(__file__).with_name("protocol.toml").read_text())
RUN: dict[str, Any] = PROTOCOL["run"]
TASKS: tuple[str, ...] = tuple(PROTOCOL["task"])
OPTIMIZERS: tuple[str, ...] = tuple(PROTOCOL["optimizer"])
HORIZONS: tuple[str, ...] = tuple(PROTOCOL["horizon"])
Batch = tuple[Tensor, Tensor]
optimizer = partial(lr.optimizer, protocol=PROTOCOL)


def augmented(data: d.Data, how: Callable[[Tensor, torch.Generator], Tensor]) -> d.Data:
    return d.Data(data.x, data.y, data.x_kept, data.y_kept, how)


def ages(data: d.Data) -> d.Data:
    """A number of each digit in units of its own: ten times the digit, and its ink."""
    y, y_kept = (
        10.0 * label.float()[:, None] + 20 * x.flatten(1).mean(1, keepdim=True)
        for x, label in ((data.x, data.y), (data.x_kept, data.y_kept))
    )
    return d.Data(data.x, y, data.x_kept, y_kept)


DATA: dict[str, Callable[[], d.Data]] = {
    "friedman": d.friedman,
    "waves": d.waves,
    "rare": d.rare,
    "committee": d.committee,
    "parity": d.parity,
    "sentiment": d.sentiment,
    "speech": d.speech,
    "cifar": d.cifar,
    "cifar, augmented": lambda: augmented(d.cifar(), d.flipped_and_moved),
    "mnist": partial(d.pictures, "mnist"),
    "mnist, small": partial(d.pictures, "mnist", 14),
    "mnist, augmented": lambda: augmented(d.pictures("mnist", 14), d.moved),
    "mnist, ages": lambda: ages(d.pictures("mnist", 14)),
    "mnist, itself": lambda: d.same(d.pictures("mnist"), flat=True),
    "fashion": partial(d.pictures, "fashion-mnist"),
    "fashion, small": partial(d.pictures, "fashion-mnist", 14),
    "fashion, noisy": lambda: augmented(
        d.same(d.pictures("fashion-mnist", 14), flat=False), d.noisy
    ),
    "nottingham": d.notes,
    "shakespeare": partial(d.characters, "tinyshakespeare/input.txt", 32),
    "penn": partial(d.characters, "ptb/ptb.train.txt", 32),
    "wiki": partial(d.characters, "wiki-text/enwiki_clean.txt", 32),
}


def vit_fashion() -> nn.Module:
    """The trained ViT of the data folder with a new head."""
    model = m.Patches(1, 28, 4, 64, 4)
    stored = load_file(data_folder() / "transformer-weights/vit_fashion.safetensors")
    model.load_state_dict({k: v for k, v in stored.items() if "head" not in k}, strict=False)
    return model


def cnn_mnist() -> nn.Module:
    """A CNN with batch norm after 600 steps on small digits, with a new head."""
    model = m.small_cnn(1, norm=True)
    model.load_state_dict(_body())
    model[-1].reset_parameters()
    return model


@cache
def _body() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000)
        model, digits = m.small_cnn(1, norm=True), _data("mnist, small")
        steps = torch.optim.AdamW(model.parameters(), lr=2e-3)
        for which in torch.randint(len(digits.x), (600, 32)):
            steps.zero_grad()
            F.cross_entropy(model(digits.x[which]), digits.y[which]).backward()
            steps.step()
    return model.state_dict()


MODELS: dict[str, Callable[[], nn.Module]] = {
    "dense 10-64-64-1": lambda: m.dense(10, 64, 64, 1),
    "dense 2-64-64-1, tanh": lambda: m.dense(2, 64, 64, 1, act=nn.Tanh),
    "dense 20-64-64-1, layer norm": lambda: m.dense(20, 64, 64, 1, norm=True),
    "dense 24-128-1": lambda: m.dense(24, 128, 1),
    "dense 784-200-200-10, dropout": lambda: m.dense(784, 200, 200, 10, drop=0.3),
    "autoencoder 784-128-16-128-784": lambda: m.dense(784, 128, 16, 128, 784),
    "committee": m.Committee,
    "bag of words": lambda: m.Words(_words(), 64, layers=0),
    "word transformer": lambda: m.Words(_words(), 32, layers=1),
    "speech cnn": lambda: m.Frames(False),
    "speech gru": lambda: m.Frames(True),
    "cnn, batch norm": lambda: m.small_cnn(3, norm=True),
    "cnn, dropout": lambda: m.small_cnn(3, norm=False, drop=0.4),
    "cnn of digits": cnn_mnist,
    "resnet": m.resnet,
    "denoiser": m.denoiser,
    "number cnn": m.scalar_cnn,
    "vit of digits": lambda: m.Patches(1, 28, 7, 32, 2),
    "vit of colours": lambda: m.Patches(3, 16, 4, 48, 2),
    "vit of fashion": vit_fashion,
    "gru of notes": lambda: m.Recurrent("GRU", 88, 64, 88),
    "lstm of characters": lambda: m.Recurrent(
        "LSTM", 24, 64, _symbols("penn"), symbols=_symbols("penn")
    ),
    "transformer of shakespeare": lambda: m.Characters(_symbols("shakespeare"), 32, 2, 32),
    "transformer of wiki": lambda: m.Characters(_symbols("wiki"), 48, 1, 32),
}


@cache
def _data(name: str) -> d.Data:
    return DATA[name]()


def _words() -> int:
    return int(_data("sentiment").x.max()) + 1


def _symbols(name: str) -> int:
    found = _data(name)
    return int(max(found.x.max(), found.y.max(), found.x_kept.max(), found.y_kept.max())) + 1


@dataclass(frozen=True)
class Task:
    """One model with its data, loss and batches.

    Attributes:
        name: Key in ``protocol.toml``. settings: its table there.
    """

    name: str
    settings: dict[str, Any]

    @property
    def data(self) -> d.Data:
        """Read once."""
        return _data(self.settings["data"])

    def model(self, seed: int) -> nn.Module:
        """The network in train mode at the initial weights of this seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(RUN["weights_seed"] + seed)
            return MODELS[self.settings["model"]]().train()

    def loss(self) -> nn.Module:
        """The loss of torch, reduction "mean"."""
        made: nn.Module = getattr(nn, self.settings["loss"])()
        return made

    def batches(self, seed: int, order: str = "order") -> Iterator[Batch]:
        """Endless batches ``(x, y)``, each epoch in a new order, augmented where the data say so.

        Args:
            seed: Of the protocol.
            order: ``"order"`` for training, ``"advice"`` for what an advice may read.
        """
        data, size = self.data, self.settings["batch"]
        g = torch.Generator().manual_seed(RUN[f"{order}_seed"] + seed)
        while True:
            for which in torch.randperm(len(data.x), generator=g).split(size):
                if len(which) == size:
                    x, y = data.x[which], self._target(data.y[which])
                    yield (data.changed(x, g) if data.changed else x), y

    @torch.no_grad()
    def validation(self, model: nn.Module) -> float:
        """Mean loss over the examples kept out, in eval mode; the mode is put back."""
        model.eval()
        loss, total, data = self.loss(), 0.0, self.data
        for x, y in zip(data.x_kept.split(250), data.y_kept.split(250), strict=True):
            total += float(loss(model(x), self._target(y))) * len(x)
        model.train()
        return total / len(data.x_kept)

    @property
    def constant(self) -> float:
        """Loss of the best prediction that does not look at the input, on the training data.

        Class frequencies for cross-entropy (of all positions), the rate of ones of each output for
        the logistic loss, the mean of each output for squares.
        """
        y = self._target(self.data.y)
        if self.settings["loss"] == "CrossEntropyLoss":
            p = torch.bincount(y.flatten()).double() / y.numel()
            return float(torch.special.entr(p).sum())
        y = y.double().flatten(0, 1) if y.ndim == 3 else y.double()
        mean = y.mean(0, keepdim=True)
        if self.settings["loss"] == "MSELoss":
            return float((y - mean).square().mean())
        return float((torch.special.entr(mean) + torch.special.entr(1 - mean)).mean())

    def _target(self, y: Tensor) -> Tensor:
        return y.long() if self.settings["loss"] == "CrossEntropyLoss" else y


def task(name: str) -> Task:
    """The task of this name."""
    return Task(name, PROTOCOL["task"][name])


def factor(horizon: str, step: int) -> float:
    """What the rate is multiplied by at a step, counted from 0."""
    of = PROTOCOL["horizon"][horizon]
    if of["schedule"] == "constant":
        return 1.0
    warm = of["warmup"]
    return min(1.0, (step + 1) / warm) * (1 + cos(pi * step / of["steps"])) / 2


def missing(name: str) -> str:
    """What the data folder lacks for a task, in words; empty where everything is there."""
    lacking = [
        f for f in PROTOCOL["task"][name].get("files", []) if not (data_folder() / f).exists()
    ]
    return f"no {', '.join(lacking)} in {data_folder()}; set NAKAMI_DATA" if lacking else ""
