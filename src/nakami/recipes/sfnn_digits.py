"""A stochastic feed-forward network that completes digits, beside a perceptron of the same size.

One half of a digit is given, the other half is to be told. Both networks have the same weights; in
one a part of the hidden units is drawn, so that it may give several answers. Figures are the
log-probabilities of the test digits' other halves, pixels drawn once. ``zoo.sfnn`` has origin and
differences.

Published figures for this task on digits: none was read; the paper's are of faces and objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from nakami.data import Examples
from nakami.sampling import BinaryUnits, ConditionalLikelihood, conditional_likelihood
from nakami.training import Falling, ImportanceEM, Training
from nakami.zoo.sfnn import SFNN, Half

from ..results import Picture, counted, wrong
from ._facts import fingerprint, mean_fact
from ._pictures import COLUMNS, pictures_from, rows_of
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe

OTHER = {"upper": "lower", "lower": "upper", "left": "right", "right": "left"}
DRAWS = 6  # shown of each example


@dataclass(frozen=True)
class SFNNSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        given: The half that is given; the other one is learned.
        hidden: Units of each hidden layer.
        stochastic: How many of these are drawn.
        samples: Draws of an example for each update.
        plain_epochs: Passes of the perceptron over the data.
        epochs: Passes of the stochastic network.
        rate: Learning rate of Adam at first, of both; it falls linearly to 0.
        batch: Examples of one update, of both.
        test_samples: Draws of a test example for its likelihood.
    """

    given: Literal["upper", "lower", "left", "right"] = "upper"
    hidden: Annotated[tuple[int, ...], Bounds(1)] = (200, 200)
    stochastic: Annotated[tuple[int, ...], Bounds(0)] = (50, 50)
    samples: Annotated[int, Bounds(1)] = 20
    plain_epochs: int = 15
    epochs: int = 30
    rate: Annotated[float, POSITIVE] = 0.003
    batch: Annotated[int, Bounds(1)] = 100
    test_samples: Annotated[int, Bounds(2)] = 500


def made(
    settings: SFNNSettings,
    shape: tuple[int, int, int],
    stochastic: bool = True,
    generator: torch.Generator | None = None,
) -> SFNN:
    """The network with first weights, for pictures of this shape; or the perceptron."""
    drawn = settings.stochastic
    if len(drawn) != len(settings.hidden) or any(
        s > n for s, n in zip(drawn, settings.hidden, strict=True)
    ):
        rule = f"name so many units of each hidden layer as it has, {settings.hidden}, or fewer"
        way_out = f"write stochastic = {[min(50, n) for n in settings.hidden]}"
        raise wrong("setting stochastic", rule, drawn, way_out)
    drawn = drawn if stochastic else (0,) * len(drawn)
    layers = [(n - s, s) for n, s in zip(settings.hidden, drawn, strict=True)]
    sizes = [
        Half(which)(torch.zeros(1, *shape)).shape[1]
        for which in (settings.given, OTHER[settings.given])
    ]
    half = Half(settings.given)
    return SFNN(sizes[0], layers, sizes[1], given=half, generator=generator)


def untrained(settings: SFNNSettings) -> SFNN:
    """The network with first weights, in evaluation mode."""
    return made(settings, (1, 28, 28)).eval()


def examples(files: Any) -> tuple[Examples, Examples]:
    """Pictures ``(N, C, H, W)`` that have halves."""
    return pictures_from(files, least=2)


def epochs(settings: SFNNSettings) -> Mapping[str, int]:
    """One phase for each network."""
    return {"plain": settings.plain_epochs, "stochastic": settings.epochs}


def stages(settings: SFNNSettings) -> tuple[str, ...]:
    """The hidden layers and the means of what is told."""
    return (*(f"hidden{i}" for i in range(1, len(settings.hidden) + 1)), "means")


def train(
    training: Training, train: Examples, test: Examples, settings: SFNNSettings
) -> tuple[Network, ...]:
    """Both networks, from the same first weights."""
    wanted, tested = (
        BinaryUnits().drawn(
            Half(OTHER[settings.given])(part.inputs), training.generator(f"{name} pixels")
        )
        for name, part in (("training", train), ("test", test))
    )
    shape, models, told = tuple(train.inputs.shape[1:]), {}, {}
    for phase, passes in epochs(settings).items():
        drawn = phase == "stochastic"
        model = made(settings, shape, drawn, training.generator("first weights"))
        optimizer = torch.optim.Adam(model.parameters(), settings.rate)
        method = ImportanceEM(model, optimizer, samples=settings.samples)
        training.run(
            phase, Falling(method, passes), lambda: (train.inputs, wanted), batch=settings.batch
        )
        draws = f" by importance-sampled EM with {settings.samples} draws" if drawn else ""
        models[phase] = model
        told[phase] = (
            f"{counted(passes, 'epoch')} of Adam on the log-likelihood{draws} at rate "
            f"{settings.rate} falling to 0, on the {train.source}, the {settings.given} half "
            "given, pixels drawn once"
        )
    figures = training.kept(
        "likelihood",
        lambda: facts(models, (test.inputs, tested), settings.test_samples, test.noun),
        of=str(fingerprint(test)["sha256"]),
    )
    return tuple(Network(n, m, told[n], list(figures[n]), m) for n, m in models.items())


def facts(
    models: Mapping[str, SFNN], examples: tuple[Tensor, Tensor], samples: int, noun: str
) -> dict[str, list[dict[str, Any]]]:
    """Log-likelihoods of both, and by how much they differ, digit by digit."""
    found: dict[str, ConditionalLikelihood] = {
        name: conditional_likelihood(model, *examples, samples=samples)
        for name, model in models.items()
    }
    told = {}
    for name, likelihood in found.items():
        told[name] = [_likelihood(likelihood, noun)]
    drawn = found["stochastic"]
    gain = mean_fact(
        drawn.examples - found["plain"].examples,
        "log-likelihood above the perceptron's",
        f"nats per {noun}",
        noun,
    )
    few = {
        "label": "effective draws",
        "value": drawn.effective_samples,
        "spread": None,
        "spread_kind": f"of {samples}, median; the estimate is low by about {-drawn.bias:.2g} nats",
        "unit": "",
    }
    told["stochastic"] += [gain, few]
    return told


def _likelihood(found: ConditionalLikelihood, noun: str) -> dict[str, Any]:
    fact = mean_fact(found.examples, "test log-likelihood", f"nats per {noun}", noun)
    if found.samples:
        own = f"{found.standard_error:.2g}"
        fact["spread_kind"] += f" ({own} of the draws; biased low)"
    return fact


@torch.no_grad()
def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: SFNNSettings,
    generator: torch.Generator,
) -> list[Picture]:
    """The other halves that both networks tell, some draws of the stochastic one."""
    shown = test.inputs[:COLUMNS]
    plain, drawn = (network.model for network in networks)
    assert isinstance(drawn, SFNN)
    answers = drawn.sample(shown, DRAWS, means=True, generator=generator)
    rows = {"digit" if test.noun == "digit" else "input": shown}
    rows["perceptron"] = completed(shown, plain(shown), settings.given)
    for i, answer in enumerate(answers, 1):
        rows[f"draw {i}"] = completed(shown, answer, settings.given)
    caption = (
        f"The {settings.given} halves are given. Below, the probabilities of the other pixels: by "
        "the perceptron, and for each draw of the stochastic units."
    )
    return rows_of("Other halves", caption, rows, test)


def completed(whole: Tensor, told: Tensor, given: str) -> Tensor:
    """Pictures whose other half is replaced by values ``(N, values)``."""
    made = whole.clone()
    axis = 2 if given in ("upper", "lower") else 3
    cut = whole.shape[axis] // 2
    first = OTHER[given] in ("upper", "left")
    place = made.narrow(axis, 0, cut) if first else made.narrow(axis, cut, whole.shape[axis] - cut)
    place.copy_(told.reshape(place.shape))
    return made


ENTRY = Recipe(
    settings=SFNNSettings(),
    examples=examples,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    labelled=False,
    in_unit=True,
    pictures=pictures,
)
