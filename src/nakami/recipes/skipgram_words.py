"""Word vectors by skip-gram with negative sampling.

Pairs of words near each other are drawn once from the text; the vectors learn to tell them from
pairs with words drawn at random. ``zoo.skipgram`` has origin and published figures. Without data of
the caller's the text is made of names as ``arcity`` with a stem and a part, about which analogies
are known: arland is to arcity as belland is to belcity.

Deliberate differences: Adam in small batches at a rate that falls to 0, dynamic windows and
subsampling drawn once for a training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from nakami import data
from nakami.data import Examples, Text
from nakami.training import Falling, NegativeSampling, Training
from nakami.zoo.skipgram import SkipGram

from ..results import Show, counted, named_as
from ._embedding_drift import drift, spectra
from ._examples import DataFiles
from ._made_words import known_analogies, parted_words
from ._settings import FILE, POSITIVE, Bounds
from ._subject import Network, Recipe
from ._texts import arranged, as_text, text_from
from ._times import milestones, run_looked_at
from ._word_facts import (
    Answers,
    Asked,
    analogy_facts,
    analogy_table,
    answers,
    counts_of,
    end_of,
    loss_fact,
    matrix_facts,
    nearest,
    vectors_of,
)


@dataclass(frozen=True)
class SkipGramSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        least: Words seen more rarely are one word, unknown.
        width: Numbers of a vector.
        window: Words on each side at most.
        negatives: Words drawn for each pair.
        thin: Share of the text above which words are thinned out; 0: none.
        questions: File of analogies to ask, four words a line; empty: those known of the made text.
        epochs: Passes over the pairs.
        rate: Adam's first learning rate, which falls to 0.
        batch: Pairs of one update.
    """

    least: Annotated[int, Bounds(1)] = 5
    width: Annotated[int, Bounds(1)] = 16
    window: Annotated[int, Bounds(1)] = 3
    negatives: Annotated[int, Bounds(1)] = 5
    thin: Annotated[float, Bounds(0, 1)] = 0.0
    questions: Annotated[str, FILE] = ""
    epochs: int = 5
    rate: Annotated[float, POSITIVE] = 0.01
    batch: Annotated[int, Bounds(1)] = 500


def words_from(files: DataFiles | None) -> tuple[Examples, Examples]:
    """Raw text: made here, or the caller's."""
    return text_from(files, parted_words)


def by_words(
    train: Examples, test: Examples, settings: SkipGramSettings
) -> tuple[Examples, Examples]:
    """Both texts word by word; the caller's questions are read too, before anything is trained."""
    if settings.questions:
        data.read_analogies(settings.questions)
    return arranged(train, test, "words", max(2, settings.least), length=1)


def untrained(settings: SkipGramSettings) -> SkipGram:
    """The network for the made text, with first weights, in evaluation mode."""
    train, _ = by_words(*ENTRY.examples(None), settings)
    return SkipGram(len(train.classes), settings.width).eval()


def epochs(settings: SkipGramSettings) -> Mapping[str, int]:
    """One phase."""
    return {"trained": settings.epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: SkipGramSettings
) -> tuple[Network]:
    """The one network."""
    s, text = settings, as_text(train, "words")
    pairs = pairs_of(text, s, training.seed)
    net = SkipGram(len(text.kinds), s.width, generator=training.generator("first weights"))
    counts = counts_of(text)
    adam = torch.optim.Adam(net.parameters(), s.rate)
    method = Falling(NegativeSampling(net, adam, counts, negatives=s.negatives), s.epochs)
    looks = milestones(s.epochs)
    times = run_looked_at(training, "trained", method, lambda: pairs, s.batch, looks, s.epochs)
    net.eval()
    asked = Asked(s.window, s.thin or None, s.negatives)
    found = analogies_of(net, text.kinds, s.questions)
    facts = [
        *loss_fact(net, counts, as_text(test, "words"), asked, training.generator("negatives")),
        *analogy_facts(found, len(text.kinds)),
        *matrix_facts(net, pairs, counts),
    ]
    said = (
        f"{counted(s.epochs, 'epoch')} of Adam from rate {s.rate} on {len(pairs[0]):,} pairs of "
        f"words at most {s.window} apart, {s.negatives} negatives each, of {train.source}"
    )
    return (Network("vectors", net, said, facts, times=times),)


def pairs_of(text: Text, settings: SkipGramSettings, seed: int) -> tuple[Tensor, Tensor]:
    """Words with words around them, within a line."""
    thin, end = settings.thin or None, end_of(text)
    with named_as("threshold", "thin"):
        return data.word_pairs(text.ids, settings.window, threshold=thin, end=end, seed=seed)


def analogies_of(net: SkipGram, kinds: Sequence[str], questions: str) -> dict[str, Answers]:
    """Of the caller's file or of the made text, by section."""
    sections = data.read_analogies(questions) if questions else known_analogies()
    return answers(vectors_of(net, kinds), sections)


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: SkipGramSettings,
    generator: torch.Generator,
) -> list[Show]:
    """Spectra and directions over the training, nearest words, analogies by section."""
    net, times = networks[-1].model, networks[-1].times
    assert isinstance(net, SkipGram)
    found = analogies_of(net, test.classes, settings.questions)
    shown: list[Show] = [spectra(net, times), *drift(times)]
    return shown + nearest(net, as_text(test, "words")) + analogy_table(found, len(test.classes))


ENTRY = Recipe(
    settings=SkipGramSettings(),
    examples=words_from,
    takes="a text file",
    untrained=untrained,
    epochs=epochs,
    train=train,
    labelled=False,
    arranged=by_words,
    pictures=pictures,
)
