"""Classes with word vectors, some of them never trained on, and how often these are told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.data import Examples, WordVectors, read_words
from nakami.results import wrong
from nakami.training import hits

from ._examples import classes
from ._facts import share_fact

PART = 500  # examples at a time


@dataclass(frozen=True)
class WordClasses:
    """Classes and their words.

    Attributes:
        names: Of the classes.
        vectors: ``(C, d)``, of length 1 each.
        seen: Classes that are trained on, in order.
    """

    names: tuple[str, ...]
    vectors: Tensor
    seen: Tensor

    @property
    def unseen(self) -> Tensor:
        """The other classes."""
        held = torch.ones(len(self.names), dtype=torch.bool)
        held[self.seen] = False
        return held.nonzero()[:, 0]

    def shown(self, examples: Examples) -> Examples:
        """Examples of the classes that are trained on, which are numbered 0, 1, ... there."""
        assert examples.labels is not None
        some = examples[torch.isin(examples.labels, self.seen)]
        assert some.labels is not None
        names = tuple(self.names[c] for c in self.seen)
        return replace(some, labels=torch.searchsorted(self.seen, some.labels), classes=names)

    def dealt(self, generator: torch.Generator) -> WordClasses:
        """The same with the vectors of all classes in a random order."""
        order = torch.randperm(len(self.names), generator=generator)
        return replace(self, vectors=self.vectors[order])


def held_out(known: int, step: int) -> Tensor:
    """Which of the classes are not trained on, ``(known,)`` bool: every ``step``-th from the first.

    None where ``step`` is 0, or where there are no more classes than that.
    """
    held = torch.zeros(known, dtype=torch.bool)
    if step and known > step:
        held[::step] = True
    return held


def word_classes(
    examples: Examples, step: int, path: str, width: int, generator: torch.Generator
) -> WordClasses:
    """The classes of labelled examples.

    Args:
        examples: To train on.
        step: As for ``held_out``.
        path: File of word vectors; empty: a random one of each word of a name.
        width: Of a random one.
        generator: Of the random ones.

    Raises:
        UsageError: Fewer than two classes to train on, no examples of them, or a word without a
            vector.
    """
    names = tuple(examples.classes or map(str, range(classes(examples))))
    held = held_out(len(names), step)
    seen = len(names) - int(held.sum())
    if seen < 2:
        rule = f"leave two of the {len(names)} classes or more to train on"
        raise wrong("setting held_out", rule, f"{step}, which leaves {seen}", "write held_out = 0")
    if path:
        source = read_words(path)
    else:
        parts = tuple(sorted({part for name in names for part in WordVectors.parts(name)}))
        drawn = torch.randn(len(parts), width, generator=generator)
        source = WordVectors(parts, F.normalize(drawn, dim=1))
    found = WordClasses(names, source.of(names), (~held).nonzero()[:, 0])
    if not len(found.shown(examples)):
        got = "those of classes held out alone"
        raise wrong("data", "hold examples to train on", got, "write held_out = 0")
    return found


@torch.no_grad()
def told(model: nn.Module, words: WordClasses, test: Examples) -> list[dict[str, Any]]:
    """How often the nearest word is right: of classes trained on, and of the others.

    Args:
        model: Examples to vectors, ``(N, ...) -> (N, d)``.
        words: The classes.
        test: Examples with labels.

    Returns:
        Facts in percent: seen classes among all words, unseen ones among all, and among unseen
        alone; those that test examples are there for, with more words than one to choose among.
    """
    assert test.labels is not None
    facts, unseen = [], words.unseen.tolist()
    for kind, those, among in (
        ("seen class told among all", words.seen, None),
        ("unseen class told among all", words.unseen, None),
        ("unseen class told among unseen", words.unseen, unseen),
    ):
        some = test[torch.isin(test.labels, those)]
        choices = len(words.names if among is None else among)
        if not len(some) or choices < 2:
            continue
        assert some.labels is not None
        outputs = torch.cat([model(part) for part in some.inputs.split(PART)])
        right = hits(outputs, some.labels, words.vectors, among=among)
        guess = 100 / choices
        facts.append(share_fact(kind, right, test.noun, f"; a guess: {guess:.3g}"))
    return facts
