"""A deep Boltzmann machine on digits, before and after fine-tuning.

Two hidden layers of 500 units: machines that learn one on the other with doubled inputs, then all
weights together by mean field and persistent chains, then back-propagation through the network that
goes on from the mean field. Its figures are a lower bound on the log-probability of test digits and
the test error.

Origin: Salakhutdinov & Hinton, "Deep Boltzmann machines", AISTATS 2009.

Deliberate differences: 500 units in both layers (the paper: 500 and 1,000), the shipped sample of
the digits, plain momentum in place of conjugate gradients.

Published: 784-500-1,000 on all of MNIST, bound -84.62 nats a test digit, 0.95 % test error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn

from nakami import sampling
from nakami.data import Examples
from nakami.training import ContrastiveDivergence, Falling, MeanFieldLearning, Training
from nakami.zoo.dbm import DBM, doublings
from nakami.zoo.rbm import RBM

from ..results import Picture, counted, wrong
from ._examples import classes, digits_from
from ._facts import drawn_pixels, fingerprint, likelihood_facts
from ._pictures import filters, gallery
from ._settings import POSITIVE, Bounds
from ._stacked import StackedSettings, finetuned, pixels_of_digits, stacked, stages
from ._stacked import epochs as stacked_epochs
from ._subject import Network, Recipe
from .rbm_digits import samples_of

CHAINS, SWEEPS = 100, 5  # of the persistent chains: their number, and sweeps for each update


@dataclass(frozen=True)
class DBMSettings(StackedSettings):
    """As ``StackedSettings``; each machine by CD-1 with doubled inputs.

    Attributes:
        hidden: Units of each hidden layer, two at least.
        joint_epochs: Passes of all layers together, by mean field and persistent chains.
        joint_rate: Learning rate of these at first; it falls linearly to 0.
        temperatures: Steps of annealed importance sampling, 100 runs, for the bound.
    """

    hidden: Annotated[tuple[int, ...], Bounds(1, entries=2)] = (500, 500)
    pretrain_rate: Annotated[float, POSITIVE] = 0.05
    finetune_epochs: int = 15
    joint_epochs: int = 10
    joint_rate: Annotated[float, POSITIVE] = 0.01
    temperatures: Annotated[int, Bounds(1)] = 2000


def untrained(settings: DBMSettings) -> nn.Module:
    """The classifier with first weights."""
    return DBM((pixels_of_digits(), *settings.hidden)).classifier().eval()


def epochs(settings: DBMSettings) -> Mapping[str, int]:
    """One phase for each layer, all together, then back-propagation.

    Raises:
        UsageError: Fewer than two hidden layers.
    """
    if len(settings.hidden) < 2:
        ways = ["write hidden = [500, 500]", "train rbm-digits, which has one layer"]
        raise wrong("setting hidden", "name two layers or more", list(settings.hidden), ways)
    each = dict(stacked_epochs(settings))
    last = each.popitem()
    return {**each, "together": settings.joint_epochs, **dict([last])}


def train(
    training: Training, train: Examples, test: Examples, settings: DBMSettings
) -> tuple[Network, Network]:
    """Both networks, trained or read back."""
    pixels = drawn_pixels(train, training.generator("training pixels"))
    tested = drawn_pixels(test, training.generator("test pixels"))
    machine = pretrained(training, pixels, settings)
    descent = torch.optim.SGD(machine.parameters(), settings.joint_rate)
    method = MeanFieldLearning(machine, descent, sampler=sampling.Persistent(CHAINS, SWEEPS))
    falling = Falling(method, settings.joint_epochs)
    training.run("together", falling, lambda: (pixels,), batch=settings.batch)
    found = training.kept(
        "bound",
        lambda: likelihood_facts(
            lambda data, **how: sampling.likelihood_bound(machine, data, **how),
            {"test": tested, "training": pixels[: len(tested)]},
            test.noun,
            "log-likelihood, lower bound",
            temperatures=settings.temperatures,
        ),
        of=str(fingerprint(test)["sha256"]),
    )
    output = training.generator("output")
    start = machine.classifier(classes(train), generator=output).eval()
    before = (
        f"{len(settings.hidden)} machines with doubled inputs, one on the other, "
        f"{counted(settings.pretrain_epochs, 'epoch')} each at rate {settings.pretrain_rate}, then "
        f"{counted(settings.joint_epochs, 'epoch')} of all together at rate "
        f"{settings.joint_rate} falling to 0 on the {train.source}; output layer random"
    )
    return finetuned(training, start, before, (train, test), settings, machine, found)


def pretrained(training: Training, pixels: Tensor, settings: DBMSettings) -> DBM:
    """The machine of layers that learned one on the other: one phase for each."""
    sizes, first = (pixels.shape[1], *settings.hidden), training.generator("first weights")
    rbms = [RBM(n, m, generator=first) for n, m in pairwise(sizes)]
    factors = doublings(len(rbms))
    pairs = {id(rbm): pair for rbm, pair in zip(rbms, factors, strict=True)}

    def learner(rbm: nn.Module) -> ContrastiveDivergence:
        assert isinstance(rbm, RBM)
        return ContrastiveDivergence(rbm, rate=settings.pretrain_rate, factors=pairs[id(rbm)])

    stacked(training, pixels, rbms, learner, settings.batch, [up for up, _ in factors])
    return DBM.from_rbms(rbms)


@torch.no_grad()
def pictures(
    networks: Sequence[Network], test: Examples, settings: DBMSettings, generator: torch.Generator
) -> list[Picture]:
    """Filters of the lowest layer, and samples of long chains of the machine."""
    machine = networks[0].origin
    assert isinstance(machine, DBM)
    given = machine.undirected_means(test.inputs.flatten(1))
    caption, samples = samples_of(machine, given, generator)
    return [
        *filters(machine.weights[0], test),
        *gallery("Samples of the machine", caption, samples[:, : machine.visible_units], test),
    ]


ENTRY = Recipe(
    settings=DBMSettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    dtype=torch.float64,
    in_unit=True,
    pictures=pictures,
)
