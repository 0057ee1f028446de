"""Pictures to word vectors, so that classes never trained on are told by their words (DeViSE).

A convolutional network learns the seen classes by softmax; its features held, a matrix from them to
word vectors learns by the hinge rank loss; then both learn together. Each network of words gives
the scores of all classes, seen or not: the products with their word vectors.

Origin: Frome, Corrado, Shlens, Bengio, Dean, Ranzato & Mikolov, NIPS 2013. Deliberate differences:
a small network on small pictures; word vectors of ``words``, or without a file a random unit vector
for each word of a class name, so that "red square" and "red circle" share a half; the same matrix
is also learned with the vectors dealt to the classes at random, which tells what words add.

Published: zero-shot hit rates of up to 18 % on thousands of ImageNet's labels (abstract).
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.results import wrong
from nakami.training import HingeRank, Supervised, Training
from nakami.zoo import cnn, lenet
from nakami.zoo._layers import layer

from ..results import Box, Picture, counted
from ._classifiers import Descent, classifier
from ._examples import DataFiles
from ._made_pictures import thirty_classes
from ._pictures import kernels, pictures_from, shape_of
from ._settings import FILE, POSITIVE, Bounds
from ._subject import Network, Recipe
from ._word_classes import WordClasses, held_out, told, word_classes

LEAST, PART, SHOWN = lenet.LEAST["none"], 500, 12


@dataclass(frozen=True)
class DeViSESettings:
    """What decides the weights, beside seed and data.

    Attributes:
        words: File of word vectors for the words of the class names; empty: random ones.
        width: Numbers of a random word vector.
        held_out: One class of so many is never trained on, the first of them; 0: none.
        margin: Of the hinge rank loss.
        epochs: Passes by softmax.
        matrix_epochs: Passes of the matrix, features held.
        joint_epochs: Passes of all together.
        rate: Learning rate by softmax.
        momentum: Share of the last update that is repeated there.
        word_rate: Adam's learning rate of the matrix; a tenth of it for all together.
        batch: Examples of one update.
    """

    words: Annotated[str, FILE] = ""
    width: Annotated[int, Bounds(2)] = 20
    held_out: Annotated[int, Bounds(0, without=(1,))] = 6
    margin: Annotated[float, POSITIVE] = 0.1
    epochs: int = 10
    matrix_epochs: int = 10
    joint_epochs: int = 5
    rate: Annotated[float, POSITIVE] = 0.02
    momentum: Annotated[float, Bounds(0, 1, without=(1,))] = 0.9
    word_rate: Annotated[float, POSITIVE] = 1e-3
    batch: Annotated[int, Bounds(1)] = 100


def examples_from(files: DataFiles | None) -> tuple[Examples, Examples]:
    """Training and test examples: thirty classes made here, or the caller's files."""
    return thirty_classes() if files is None else pictures_from(files)


def untrained(settings: DeViSESettings) -> nn.Sequential:
    """The network of words with first weights, in evaluation mode."""
    names = 30
    trunk = features_of(cnn.make((3, 28, 28), names))
    vectors = torch.eye(names, settings.width)
    generator = torch.Generator().manual_seed(0)
    return joined(trunk, matrix(trunk, (3, 28, 28), vectors, generator), vectors).eval()


def epochs(settings: DeViSESettings) -> Mapping[str, int]:
    """By softmax, the matrix, the matrix to words dealt at random, all together."""
    matrix = settings.matrix_epochs
    return {
        "softmax": settings.epochs,
        "matrix": matrix,
        "dealt": matrix,
        "joint": settings.joint_epochs,
    }


def stages(settings: DeViSESettings) -> tuple[str, ...]:
    """What pooling leaves, and the hidden units."""
    return ("pool1", "pool2", "hidden")


def features_of(net: nn.Sequential) -> nn.Sequential:
    """All layers but the last, shared with the network."""
    return nn.Sequential(OrderedDict(list(net.named_children())[:-1]))


def matrix(
    trunk: nn.Module, shape: tuple[int, ...], vectors: Tensor, generator: torch.Generator
) -> nn.Linear:
    """From features to word vectors, with first weights ``N(0, 1 / features)``."""
    with torch.no_grad():
        width = trunk(torch.zeros(1, *shape)).shape[1]
    d, std = vectors.shape[1], width**-0.5
    made = layer(nn.Linear, width, d, bias=False, std=std, generator=generator)
    assert isinstance(made, nn.Linear)
    return made


def joined(trunk: nn.Sequential, words: nn.Linear, vectors: Tensor) -> nn.Sequential:
    """Pictures to the scores of all words, ``(N, ...) -> (N, C)``; the last layer is not trained.

    It shares trunk and matrix with its parts.
    """
    scores = nn.utils.skip_init(nn.Linear, vectors.shape[1], len(vectors), bias=False)
    scores.weight = nn.Parameter(vectors.clone(), requires_grad=False)
    parts = OrderedDict[str, nn.Module](trunk.named_children())
    return nn.Sequential(OrderedDict([*parts.items(), ("words", words), ("scores", scores)]))


def train(
    training: Training, train: Examples, test: Examples, settings: DeViSESettings
) -> tuple[Network, ...]:
    """With a matrix to words dealt at random, to their own words, all learned together."""
    s, shape = settings, tuple(train.inputs.shape[1:])
    if len(shape) != 3 or min(shape[1:]) < LEAST:
        rule = f"hold pictures of {LEAST} pixels a side or more"
        raise wrong("data", rule, f"shape {shape}", "pass a folder of pictures with {size}=28")
    words = word_classes(train, s.held_out, s.words, s.width, training.generator("words"))
    seen, asked = words.shown(train), words.shown(test)
    first = training.generator("first weights")
    net = cnn.make((shape[0], shape[1], shape[2]), len(words.seen), generator=first)
    descent = Descent(s.epochs, s.rate, s.momentum, s.batch)
    softmax = classifier(training, "softmax", net, (seen, asked), descent)
    trunk, dealt = features_of(net), words.dealt(training.generator("dealt"))
    held = {name: _held(training, name, trunk, some, seen, s) for name, some in
            (("matrix", words), ("dealt", dealt))}  # fmt: skip
    whole = copy.deepcopy(held["matrix"])
    adam = torch.optim.Adam(whole[:-1].parameters(), s.word_rate / 10)
    loss = HingeRank(words.vectors[words.seen], s.margin)
    together = Supervised(whole[:-1], adam, loss, loss.name)
    training.run("joint", together, lambda: (seen.inputs, _labels(seen)), batch=s.batch)
    how = f"by softmax {descent}, then {counted(s.matrix_epochs, 'epoch')} of Adam on the hinge "
    how += f"rank loss at rate {s.word_rate}, features held"
    more = f"then {counted(s.joint_epochs, 'epoch')} of all layers at a tenth of it"
    before = [{**fact, "label": "test error by softmax, seen classes"} for fact in softmax.facts]
    return (
        Network("dealt", held["dealt"], f"{how}; words dealt to the classes at random",
                told(held["dealt"][:-1], dealt, test)),
        Network("matrix", held["matrix"], how, told(held["matrix"][:-1], words, test) + before),
        Network("joint", whole.eval(), f"{how}, {more}", told(whole[:-1], words, test)),
    )  # fmt: skip


def _held(
    training: Training,
    phase: str,
    trunk: nn.Sequential,
    words: WordClasses,
    seen: Examples,
    settings: DeViSESettings,
) -> nn.Sequential:
    """The trunk with a matrix that was learned while the trunk was held."""
    first, shape = training.generator("first matrix"), tuple(seen.inputs.shape[1:])
    made = matrix(trunk, shape, words.vectors, first)
    loss = HingeRank(words.vectors[words.seen], settings.margin)
    adam = torch.optim.Adam(made.parameters(), settings.word_rate)

    @torch.no_grad()
    def features() -> tuple[Tensor, Tensor]:
        return torch.cat([trunk(part) for part in seen.inputs.split(PART)]), _labels(seen)

    training.run(phase, Supervised(made, adam, loss, loss.name), features, batch=settings.batch)
    return joined(trunk, made, words.vectors).eval()


def _labels(examples: Examples) -> Tensor:
    assert examples.labels is not None
    return examples.labels


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: DeViSESettings,
    generator: torch.Generator,
) -> list[Picture]:
    """Kernels of the first convolution, and what pictures of unseen classes are taken for."""
    model = networks[-1].model
    first = model.get_submodule("conv1")
    assert isinstance(first, nn.Conv2d)
    return [*kernels(first.weight, "the first convolution"), *named(model, test, settings)]


@torch.no_grad()
def named(model: nn.Module, test: Examples, settings: DeViSESettings) -> list[Picture]:
    """Test pictures of classes never trained on, with the nearest of all words."""
    known = len(model.get_submodule("scores").weight)  # type: ignore[arg-type]
    unseen = held_out(known, settings.held_out).nonzero()[:, 0]
    shown = test[torch.isin(_labels(test), unseen)][:SHOWN]
    if not len(shown) or shape_of(shown) is None:
        return []
    names = test.classes or tuple(map(str, range(known)))
    height, width = shown.inputs.shape[-2:]
    boxes = []
    for i, (said, label) in enumerate(
        zip(model(shown.inputs).argmax(1).tolist(), _labels(shown).tolist(), strict=True)
    ):
        kind: Literal["right", "wrong"] = "right" if said == label else "wrong"
        boxes.append(Box(0, i, 0, 0, width, height, names[said], kind))
    caption = (
        "Test pictures of classes never trained on, and the class of all whose word is nearest to "
        "what the network makes of them."
    )
    images = shown.inputs.cpu()[None]
    return [
        Picture("Classes never shown", caption, images, (0.0, 1.0), boxes=tuple(boxes), columns=6)
    ]


ENTRY = Recipe(
    settings=DeViSESettings(),
    examples=examples_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    pictures=pictures,
)
