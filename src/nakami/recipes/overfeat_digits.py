"""OverFeat on scenes with digits: a classifier of windows, a regressor of boxes, merged boxes.

Scenes are made of the examples: training scenes of those to train on, test scenes of those to test
on. The classifier learns windows of objects and of background, then goes on with the background
that it takes for objects; the regressor learns boxes on its convolutions, which stay as they are.
``zoo.overfeat`` has origin and published figures.

Deliberate differences: a fixed set of negatives found once (published: at each step), rates for
small networks, no flips, boxes averaged over all windows merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami import detection
from nakami.data import Examples
from nakami.training import Falling, Supervised, Training
from nakami.zoo import overfeat

from ..results import Lines, Picture, counted
from . import _scenes
from ._examples import classes, digits_from
from ._facts import fingerprint
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe


@dataclass(frozen=True)
class OverFeatSettings(_scenes.SceneSettings):
    """As ``SceneSettings``, and how the network learns.

    Attributes:
        looks: At each training scene; each gives four windows.
        epochs: Passes over the windows.
        hard_epochs: Passes with the false alarms among them.
        box_epochs: Passes of the regressor.
        rate: Learning rate; it falls to 0 over ``hard_epochs`` and ``box_epochs``.
        momentum: Share of the last update that is repeated.
        batch: Windows of one update.
        boxes: Whether all classes share the regressor's last layer, or each has its own.
        inside: Share of an object of which a window holds more, for its box to be learned there.
    """

    looks: Annotated[int, Bounds(1)] = 5
    epochs: int = 3
    hard_epochs: Annotated[int, Bounds(1)] = 5
    box_epochs: Annotated[int, Bounds(1)] = 20
    rate: Annotated[float, POSITIVE] = 0.05
    momentum: Annotated[float, Bounds(0, 1, without=(1,))] = 0.9
    batch: Annotated[int, Bounds(1)] = 100
    boxes: Literal["shared", "each"] = "shared"
    inside: Annotated[float, Bounds(0, 1, without=(1,))] = 0.5


def made(
    settings: OverFeatSettings,
    shape: tuple[int, ...],
    known: int,
    generator: torch.Generator | None = None,
) -> overfeat.OverFeat:
    """The network with first weights; one class more for the background."""
    channels, side = (1 if len(shape) == 2 else shape[0]), shape[-1]
    shared = settings.boxes == "shared"
    return overfeat.make((channels, side, side), known + 1, shared=shared, generator=generator)


def untrained(settings: OverFeatSettings) -> overfeat.OverFeat:
    """The network with first weights, in evaluation mode."""
    return made(settings, (1, 28, 28), 10).eval()


def epochs(settings: OverFeatSettings) -> Mapping[str, int]:
    """Windows, the same with false alarms, boxes."""
    return {
        "windows": settings.epochs,
        "false alarms": settings.hard_epochs,
        "boxes": settings.box_epochs,
    }


def train(
    training: Training, train: Examples, test: Examples, settings: OverFeatSettings
) -> tuple[Network]:
    """The one network."""
    known, side = classes(train), _scenes.side_of(train)
    shape = tuple(train.inputs.shape[1:])
    net = made(settings, shape, known, training.generator("first weights"))
    source = _Source(training, train, settings, known, side)
    weights = [*net.features.parameters(), *net.classifier.parameters()]
    training.run(
        "windows", Supervised(net, _descent(weights, settings)), source.clear, batch=settings.batch
    )
    hard = Falling(Supervised(net, _descent(weights, settings)), settings.hard_epochs)
    training.run("false alarms", hard, lambda: source.with_alarms(net), batch=settings.batch)

    def distance(outputs: Tensor, boxes: Tensor, objects: Tensor) -> Tensor:
        """Mean squared difference of coordinates, in windows of side 1."""
        if not net.shared:
            rows = torch.arange(len(objects), device=objects.device)
            outputs = outputs.unflatten(1, (known + 1, 4))[rows, objects]
        return F.mse_loss(outputs, boxes)

    descent = _descent(list(net.regressor.parameters()), settings)
    name = "mean squared difference of coordinates, (windows)^2"
    learn = Supervised(net.regressor, descent, distance, name)
    training.run(
        "boxes",
        Falling(learn, settings.box_epochs),
        lambda: source.boxes(net),
        batch=settings.batch,
    )
    net.eval()
    facts = training.kept(
        "figures with COCO's" if detection.has_coco() else "figures",  # anew once it is installed
        lambda: {"facts": _facts(net, test, settings, known, side)},
        str(fingerprint(test)["sha256"]),
    )["facts"]
    said = (
        f"{counted(settings.scenes, 'scene')} with the {train.source}: "
        f"{counted(settings.epochs + settings.hard_epochs, 'epoch')} of gradient descent on the "
        f"cross-entropy of windows, {settings.hard_epochs} of them with false alarms, then "
        f"{counted(settings.box_epochs, 'epoch')} on boxes"
    )
    if not detection.has_coco():
        said += "; COCO's own figure needs pycocotools, pip install 'nakami[detection]' adds it"
    return (Network("trained", net, said, list(facts)),)


def _descent(weights: list[torch.nn.Parameter], settings: OverFeatSettings) -> torch.optim.SGD:
    return torch.optim.SGD(weights, settings.rate, momentum=settings.momentum)


class _Source:
    """Windows of the training scenes, made when a phase asks for them."""

    def __init__(
        self,
        training: Training,
        train: Examples,
        settings: OverFeatSettings,
        known: int,
        side: int,
    ):
        self.training, self.train, self.settings = training, train, settings
        self.known, self.side = known, side
        self._made: detection.Windows | None = None

    def scenes(self) -> Any:
        s = self.settings
        return _scenes.made(s, self.train, self.known, s.scenes, self.training.seed)

    def windows(self) -> detection.Windows:
        if self._made is None:
            g = self.training.generator("windows")
            self._made = detection.windows(
                self.scenes(), self.settings.looks, self.side, generator=g
            )
        return self._made

    def clear(self) -> tuple[Tensor, Tensor]:
        """Windows of which the class is clear, and these classes."""
        windows = self.windows()
        use = windows.labels >= 0
        return windows.pictures[use], windows.labels[use]

    def with_alarms(self, net: overfeat.OverFeat) -> tuple[Tensor, Tensor]:
        """The same, and the background that the network takes for objects."""
        pictures, labels = self.clear()
        net.eval()
        scales = _scenes.factors(self.settings, self.side)
        g = self.training.generator("false alarms")
        alarms = detection.false_alarms(net.windows, self.scenes(), scales, self.side, generator=g)
        most = torch.randperm(len(alarms), generator=g)[: len(labels)]
        background = torch.full((len(most),), self.known)
        return torch.cat([pictures, alarms[most]]), torch.cat([labels, background])

    @torch.no_grad()
    def boxes(self, net: overfeat.OverFeat) -> tuple[Tensor, Tensor, Tensor]:
        """Maps of windows that hold most of an object, its box and its class."""
        windows = self.windows()
        use = windows.inside > self.settings.inside
        net.eval()
        maps = [net.features(part) for part in windows.pictures[use].split(1000)]
        return torch.cat(maps), windows.boxes[use], windows.objects[use]


def _facts(
    net: overfeat.OverFeat, test: Examples, settings: OverFeatSettings, known: int, side: int
) -> list[dict[str, Any]]:
    scenes = _scenes.test_scenes(settings, test, known)
    found = _scenes.found_in(net, scenes, settings, side)
    film = _scenes.test_film(settings, test, known)
    tracked = _scenes.found_in(net, film, settings, side)
    sure = detection.precision_recall(found, scenes).best_score
    return [
        *_scenes.detection_facts(found, scenes),
        *_scenes.tracking_facts(tracked, film, sure),
    ]


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: OverFeatSettings,
    generator: torch.Generator,
) -> list[Picture | Lines]:
    """Test scenes with the boxes found, the curve of precision and recall, tracks in a film."""
    net = networks[0].model
    assert isinstance(net, overfeat.OverFeat)
    scenes = _scenes.test_scenes(settings, test, net.classes - 1)
    film, side = _scenes.test_film(settings, test, net.classes - 1), _scenes.side_of(test)
    found, tracked = (_scenes.found_in(net, of, settings, side) for of in (scenes, film))
    sure = detection.precision_recall(found, scenes).best_score
    return [
        *_scenes.detection_pictures(found, scenes, sure),
        _scenes.tracking_picture(tracked, film, sure),
    ]


ENTRY = Recipe(
    settings=OverFeatSettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=lambda _: "auto",
    in_unit=True,
    pictures=pictures,
)
