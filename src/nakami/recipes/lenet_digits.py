"""LeNet on digits, with a choice of pooling and normalisation.

``zoo.lenet`` has origin and differences. Gradient descent with momentum in small batches, in place
of the second-order rates of 1998.

Published: nothing of this very network was read. Of larger ones without augmentation, on MNIST:
DropConnect behind three convolutions 0.63 %, convolutional maxout 0.45 % (as repeated in notes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from nakami.data import Examples
from nakami.results import wrong
from nakami.training import Training
from nakami.zoo import lenet
from nakami.zoo.lenet import Normalisation, Pooling

from ..results import Picture
from ._classifiers import Descent, classifier
from ._examples import classes
from ._pictures import evolution, kernels, pictures_from
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe
from ._times import milestones


@dataclass(frozen=True)
class LeNetSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        pooling: Of both convolutions.
        normalisation: Before pooling: local contrast, local response, or none.
        epochs: Passes over the data.
        rate: Learning rate.
        momentum: Share of the last update that is repeated.
        batch: Examples of one update.
    """

    pooling: Pooling = "max"
    normalisation: Normalisation = "none"
    epochs: int = 20
    rate: Annotated[float, POSITIVE] = 0.02
    momentum: Annotated[float, Bounds(0, 1, without=(1,))] = 0.9
    batch: Annotated[int, Bounds(1)] = 100


def made(
    settings: LeNetSettings,
    shape: tuple[int, ...] = (1, 28, 28),
    outputs: int = 10,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """The network with first weights."""
    least = lenet.LEAST[settings.normalisation]
    if len(shape) != 3 or min(shape[1:]) < least:
        rule = f"hold pictures of {least} pixels a side or more"
        raise wrong("data", rule, f"shape {shape}", "scale pictures by {size}=28")
    channels, height, width = shape
    return lenet.make(
        (channels, height, width),
        outputs,
        pooling=settings.pooling,
        normalisation=settings.normalisation,
        generator=generator,
    )


def untrained(settings: LeNetSettings) -> nn.Sequential:
    """The network with first weights, in evaluation mode."""
    return made(settings).eval()


def epochs(settings: LeNetSettings) -> Mapping[str, int]:
    """One phase."""
    return {"trained": settings.epochs}


def stages(settings: LeNetSettings) -> tuple[str, ...]:
    """What pooling leaves, and the hidden units."""
    return ("pool1", "pool2", "hidden")


def train(
    training: Training, train: Examples, test: Examples, settings: LeNetSettings
) -> tuple[Network]:
    """The one network."""
    s = settings
    first = training.generator("first weights")
    model = made(s, tuple(train.inputs.shape[1:]), classes(train), first)
    normalised = "" if s.normalisation == "none" else f"local {s.normalisation} normalisation, "
    descent = Descent(s.epochs, s.rate, s.momentum, s.batch)
    what = f"{s.pooling} pooling, {normalised}"
    times = milestones(s.epochs)
    return (classifier(training, "trained", model, (train, test), descent, what, times=times),)


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: LeNetSettings,
    generator: torch.Generator,
) -> list[Picture]:
    """The kernels of the first convolution, and what maps of the second answer to over epochs."""
    first = networks[0].model.get_submodule("conv1")
    assert isinstance(first, nn.Conv2d)
    found = kernels(first.weight, "the first convolution")
    return found + evolution(networks[0], test, "pool2")


ENTRY = Recipe(
    settings=LeNetSettings(),
    examples=pictures_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    pictures=pictures,
)
