"""The twelve cases of ``[unknown]`` of the second protocol, where nothing is to be gained."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from . import data as d
from .sweep import RESULTS, RUN, Case, Update, rate, train
from .tasks import PROTOCOL, Batch, Task, optimizer, task

CASES: tuple[str, ...] = tuple(PROTOCOL["unknown"]["cases"])
WEIGHTS = Path(__file__).resolve().parent / ".trained"
LONG = "6000-cosine"
DEAD = -100.0


@dataclass(frozen=True)
class Labels(Task):
    """All targets of the task in a random order, another for each batch."""

    def batches(self, seed: int, order: str = "order") -> Iterator[Batch]:
        """As the task's, with other targets, whose order has a generator of its own."""
        g, targets = torch.Generator().manual_seed(RUN[f"{order}_seed"] + seed), self.data.y
        for x, _ in super().batches(seed, order):
            yield x, self._target(targets[torch.randperm(len(targets), generator=g)[: len(x)]])


@dataclass(frozen=True)
class Trained(Task):
    """Begins at the weights after the long training, at the grid's best rate."""

    weights: Path = WEIGHTS
    folder: Path = RESULTS

    def model(self, seed: int) -> nn.Module:
        """The trained network; it is trained where its file is not there."""
        place = Case(self.name, "adamw", self.folder).best(LONG)
        if place is None:
            raise ValueError(f"the grid of {self.name}, adamw, {LONG} has no best rate.")
        path = self.weights / f"{self.name}.{place}.{seed}.safetensors"
        model = super().model(seed)
        if not path.exists():
            self.weights.mkdir(parents=True, exist_ok=True)
            save_file(after_training(task(self.name), seed, rate(place)), path)
        model.load_state_dict(load_file(path))
        return model


def after_training(which: Task, seed: int, peak: float) -> dict[str, torch.Tensor]:
    """Weights after 6000 steps of AdamW by cosine."""
    kept: list[nn.Module] = []

    def own(which: Task, model: nn.Module, seed: int) -> Update:
        kept.append(model)
        return Update(optimizer("adamw", model, peak), peak)

    train(which, "adamw", seed, peak, LONG, own)
    return kept[0].state_dict()


@dataclass(frozen=True)
class Dead(Task):
    """The bias before every ReLU is -100, so that it gives 0."""

    def model(self, seed: int) -> nn.Module:
        """The network with these biases."""
        model = super().model(seed)
        for before, after in itertools.pairwise(model.children()):
            if isinstance(after, nn.ReLU):
                assert isinstance(before, nn.Linear)
                nn.init.constant_(before.bias, DEAD)
        return model


@dataclass(frozen=True)
class Zero(Task):
    """All inputs are 0."""

    @property
    def data(self) -> d.Data:
        """As the task's, without inputs."""
        own = super().data
        return replace(own, x=torch.zeros_like(own.x), x_kept=torch.zeros_like(own.x_kept))


@dataclass(frozen=True)
class Parity(Task):
    """The class is the product of all signs, without errors."""

    @property
    def data(self) -> d.Data:
        """As the task's, with these classes."""
        own = super().data
        return replace(own, y=_product(own.x), y_kept=_product(own.x_kept))


def _product(signs: torch.Tensor) -> torch.Tensor:
    return (signs.prod(1, keepdim=True) > 0).float()


KINDS: dict[str, type[Task]] = {
    "labels": Labels, "trained": Trained, "dead": Dead, "zero": Zero, "parity-24": Parity,
}  # fmt: skip


def made(case: str, weights: Path = WEIGHTS) -> Task:
    """A case of the protocol, or a development task as it is."""
    kind, _, name = case.rpartition(": ")
    which = KINDS[kind](name, PROTOCOL["task"][name]) if kind else task(case)
    return replace(which, weights=weights) if isinstance(which, Trained) else which
