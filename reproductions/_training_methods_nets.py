"""One architecture trained in seven ways, for ``training_methods.py``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.recipes._stacked import stacked
from nakami.training import (
    Autoencoding,
    ContrastiveDivergence,
    Masking,
    MeanFieldLearning,
    Supervised,
    Training,
)
from nakami.zoo._stack import classifier_of
from nakami.zoo.autoencoder import Autoencoder
from nakami.zoo.dbm import DBM, doublings
from nakami.zoo.rbm import RBM

METHODS = ("plain", "dropout", "ae", "sdae", "cae", "dbn", "dbm")
BATCH = 100
LEARNED = METHODS[2:]  # those with layers learned without labels


@dataclass(frozen=True)
class Plan:
    """All that was decided beforehand.

    Attributes:
        seeds: One training of each method each. train: First training digits.
        hidden: Sigmoid units of each layer. layer_epochs: Of each layer without labels.
        tune_epochs: With labels, at ``rate`` with momentum 0.9, batches of 100.
        coder_rate: Of the three kinds of autoencoders. machine_rate: of the RBMs (CD-1).
        joint_rate: Of the DBM's mean-field learning, ``layer_epochs`` again.
        images: First test digits, for spectra. probed: training digits of the linear probes.
        curved: First test digits, turned and shifted. pairs: of test digits of one class, mixed.
        curvature: First test digits, for the Fisher matrix.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    train: int = 10_000
    hidden: tuple[int, ...] = (500, 500, 500)
    layer_epochs: int = 15
    tune_epochs: int = 30
    rate: float = 0.1
    coder_rate: float = 0.01
    machine_rate: float = 0.1
    joint_rate: float = 0.005
    noise: float = 0.25
    contraction: float = 0.1
    images: int = 16
    probed: int = 5000
    curved: int = 64
    pairs: int = 200
    curvature: int = 500


FULL = Plan()
TINY = Plan(
    (0, 1, 2), 1000, (60, 60, 60), 2, 2, images=2, probed=300, curved=4, pairs=10, curvature=50
)


@dataclass
class Trained:
    """A network, and what carries a hidden layer down by one, from the bottom up; () where none."""

    model: nn.Sequential
    down: Sequence[Callable[[Tensor], Tensor]] = ()


def trained(plan: Plan, method: str, seed: int, digits: Examples, folder: Path) -> list[Trained]:
    """The network before labels are seen, and after; read back where it was trained."""
    epochs = {}
    if method in LEARNED:
        epochs = {f"layer{i + 1}": plan.layer_epochs for i in range(len(plan.hidden))}
    if method == "dbm":
        epochs["together"] = plan.layer_epochs
    epochs["finetuned"] = plan.tune_epochs
    training = Training(folder, {**asdict(plan), "method": method, "seed": seed}, epochs)
    start = _begun(plan, method, training, digits.inputs.flatten(1))
    tuned = copy.deepcopy(start.model)
    learner = Supervised(
        _dropping(tuned) if method == "dropout" else tuned,
        torch.optim.SGD(tuned.parameters(), plan.rate, 0.9),
    )
    torch.manual_seed(seed)  # dropout draws from there
    training.run("finetuned", learner, lambda: (digits.inputs, digits.labels))
    training.finish()
    return [start, Trained(tuned.eval())]


def _begun(plan: Plan, method: str, training: Training, pixels: Tensor) -> Trained:
    """Before labels: layers learned one on the other, or at random."""
    sizes, generator = (pixels.shape[1], *plan.hidden), training.generator("first weights")
    top = training.generator("output")
    if method not in LEARNED:
        layers = [_at_random(n, m, generator) for n, m in pairwise(sizes)]
        return Trained(classifier_of(layers, generator=top).eval())
    if method in ("dbn", "dbm"):
        factors = doublings(len(plan.hidden)) if method == "dbm" else [(1, 1)] * len(plan.hidden)
        rbms = [RBM(n, m, generator=generator) for n, m in pairwise(sizes)]
        learners = {
            r: ContrastiveDivergence(r, rate=plan.machine_rate, factors=f)
            for r, f in zip(rbms, factors, strict=True)
        }
        ups = [up for up, _ in factors]
        stacked(training, pixels, rbms, learners.__getitem__, BATCH, ups)
        if method == "dbn":
            return Trained(classifier_of(rbms, generator=top).eval(), [r.visible for r in rbms])
        return _together(plan, training, pixels, DBM.from_rbms(rbms), top)
    coders = [Autoencoder(n, m, generator=generator) for n, m in pairwise(sizes)]
    how: dict[str, Any] = {
        "ae": {},
        "sdae": {"corruption": Masking(plan.noise)},
        "cae": {"contraction": plan.contraction},
    }[method]
    coding = {
        c: Autoencoding(c, torch.optim.SGD(c.parameters(), plan.coder_rate), **how) for c in coders
    }
    stacked(training, pixels, coders, coding.__getitem__, BATCH)
    down = [lambda h, c=c: torch.sigmoid(c.decoded(h)) for c in coders]
    return Trained(classifier_of(coders, generator=top).eval(), down)


def _together(
    plan: Plan, training: Training, pixels: Tensor, machine: DBM, top: torch.Generator
) -> Trained:
    """All layers of the machine at once, then one pass upwards with doubled inputs as network."""
    descent = torch.optim.SGD(machine.parameters(), plan.joint_rate)
    training.run("together", MeanFieldLearning(machine, descent), lambda: (pixels,))
    up = [
        SimpleNamespace(weight=factor * w.detach(), hidden_bias=b.detach())
        for (factor, _), w, b in zip(
            doublings(len(plan.hidden)), machine.weights, list(machine.biases)[1:], strict=True
        )
    ]
    down = [
        lambda h, i=i: torch.sigmoid(machine.biases[i] + (1 + (i > 0)) * (h @ machine.weights[i]))
        for i in range(len(plan.hidden))
    ]
    return Trained(classifier_of(up, generator=top).eval(), down)


def _at_random(below: int, units: int, generator: torch.Generator) -> Any:
    """Weights as Glorot and Bengio (2010) draw them for logistic units."""
    reach = 4 * (6 / (below + units)) ** 0.5
    weight = torch.empty(units, below).uniform_(-reach, reach, generator=generator)
    return SimpleNamespace(weight=weight, hidden_bias=torch.zeros(units))


def _dropping(model: nn.Sequential) -> nn.Sequential:
    """The same layers, with a fifth of the inputs and half of the hidden units dropped."""
    parts: list[nn.Module] = []
    for name, part in model.named_children():
        parts.append(part)
        if name == "flatten" or name.startswith("hidden"):
            parts.append(nn.Dropout(0.2 if name == "flatten" else 0.5))
    return nn.Sequential(*parts)
