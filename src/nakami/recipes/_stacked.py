"""Layers trained one on the other, then all by back-propagation: what such recipes share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from nakami import data
from nakami.data import Examples
from nakami.training import Method, Supervised, Training
from nakami.zoo.rbm import times

from ..results import counted
from ._examples import digits_from as digits_from
from ._facts import error_fact
from ._settings import POSITIVE, Bounds
from ._subject import Network

PART = 5000  # examples that go through the layers at once


@dataclass(frozen=True)
class StackedSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        hidden: Units of each hidden layer.
        pretrain_epochs: Passes over the data of each layer, before labels are used.
        pretrain_rate: Learning rate of these.
        finetune_epochs: Passes of the classifier, by labels.
        finetune_rate: Learning rate of these.
        momentum: Momentum of these, the share of the last update that is repeated.
        batch: Examples of one update, in both.
    """

    hidden: Annotated[tuple[int, ...], Bounds(1)] = (1000, 1000, 1000)
    pretrain_epochs: int = 20
    pretrain_rate: Annotated[float, POSITIVE] = 0.1
    finetune_epochs: int = 20
    finetune_rate: Annotated[float, POSITIVE] = 0.1
    momentum: Annotated[float, Bounds(0, 1, without=(1,))] = 0.9
    batch: Annotated[int, Bounds(1)] = 100


def epochs(settings: StackedSettings) -> Mapping[str, int]:
    """One phase for each layer, then back-propagation through all."""
    layers = {f"layer{i}": settings.pretrain_epochs for i in range(1, len(settings.hidden) + 1)}
    return {**layers, "finetuned": settings.finetune_epochs}


def stages(settings: StackedSettings) -> tuple[str, ...]:
    """The hidden layers."""
    return tuple(f"hidden{i}" for i in range(1, len(settings.hidden) + 1))


def pixels_of_digits() -> int:
    """Inputs of a network that takes digits."""
    return data.digits("test")[:1].inputs[0].numel()


def stacked(
    training: Training,
    pixels: Tensor,
    layers: Sequence[nn.Module],
    method: Callable[[nn.Module], Method],
    batch: int,
    ups: Sequence[float] | None = None,
) -> None:
    """Train each layer on what those below it give: phases ``layer1``, ``layer2``, ...

    Args:
        training: Runs the phases.
        pixels: What the lowest layer learns from.
        layers: From the bottom up.
        method: How a layer learns.
        batch: Examples of one update.
        ups: What the inputs of each layer are multiplied by on the way up; None: 1.
    """
    ups = [1] * len(layers) if ups is None else ups
    for i, layer in enumerate(layers):

        @torch.no_grad()
        def below(depth: int = i) -> tuple[Tensor]:
            parts = pixels.split(PART)
            for lower, up in zip(layers[:depth], ups, strict=False):
                parts = tuple(lower(times(up, part)) for part in parts)
            return (torch.cat(parts),)

        training.run(f"layer{i + 1}", method(layer), below, batch=batch)


def finetuned(
    training: Training,
    start: nn.Module,
    before: str,
    examples: tuple[Examples, Examples],
    settings: StackedSettings,
    origin: nn.Module | None = None,
    facts: Sequence[dict[str, Any]] = (),
) -> tuple[Network, Network]:
    """The network as pre-training leaves it, and a copy trained on labels.

    Args:
        training: Runs the phase ``finetuned``.
        start: The classifier, its output layer at random.
        before: One sentence on how it was pre-trained.
        examples: To train, and to test.
        settings: Of the recipe.
        origin: The layers as they were pre-trained, for pictures.
        facts: More figures of the network as pre-training leaves it.
    """
    train, test = examples
    tuned = copy.deepcopy(start)
    assert train.labels is not None  # as check_labels has seen
    inputs, labels = train.inputs, train.labels
    learned = [p for p in tuned.parameters() if p.requires_grad]
    descent = torch.optim.SGD(learned, settings.finetune_rate, settings.momentum)
    method = Supervised(tuned, descent)
    training.run("finetuned", method, lambda: (inputs, labels), batch=settings.batch)
    after = (
        f"pre-trained as before, then {counted(settings.finetune_epochs, 'epoch')} of gradient "
        f"descent on the cross-entropy at rate {settings.finetune_rate}, "
        f"momentum {settings.momentum}"
    )
    label = "test error (output layer not trained yet)"
    return (
        Network("pretrained", start, before, [error_fact(start, test, label), *facts], origin),
        Network("finetuned", tuned, after, [error_fact(tuned, test)]),
    )
