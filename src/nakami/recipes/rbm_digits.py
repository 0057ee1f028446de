"""A restricted Boltzmann machine on digits, judged by its likelihood.

500 hidden units, pixels drawn once with their grey values as probabilities. Chains of the machine
itself (persistent contrastive divergence), or chains from the data (CD-k). Its figure is the mean
log-probability of test digits, the partition function by annealed importance sampling.

Origin: Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood
gradient", ICML 2008; Salakhutdinov & Murray, "On the quantitative analysis of deep belief
networks", ICML 2008.

Published: CD-25 with 500 hidden units on all of MNIST, -86.34 nats a test digit (quoted by others).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from nakami import sampling
from nakami.data import Examples
from nakami.training import ContrastiveDivergence, Falling, Training
from nakami.zoo.rbm import RBM

from ..results import Picture, counted
from ._examples import digits_from
from ._facts import drawn_pixels, fingerprint, likelihood_facts
from ._pictures import COLUMNS, filters, gallery, rows_of
from ._settings import POSITIVE, Bounds
from ._stacked import pixels_of_digits
from ._subject import Network, Recipe

SAMPLES, STEPS = 40, 1000


@dataclass(frozen=True)
class RBMSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        hidden: Number of hidden units.
        chains: Where the chains of the negative phase begin: persistent (they go on from update to
            update, as many as examples of an update) or data (CD-k).
        k: Gibbs steps of a chain for each update.
        epochs: Passes over the data.
        rate: Learning rate at first; it falls linearly to 0.
        momentum: Share of the last update that is repeated.
        decay: Weight decay.
        batch: Examples of one update.
        temperatures: Steps of annealed importance sampling, 100 runs, for the likelihood.
    """

    hidden: Annotated[int, Bounds(1)] = 500
    chains: Literal["persistent", "data"] = "persistent"
    k: Annotated[int, Bounds(1)] = 1
    epochs: int = 100
    rate: Annotated[float, POSITIVE] = 0.05
    momentum: Annotated[float, Bounds(0, 1, without=(1,))] = 0.5
    decay: float = 2e-3
    batch: Annotated[int, Bounds(1)] = 100
    temperatures: Annotated[int, Bounds(1)] = 5000


def untrained(settings: RBMSettings) -> nn.Sequential:
    """The machine with first weights."""
    return _network(RBM(pixels_of_digits(), settings.hidden))


def epochs(settings: RBMSettings) -> Mapping[str, int]:
    """One phase."""
    return {"trained": settings.epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: RBMSettings
) -> list[Network]:
    """The machine, trained or read back."""
    pixels = drawn_pixels(train, training.generator("training pixels"))
    tested = drawn_pixels(test, training.generator("test pixels"))
    first = training.generator("first weights")
    rbm = RBM(pixels.shape[1], settings.hidden, generator=first)
    training.run("trained", learner(rbm, settings), lambda: (pixels,), batch=settings.batch)
    found = training.kept(
        "likelihood",
        lambda: likelihood_facts(
            lambda data, **how: sampling.log_likelihood(rbm, data, **how),
            {"test": tested, "training": pixels[: len(tested)]},
            base=sampling.log_odds(pixels),
            temperatures=settings.temperatures,
            noun=test.noun,
        ),
        of=str(fingerprint(test)["sha256"]),
    )
    chains = "persistent chains" if settings.chains == "persistent" else "chains from the data"
    said = (
        f"{chains} of {counted(settings.k, 'Gibbs step')}, {counted(settings.epochs, 'epoch')} at "
        f"rate {settings.rate} falling to 0 on the {train.source}, pixels drawn once"
    )
    return [Network("trained", _network(rbm), said, list(found), rbm)]


def learner(rbm: RBM, settings: RBMSettings) -> Falling:
    """How the machine learns."""
    if settings.chains == "persistent":
        how: dict[str, Any] = {"sampler": sampling.Persistent(settings.batch, settings.k)}
    else:
        how = {"k": settings.k}
    method = ContrastiveDivergence(
        rbm, rate=settings.rate, momentum=settings.momentum, decay=settings.decay, **how
    )
    return Falling(method, settings.epochs)


@torch.no_grad()
def pictures(
    networks: Sequence[Network], test: Examples, settings: RBMSettings, generator: torch.Generator
) -> list[Picture]:
    """Filters, samples of long chains, and what one step up and down makes of examples."""
    rbm = networks[0].origin
    assert isinstance(rbm, RBM)
    given = test.inputs.flatten(1)
    return [
        *filters(rbm.weight, test, "the machine"),
        *gallery("Samples of the machine", *samples_of(rbm, given, generator), test),
        *rows_of(
            "Reconstructions",
            "First test examples, and the pixels' probabilities after one step up and down.",
            {"input": given[:COLUMNS], "given back": rbm.visible(rbm(given[:COLUMNS]))},
            test,
        ),
    ]


def samples_of(
    machine: sampling.PairEnergy, data: Tensor, generator: torch.Generator
) -> tuple[str, Tensor]:
    """Pixel probabilities at the ends of long chains, with what to say of them.

    Args:
        machine: Its first visible units are the pixels, maybe with others behind them.
        data: Whose means the chains begin at, ``(N, visible units)``.
        generator: Of the chains.
    """
    start = sampling.BinaryUnits().drawn(data.mean(0).expand(SAMPLES, -1).contiguous(), generator)
    v = sampling.Chains(machine, start=start, generator=generator).sweep(STEPS)
    h = torch.sigmoid(v @ machine.weight.T + machine.hidden_bias)
    h = sampling.BinaryUnits().drawn(h, generator)
    caption = (
        f"{SAMPLES} chains of {STEPS:,} Gibbs steps from independent pixels with the data's means: "
        "probabilities of the visible units."
    )
    return caption, torch.sigmoid(h @ machine.weight + machine.visible_bias)


def _network(rbm: RBM) -> nn.Sequential:
    """Modules ``flatten`` and ``hidden``, as ``zoo.rbm``."""
    return nn.Sequential(OrderedDict[str, nn.Module](flatten=nn.Flatten(), hidden=rbm)).eval()


ENTRY = Recipe(
    settings=RBMSettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=lambda _: ("hidden",),
    dtype=torch.float64,
    labelled=False,
    in_unit=True,
    pictures=pictures,
)
