"""Kneser-Ney n-grams: NLTK counts and recurs, its sums over all contexts are looked up in tables.

NLTK 3.10's own ``KneserNeyInterpolated`` goes through all contexts of an order for each probability
of a lower one, which for Penn Treebank is 10^5 to 10^6 steps a word. The tests compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from nltk.lm import Vocabulary
from nltk.lm.models import InterpolatedLanguageModel
from nltk.lm.smoothing import KneserNey
from torch import Tensor

START = "<s>"


class TabulatedKneserNey(KneserNey):
    """NLTK's smoothing; numbers of continuations are tables by context, made once an order."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._tables: dict[int, dict[tuple[str, ...], tuple[dict[str, int], int]]] = {}
        self._sums: dict[tuple[str, ...], int] = {}

    def alpha_gamma(self, word: str, context: tuple[str, ...]) -> tuple[float, float]:
        """As NLTK's: the discounted share, and what is left for the shorter context."""
        counts = self.counts[context]
        if len(context) + 1 == self._order:
            if context not in self._sums:
                self._sums[context] = counts.N()
            often, total = counts[word], self._sums[context]
        else:
            often, total = self._continuation_counts(word, context)
        return max(often - self.discount, 0.0) / total, self.discount * len(counts) / total

    def _continuation_counts(self, word: str, context: tuple[str, ...] = ()) -> tuple[int, int]:
        order = len(context) + 2
        if order not in self._tables:
            by = dict[tuple[str, ...], dict[str, int]]()
            for prefix, counts in self.counts[order].items():
                own = by.setdefault(prefix[1:], {})
                for each in counts:
                    own[each] = own.get(each, 0) + 1
            self._tables[order] = {c: (own, sum(own.values())) for c, own in by.items()}
        own, total = self._tables[order].get(context, ({}, 0))
        return own.get(word, 0), total


def fitted(words: Sequence[str], order: int, discount: float) -> InterpolatedLanguageModel:
    """The model of a text, which is one sequence with a start before it."""
    model = InterpolatedLanguageModel(
        TabulatedKneserNey,
        order,
        vocabulary=Vocabulary(words, unk_cutoff=1),
        params={"order": order, "discount": discount},
    )
    model.counts.update([_grams(words, order)])
    return model


def log_probs(model: InterpolatedLanguageModel, words: Sequence[str]) -> Tensor:
    """Of each word of a text after all before it, nats, ``(n,)`` float64."""
    before = model.order - 1
    text = (START,) * before + tuple(words)
    scores = (model.unmasked_score(text[i], text[i - before : i]) for i in range(before, len(text)))
    return torch.tensor([math.log(score) for score in scores], dtype=torch.float64)


def _grams(words: Sequence[str], order: int) -> Iterator[tuple[str, ...]]:
    text = (START,) * (order - 1) + tuple(words)
    for i in range(order - 1, len(text)):
        for n in range(order):
            yield text[i - n : i + 1]
