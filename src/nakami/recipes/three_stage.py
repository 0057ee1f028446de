"""Three stages of local filters learned without labels, and what their best unit tells.

Each stage of ``zoo.three_stage`` (origin, and what was scaled down) learns on what those below it
give, then all together. Labels serve the measure alone: for each class the unit of the last stage
and the threshold that tell it best from the others, chosen on training examples, measured on
others; beside it the same network with random weights and the best single input value. A guess is
right in half of the cases, as class and others count alike. One class is shown for all networks,
that which the last one tells best on training examples.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.dynamics import BestUnits, best_units
from nakami.training import Training, Unsupervised
from nakami.zoo import three_stage
from nakami.zoo.three_stage import Stage, ThreeStage

from ..results import Picture, counted
from ._pictures import filters, pictures_from
from ._settings import POSITIVE, Bounds
from ._stacked import stacked
from ._subject import Network, Recipe

PART = 1000  # examples that go through at once


@dataclass(frozen=True)
class ThreeStageSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        fields: Side of the fields of each stage.
        maps: Filters at each place, of each stage.
        cost: Weight of sparsity against reconstruction.
        epochs: Passes over the data of each stage.
        joint_epochs: Passes of all stages together.
        rate: Learning rate of Adam.
        joint_rate: That of all stages together.
        batch: Examples of one update.
    """

    fields: Annotated[tuple[int, int, int], Bounds(1)] = (5, 5, 3)
    maps: Annotated[tuple[int, int, int], Bounds(1)] = (8, 16, 32)
    cost: Annotated[float, POSITIVE] = 0.1
    epochs: int = 10
    joint_epochs: int = 5
    rate: Annotated[float, POSITIVE] = 0.001
    joint_rate: Annotated[float, POSITIVE] = 0.0001
    batch: Annotated[int, Bounds(1)] = 100


def made(
    settings: ThreeStageSettings,
    shape: tuple[int, int, int],
    generator: torch.Generator | None = None,
) -> ThreeStage:
    """The network with first weights."""
    s = settings
    return three_stage.make(shape, fields=s.fields, maps=s.maps, cost=s.cost, generator=generator)


def untrained(settings: ThreeStageSettings) -> nn.Sequential:
    """The network with first weights, in evaluation mode."""
    return made(settings, (1, 28, 28)).eval()


def epochs(settings: ThreeStageSettings) -> Mapping[str, int]:
    """Three stages, then all together."""
    each = {f"layer{i}": settings.epochs for i in (1, 2, 3)}
    return {**each, "joint": settings.joint_epochs}


def stages(settings: ThreeStageSettings) -> tuple[str, ...]:
    """The outputs of the stages."""
    return ("stage1", "stage2", "stage3")


def train(
    training: Training, train: Examples, test: Examples, settings: ThreeStageSettings
) -> tuple[Network, ...]:
    """Random weights, stage by stage, all together."""
    x, (channels, height, width) = train.inputs, train.inputs.shape[1:]
    shape = (channels, height, width)
    start = made(settings, shape, training.generator("first weights")).eval()
    net = copy.deepcopy(start)
    rate = settings.rate

    def learner(stage: nn.Module) -> Unsupervised:
        assert isinstance(stage, Stage)
        adam = torch.optim.Adam(stage.parameters(), rate)
        return Unsupervised(stage, adam, stage.objective, NAME)

    with torch.no_grad():
        seen = torch.cat([net.seen(part) for part in x.split(PART)])
    stacked(training, seen, net.stages, learner, settings.batch)
    joint = copy.deepcopy(net)
    adam = torch.optim.Adam(joint.parameters(), settings.joint_rate)
    method = Unsupervised(joint, adam, joint.objective, NAME)
    training.run("joint", method, lambda: (x,), batch=settings.batch)
    by_stage = f"{counted(settings.epochs, 'epoch')} of Adam a stage at rate {rate}"
    together = f"then {counted(settings.joint_epochs, 'epoch')} together"
    said = {
        "random": (start, f"first weights as drawn; the best unit chosen on the {train.source}"),
        "stages": (net.eval(), f"{by_stage}, one on the other, on the {train.source}"),
        "joint": (joint.eval(), f"{by_stage}, {together} at rate {settings.joint_rate}"),
    }
    examples = (train, test)
    figures = facts([model for model, _ in said.values()], examples)
    return tuple(
        Network(name, model, how, of)
        for (name, (model, how)), of in zip(said.items(), figures, strict=True)
    )


NAME = "objective of an input value"
CHOSEN = "; the class that joint tells best in training"


@torch.no_grad()
def activations(model: nn.Module, examples: Examples) -> Tensor:
    """Units of the last stage, ``(N, units)``."""
    return torch.cat([model(part) for part in examples.inputs.split(PART)])


def facts(
    models: Sequence[nn.Module], examples: tuple[Examples, Examples]
) -> list[list[dict[str, Any]]]:
    """What the best units of each tell: the mean over the classes, and one class, the same for all.

    The class is that which the last network tells best on training examples, of those that are in
    both parts. Nothing where no class is in both with others beside it. The first also has what
    the best single input value tells.
    """
    train, test = examples
    if not _told(examples):
        return [[] for _ in models]
    values = [[activations(model, part) for part in examples] for model in models]
    found = [_best(each, examples) for each in values]
    in_training = _best([values[-1][0]] * 2, (train, train)).accuracy
    there = found[-1].units >= 0
    best = int(in_training.where(there, torch.tensor(0.0)).argmax())
    label = f"right by the best unit for class {train.classes[best] if train.classes else best}"
    told = [
        [
            _mean(each, "unit", test),
            _fact(label, each.accuracy[best], each.errors[best], test, CHOSEN),
        ]
        for each in found
    ]
    told[0].append(pixel_fact(examples))
    return told


def pixel_fact(examples: tuple[Examples, Examples]) -> dict[str, Any]:
    """What the best single input value tells, the mean over the classes."""
    found = _best([part.inputs.flatten(1) for part in examples], examples)
    return _mean(found, "input value", examples[1])


def _told(examples: tuple[Examples, Examples]) -> bool:
    """Whether some class can be told from others in both parts."""
    seen = [set(part.labels.tolist()) for part in examples if part.labels is not None]
    return min(map(len, seen)) > 1 and bool(set.intersection(*seen))


def _best(values: Sequence[Tensor], examples: tuple[Examples, Examples]) -> BestUnits:
    train, test = examples
    assert train.labels is not None
    assert test.labels is not None
    return best_units(values[0], train.labels, values[1], test.labels)


def _mean(found: BestUnits, what: str, test: Examples) -> dict[str, Any]:
    known = found.errors[found.units >= 0]
    error = known.square().sum().sqrt() / len(known)
    label = f"right by the best {what}, mean of classes"
    return _fact(label, found.accuracy.nanmean(), error, test)


def _fact(
    label: str, right: Tensor, error: Tensor, test: Examples, more: str = ""
) -> dict[str, Any]:
    said = f"binomial standard error, {counted(len(test), test.noun)}; a guess: 50{more}"
    return {
        "label": label,
        "value": 100 * float(right),
        "spread": 100 * float(error),
        "spread_kind": said,
        "unit": "%",
    }


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: ThreeStageSettings,
    generator: torch.Generator,
) -> list[Picture]:
    """Filters of the first stage at five neighbouring places in the middle."""
    model = networks[-1].model
    assert isinstance(model, ThreeStage)
    layer = model.stages[0].filters
    channels = layer.in_channels
    fields = layer.weight.detach()
    middle = layer.output_size[0] // 2 * layer.output_size[1] + layer.output_size[1] // 2
    some = fields[middle * layer.out_channels :][: 5 * layer.out_channels]
    part = Examples(
        some.new_zeros(1, channels, *layer.kernel_size), None, ("field",), test.unit, test.source
    )
    return filters(some, part, "the first stage, five neighbouring places in turn")


ENTRY = Recipe(
    settings=ThreeStageSettings(),
    examples=pictures_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    pictures=pictures,
)
