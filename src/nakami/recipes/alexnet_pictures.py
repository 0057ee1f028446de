"""AlexNet on small pictures, by the schedule of 2012, from random weights or a trained trunk.

Origin: Krizhevsky, Sutskever & Hinton, NIPS 2012: momentum 0.9, weight decay 5e-4, rate 0.01
divided by 10 at plateaus, dropout of half of the units of two layers; pictures are cropped and
mirrored at random, and their colours moved along the principal axes of all.

Deliberate differences: pictures of 64 pixels in place of 224, a quarter of the maps and units
(``width``), batches of 32 in place of 128; crops move a picture by some pixels in place of cutting
224 out of 256, and the whole picture is tested in place of ten crops; the loss decides on plateaus.
First weights of variance 2 / fan-in: with those of 2012 (``first="original"``) a network of this
width had learned nothing of such pictures after 15 passes (five classes, batches of 128).

With ``trunk`` the five convolutions of torchvision's AlexNet come from a file, and all is trained.

Published: 18.2 % top-5 error of one network on the validation pictures of ILSVRC 2012.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from nakami import data
from nakami.data import Examples
from nakami.data._pictures import NORMALISATIONS
from nakami.results import wrong
from nakami.training import (
    Augmented,
    ColourShift,
    Corruption,
    Method,
    Plateaus,
    RandomCrop,
    RandomFlip,
    Training,
)
from nakami.zoo import alexnet_features, alexnet_original
from nakami.zoo._layers import layer
from nakami.zoo._prepared import Prepared

from ..results import Picture
from ._classifiers import SHARE, Descent, classifier
from ._examples import DataFiles, classes
from ._made_pictures import COLOURS, KINDS, SIDE, coloured_shapes
from ._pictures import CHANNELS, evolution, kernels, pictures_from, rows_of
from ._settings import FILE, POSITIVE, Bounds
from ._subject import Network, Recipe
from ._times import milestones

_, *IMAGENET = NORMALISATIONS["imagenet"]  # mean and deviation


@dataclass(frozen=True)
class AlexNetSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        width: Share of the maps and units of 2012.
        side: Pixels that pictures are scaled to within the network.
        first: Weights at the start: of variance 2 / fan-in, or those of 2012.
        trunk: File with the convolutions of torchvision's AlexNet; empty: random weights.
        epochs: Passes over the data.
        rate: Learning rate.
        momentum: Share of the last update that is repeated.
        decay: Weight decay.
        batch: Examples of one update.
        patience: Passes without a lower loss before the rate is divided by 10.
        crop: Pixels by which pictures are moved at most; 0: not.
        flip: Whether pictures are mirrored.
        colour: Deviation of the shifts along the principal axes of the colours; 0: none.
    """

    width: Annotated[float, Bounds(0, 1, without=(0,))] = 0.25
    side: Annotated[int, Bounds(63)] = SIDE
    first: Literal["fan-in", "original"] = "fan-in"
    trunk: Annotated[str, FILE] = ""
    epochs: int = 20
    rate: Annotated[float, POSITIVE] = 0.01
    momentum: Annotated[float, Bounds(0, 1, without=(1,))] = 0.9
    decay: Annotated[float, SHARE] = 5e-4
    batch: Annotated[int, Bounds(1)] = 32
    patience: Annotated[int, Bounds(1)] = 5
    crop: int = 4
    flip: bool = True
    colour: float = 0.1


def examples_from(files: DataFiles | None) -> tuple[Examples, Examples]:
    """Training and test examples: made here, or those of the caller's files."""
    return coloured_shapes() if files is None else pictures_from(files)


def network(
    settings: AlexNetSettings,
    pictures: Tensor,
    outputs: int,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """The network with first weights; those of a trunk are not read yet.

    Args:
        settings: Of the recipe.
        pictures: ``(N, C, H, W)``, whose mean is taken off.
        outputs: Classes.
        generator: Of the first weights.
    """
    s = settings
    std = 0.01 if s.first == "original" else None
    made = alexnet_original.make(
        side=s.side, classes=outputs, width=s.width, std=std, generator=generator
    )
    parts = OrderedDict[str, nn.Module](prepare=Prepared(*_colours(s, pictures), s.side))
    own = OrderedDict(made.named_children())
    if s.trunk:
        g = generator or torch.Generator().manual_seed(0)
        inputs, fc6 = 256 * alexnet_original.last_side(s.side, 2) ** 2, own["fc6"]
        assert isinstance(fc6, nn.Linear)
        parts["features"] = alexnet_features.make(generator=g).get_submodule("features")
        own["fc6"] = layer(nn.Linear, inputs, fc6.out_features, generator=g)  # 256 maps below
        names = list(own)
        own = OrderedDict((name, own[name]) for name in names[names.index("flatten") :])
    parts.update(own)
    return nn.Sequential(parts)


def _colours(settings: AlexNetSettings, pictures: Tensor) -> tuple[list[float], list[float]]:
    """What is taken off each channel, and divided by."""
    if settings.trunk:
        return IMAGENET[0], IMAGENET[1]
    mean = pictures.mean((0, 2, 3)).tolist()
    if settings.first == "original":
        return mean, [1 / 255]
    return mean, pictures.std((0, 2, 3)).clamp_min(1e-3).tolist()


def untrained(settings: AlexNetSettings) -> nn.Sequential:
    """The network with first weights, in evaluation mode."""
    ends = torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 3, 2, 2)  # black and white
    return network(settings, ends, len(KINDS) * len(COLOURS)).eval()


def epochs(settings: AlexNetSettings) -> Mapping[str, int]:
    """One phase."""
    return {"trained": settings.epochs}


def stages(settings: AlexNetSettings) -> tuple[str, ...]:
    """What pooling leaves, and the units of the last hidden layer."""
    pools = (f"features.pool{i}" if settings.trunk else f"pool{i}" for i in (1, 2, 5))
    return (*pools, "relu7")


def changes(settings: AlexNetSettings, pictures: Tensor) -> list[Corruption]:
    """How pictures are changed in each step."""
    found: list[Corruption] = []
    if settings.crop:
        found.append(RandomCrop(settings.crop))
    if settings.flip:
        found.append(RandomFlip())
    if settings.colour:
        found.append(ColourShift.of(pictures, settings.colour))
    return found


def train(
    training: Training, train: Examples, test: Examples, settings: AlexNetSettings
) -> tuple[Network]:
    """The one network."""
    s, shape = settings, tuple(train.inputs.shape[1:])
    if len(shape) != 3 or shape[0] not in CHANNELS:
        rule, way_out = (
            "hold pictures, grey or coloured",
            "pass a folder of pictures with {size}=64",
        )
        raise wrong("data", rule, f"shape {shape}", way_out)
    if min(shape[1:]) <= s.crop:
        rule = f"be less than the shorter side of the pictures, {min(shape[1:])} pixels"
        raise wrong("setting crop", rule, s.crop, f"write crop = {min(4, min(shape[1:]) - 1)}")
    model = network(s, train.inputs, classes(train), training.generator("first weights"))
    if s.trunk and not training.has("trained"):
        features = nn.Sequential(OrderedDict(features=model.get_submodule("features")))
        data.load_weights(features, s.trunk)
    descent = Descent(s.epochs, s.rate, s.momentum, s.batch, decay=s.decay)

    def wrap(method: Method) -> Method:
        return Plateaus(Augmented(method, *changes(s, train.inputs)), patience=s.patience)

    what = "convolutions trained on ImageNet, " if s.trunk else ""
    what += "changed pictures, " if changes(s, train.inputs[:2]) else ""
    what += "rate divided by 10 at plateaus, "
    times = milestones(s.epochs)
    return (classifier(training, "trained", model, (train, test), descent, what, wrap, times),)


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: AlexNetSettings,
    generator: torch.Generator,
) -> list[Picture]:
    """Kernels of the first convolution, changed pictures, what maps answer to over epochs."""
    first = next(m for m in networks[0].model.modules() if isinstance(m, nn.Conv2d))
    shown = test.inputs[:10]
    changed = shown
    for change in changes(settings, test.inputs):
        changed = change(changed, generator)
    caption = "First test pictures, and as such pictures are changed in a step of training."
    rows = {"picture": shown, "changed": changed}
    found = rows_of("Changed pictures", caption, rows, test)
    found += evolution(networks[0], test, stages(settings)[2])
    return [*kernels(first.weight, "the first convolution"), *found]


ENTRY = Recipe(
    settings=AlexNetSettings(),
    examples=examples_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    pictures=pictures,
)
