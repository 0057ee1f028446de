"""Captions: a network of pictures and a language model, trained apart, joined, trained together.

A convolutional network learns what is in pictures, a recurrent language model learns sentences that
it sees without pictures. Both held, a projection from features to the first state of the language
model learns to give the sentence of a picture; then all learn together. The page shows what the
joint costs: perplexity without pictures, with others' pictures, held, fine-tuned, and, of made
pictures, that of the rules which made the sentences, and how many of the captions written are true.

Origin and deliberate differences: ``zoo.captioner``. Without data of the caller's the pictures are
made (``data.captioned_shapes``) and the first network learns which of twelve shapes are there; of a
folder with captions it learns which words are said.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.data import Captioned, Examples
from nakami.results import wrong
from nakami.training import Falling, Supervised, Training, Unsupervised
from nakami.zoo import cnn, lenet
from nakami.zoo.captioner import Captioner, sentence_log_prob
from nakami.zoo.rnnlm import RecurrentLM

from ..results import Show, counted
from ._caption_pictures import lost, written
from ._captions import (
    captioned,
    captioner_facts,
    captions_from,
    counts,
    features,
    labels,
    least_perplexity,
    nats,
    numbered,
    perplexity_fact,
    sentences,
    tags,
)
from ._pictures import kernels
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe

LEAST, FEATURES, SHOWN, STEPS = lenet.LEAST["none"], 500, 10, 6
SLOWER = 0.3  # the rate of the network of pictures where all learn, by that of the others
NATS = "nats a sentence"


@dataclass(frozen=True)
class CaptionSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        least: Words seen more rarely are one, unknown.
        cell: Units of the language model; elman: sigmoid.
        hidden: How many.
        trunk_epochs: Passes of the network of pictures over its labels.
        language_epochs: Passes of the language model over the sentences.
        frozen_epochs: Passes of the projection, both held.
        finetune_epochs: Passes of all together.
        rate: Adam's first learning rate, which falls to 0 in each phase; 0.3 of it for the network
            of pictures where all learn together.
        beam: Beginnings of sentences that are kept in writing.
        batch: Pictures, or sentences, of one update.
    """

    least: Annotated[int, Bounds(1)] = 1
    cell: Literal["elman", "tanh", "gru", "lstm"] = "gru"
    hidden: Annotated[int, Bounds(1)] = 64
    trunk_epochs: int = 6
    language_epochs: int = 3
    frozen_epochs: int = 10
    finetune_epochs: int = 8
    rate: Annotated[float, POSITIVE] = 3e-3
    beam: Annotated[int, Bounds(1)] = 3
    batch: Annotated[int, Bounds(1)] = 50


def made(
    train: Captioned, settings: CaptionSettings, generator: torch.Generator
) -> tuple[nn.Sequential, Captioner]:
    """The network of pictures as it is taught apart, and the captioner with its features."""
    shape = tuple(train.inputs.shape[1:])
    if min(shape[1:]) < LEAST:
        rule = f"hold pictures of {LEAST} pixels a side or more"
        raise wrong("data", rule, f"shape {shape}", "pass {size}=32")
    net = cnn.make((shape[0], shape[1], shape[2]), tags(train).shape[1], generator=generator)
    words, hidden = len(train.words), settings.hidden
    language = RecurrentLM(words, hidden, cell=settings.cell, generator=generator)
    return net, Captioner(net[:-1], language, FEATURES, generator=generator)


def untrained(settings: CaptionSettings) -> Captioner:
    """The captioner for made pictures with first weights, in evaluation mode."""
    train, _ = numbered(*captions_from(None), settings.least)
    return made(train, settings, torch.Generator().manual_seed(0))[1].eval()


def epochs(settings: CaptionSettings) -> Mapping[str, int]:
    """Pictures alone, sentences alone, the projection, all together."""
    s = settings
    return {
        "pictures": s.trunk_epochs,
        "sentences": s.language_epochs,
        "frozen": s.frozen_epochs,
        "finetuned": s.finetune_epochs,
    }


def stages(settings: CaptionSettings) -> tuple[str, ...]:
    """What pooling leaves, the features, the first state, states by word."""
    words = (f"word{i}" for i in range(1, STEPS + 1))
    return ("trunk.pool1", "trunk.pool2", "trunk", "projection", *words)


def train(
    training: Training, train: Examples, test: Examples, settings: CaptionSettings
) -> tuple[Network, ...]:
    """With both parts held, and fine-tuned."""
    s, pairs, asked = settings, captioned(train), captioned(test)
    net, model = made(pairs, s, training.generator("first weights"))
    apart(training, net, model.language, pairs, s)
    alone = nats(model.language, asked, None)
    facts = [perplexity_fact("perplexity without pictures", alone, counts(asked))]
    facts += [] if asked.layout is None else [least_perplexity(asked)]
    projected(training, model, pairs, s)
    whole = copy.deepcopy(model)
    finetuned(training, whole, pairs, s)
    how = (
        f"{counted(s.trunk_epochs, 'epoch')} of Adam on what is in the pictures, "
        f"{s.language_epochs} on sentences alone, {s.frozen_epochs} on the projection between both"
    )
    said = {
        "frozen": (model, f"{how}, on the {pairs.source}", facts),
        "finetuned": (whole, f"{how}, {s.finetune_epochs} on all, on the {pairs.source}", []),
    }
    return tuple(
        Network(name, net.eval(), text, [*captioner_facts(net, asked, s.beam), *more])
        for name, (net, text, more) in said.items()
    )


def apart(
    training: Training,
    net: nn.Sequential,
    language: RecurrentLM,
    pairs: Captioned,
    settings: CaptionSettings,
) -> None:
    """Train both parts, each on its own data."""
    s = settings
    adam = torch.optim.Adam(net.parameters(), s.rate)
    method = Supervised(net, adam, F.binary_cross_entropy_with_logits, "cross-entropy of a tag")
    falling = Falling(method, s.trunk_epochs)
    training.run("pictures", falling, lambda: (pairs.inputs, tags(pairs)), batch=s.batch)
    adam = torch.optim.Adam(language.parameters(), s.rate)

    def objective(words: Tensor) -> Tensor:
        return -sentence_log_prob(language, words).sum(1)

    model = Falling(Unsupervised(language, adam, objective, NATS), s.language_epochs)
    training.run("sentences", model, lambda: (sentences(pairs),), batch=s.batch)


def projected(
    training: Training, model: Captioner, pairs: Captioned, settings: CaptionSettings
) -> None:
    """Train the projection, both parts held."""
    s = settings
    model.language.requires_grad_(False)
    adam = torch.optim.Adam(model.projection.parameters(), s.rate)
    method = Falling(Supervised(model.projection, adam, model.loss, NATS), s.frozen_epochs)
    training.run(
        "frozen", method, lambda: (features(model.trunk, pairs), labels(pairs)), batch=s.batch
    )
    model.language.requires_grad_(True)


def finetuned(
    training: Training, model: Captioner, pairs: Captioned, settings: CaptionSettings
) -> None:
    """Train all together."""
    s = settings
    rest = [*model.projection.parameters(), *model.language.parameters()]
    trunk: Any = {"params": [*model.trunk.parameters()], "lr": SLOWER * s.rate}
    adam = torch.optim.Adam([trunk, {"params": rest}], s.rate)
    method = Falling(Supervised(model, adam, model.loss, NATS), s.finetune_epochs)
    training.run("finetuned", method, lambda: (pairs.inputs, labels(pairs)), batch=s.batch)


def measured(networks: Sequence[Network], test: Examples) -> tuple[tuple[Network, ...], Examples]:
    """The networks along the sentences that they write, from pictures to words."""
    opened = []
    for network in networks:
        assert isinstance(network.model, Captioner)
        model = network.model.along(STEPS).eval()
        opened.append(replace(network, model=model, trained=network.model))
    return tuple(opened), replace(test, labels=None)


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: CaptionSettings,
    generator: torch.Generator,
) -> list[Show]:
    """Test pictures with what is written below them before and after, and kernels."""
    models, asked = {}, captioned(test)
    for network in networks:
        model = network.trained or network.model
        assert isinstance(model, Captioner)
        models[network.name] = model
    first = model.get_submodule("trunk").get_submodule("conv1")
    assert isinstance(first, nn.Conv2d)
    drawn = kernels(first.weight, "the first convolution, fine-tuned")
    return [*written(models, asked[:SHOWN], settings.beam), *lost(models, asked), *drawn]


ENTRY = Recipe(
    settings=CaptionSettings(),
    examples=captions_from,
    takes="a folder of pictures with a table captions.txt",
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    labelled=False,
    arranged=lambda train, test, settings: numbered(train, test, settings.least),
    measured=measured,
    pictures=pictures,
)
