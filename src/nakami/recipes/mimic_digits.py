"""A shallow network that learned a deep one's logits, beside the same one that learned labels.

A convolutional network learns the digits. A student of one wide hidden layer behind a linear
bottleneck (``zoo.shallow``) learns its logits at the training digits; the same student, from the
same first weights, learns the labels.

Origin: Ba & Caruana, "Do deep nets really need to be deep?", NIPS 2014 (see ``training.Mimic``).

Deliberate differences: one teacher in place of an ensemble, digits in place of speech, and no
examples without labels beside the training digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.training import Mimic, Training
from nakami.zoo import cnn, mlp, shallow

from ..results import Picture, counted, wrong
from ._classifiers import Descent, classifier
from ._examples import classes, digits_from
from ._facts import error_fact
from ._pictures import filters
from ._settings import POSITIVE, Bounds
from ._stacked import PART, pixels_of_digits
from ._subject import Network, Recipe

LEAST = 16  # pixels a side that the convolutional teacher needs


@dataclass(frozen=True)
class MimicSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        teacher: Convolutional, or for examples of any shape two layers of 800 ReLUs with dropout.
        teacher_epochs: Passes of the teacher over the data.
        teacher_rate: Learning rate of these.
        hidden: Units of the student.
        bottleneck: Rank of the student's first weights.
        label_epochs: Passes of the student that learns labels.
        label_rate: Learning rate of these.
        mimic_epochs: Passes of the student that learns logits.
        mimic_rate: Learning rate of these.
        momentum: Share of the last update that is repeated, of all three.
        batch: Examples of one update, of all three.
    """

    teacher: Literal["cnn", "mlp"] = "cnn"
    teacher_epochs: int = 8
    teacher_rate: Annotated[float, POSITIVE] = 0.02
    hidden: Annotated[int, Bounds(1)] = 2000
    bottleneck: Annotated[int, Bounds(1)] = 100
    label_epochs: int = 30
    label_rate: Annotated[float, POSITIVE] = 0.05
    mimic_epochs: int = 60
    mimic_rate: Annotated[float, POSITIVE] = 0.01
    momentum: Annotated[float, Bounds(0, 1, without=(1,))] = 0.9
    batch: Annotated[int, Bounds(1)] = 100


def untrained(settings: MimicSettings) -> nn.Sequential:
    """The student with first weights."""
    s = settings
    return shallow.make(pixels_of_digits(), s.hidden, bottleneck=s.bottleneck).eval()


def epochs(settings: MimicSettings) -> Mapping[str, int]:
    """One phase for the teacher and for each student."""
    s = settings
    return {"teacher": s.teacher_epochs, "labels": s.label_epochs, "mimic": s.mimic_epochs}


def stages(settings: MimicSettings) -> tuple[str, ...]:
    """Bottleneck and hidden units."""
    return ("bottleneck", "hidden1")


def teacher(
    settings: MimicSettings, train: Examples, generator: torch.Generator | None
) -> nn.Sequential:
    """The teacher with first weights."""
    shape = tuple(train.inputs.shape[1:])
    if settings.teacher == "mlp":
        sizes = (train.inputs[0].numel(), 800, 800, classes(train))
        return mlp.make(sizes, dropout=(0.2, 0.5), generator=generator)
    if len(shape) != 3 or min(shape[1:]) < LEAST:
        rule = f"hold pictures of {LEAST} pixels a side or more for a convolutional teacher"
        raise wrong("data", rule, f"shape {shape}", "set teacher=mlp")
    return cnn.make(shape, classes(train), generator=generator)


def train(
    training: Training, train: Examples, test: Examples, settings: MimicSettings
) -> tuple[Network, Network]:
    """Both students."""
    s, examples = settings, (train, test)
    model = teacher(s, train, training.generator("teacher weights"))
    descent = Descent(s.teacher_epochs, s.teacher_rate, s.momentum, s.batch)
    taught = classifier(training, "teacher", model, examples, descent)

    def student() -> nn.Sequential:
        sizes = train.inputs[0].numel(), s.hidden, classes(train)
        first = training.generator("first weights")
        return shallow.make(*sizes, bottleneck=s.bottleneck, generator=first)

    descent = Descent(s.label_epochs, s.label_rate, s.momentum, s.batch)
    labels = classifier(training, "labels", student(), examples, descent)
    mimic = mimicked(training, student(), logits_of(taught.model, train.inputs), train, s)
    said = (
        f"{counted(s.mimic_epochs, 'epoch')} of gradient descent at rate {s.mimic_rate}, momentum "
        f"{s.momentum}, on half the squared error of a teacher's standardised logits ({s.teacher}, "
        f"{taught.training})"
    )
    facts = [error_fact(mimic, test), {**taught.facts[0], "label": "test error of the teacher"}]
    return labels, Network("mimic", mimic, said, facts)


def mimicked(
    training: Training,
    student: nn.Sequential,
    logits: Tensor,
    train: Examples,
    settings: MimicSettings,
) -> nn.Sequential:
    """The student after it has learned the logits, in their units."""
    optimizer = torch.optim.SGD(student.parameters(), settings.mimic_rate, settings.momentum)
    method = Mimic(student, optimizer, logits)
    training.run("mimic", method, lambda: (train.inputs, logits), batch=settings.batch)
    output = student.get_submodule("output")
    assert isinstance(output, nn.Linear)
    method.fold(output)
    return student


@torch.no_grad()
def logits_of(model: nn.Module, inputs: Tensor) -> Tensor:
    """What a network gives at all inputs."""
    return torch.cat([model(part) for part in inputs.split(PART // 10)])


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: MimicSettings,
    generator: torch.Generator,
) -> list[Picture]:
    """Filters of both students, through the bottleneck."""
    found = []
    for network in networks:
        narrow, wide = (network.model.get_submodule(n) for n in ("bottleneck", "linear1"))
        assert isinstance(narrow, nn.Linear)
        assert isinstance(wide, nn.Linear)
        weight = wide.weight.detach() @ narrow.weight.detach()
        found += filters(weight, test, f"the hidden layer, {network.name}")
    return found


ENTRY = Recipe(
    settings=MimicSettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    pictures=pictures,
)
