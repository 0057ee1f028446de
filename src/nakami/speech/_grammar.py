"""Words as chains of tied states, and the hidden Markov model of a grammar of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..results import wrong
from ._hidden_markov import HMM

SILENT = -1  # the word of silence


@dataclass(frozen=True)
class Lexicon:
    """Words as tied states (senones) from left to right.

    Attributes:
        words: The word of each pronunciation; one that has several stands there several times.
        chains: The senones of each pronunciation in order, one or more.
        silence: Senones of silence, which may stand before and behind a word; none: without.
    """

    words: tuple[str, ...]
    chains: tuple[tuple[int, ...], ...]
    silence: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.words) != len(self.chains) or not all(self.chains):
            rule = f"name one senone or more for each of {len(self.words)} words"
            raise wrong("chains", rule, len(self.chains), "give a tuple for each word")

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The words 0, 1, ..., in the order in which they first stand in ``words``."""
        return tuple(dict.fromkeys(self.words))

    @property
    def senones(self) -> int:
        """How many tied states there are."""
        return 1 + max(max(chain) for chain in (*self.chains, self.silence or (0,)))

    @classmethod
    def untied(cls, words: Sequence[str], states: int, silence: int = 1) -> Lexicon:
        """Words of so many states each, none shared; those of silence come last."""
        chains = tuple(tuple(range(i * states, (i + 1) * states)) for i in range(len(words)))
        n = len(words) * states
        return cls(tuple(words), chains, tuple(range(n, n + silence)))


def grammar(lexicon: Lexicon, stays: Tensor, *, loop: bool = False) -> HMM:
    """One word of the lexicon, or any number of them, between silence that may be left out.

    All words are as probable; where a path may go on or end, each way has an equal share.

    Args:
        lexicon: W words.
        stays: ``(senones,)``, probability that a tied state is followed by itself, in 0..1.
        loop: Whether words follow each other.
    """
    if len(stays) != lexicon.senones or not bool(((stays >= 0) & (stays < 1)).all()):
        rule = f"be {lexicon.senones} probabilities below 1"
        raise wrong("stays", rule, tuple(stays.shape), "pass stay_probabilities(...)")
    net, vocabulary = _Net(stays.double()), lexicon.vocabulary
    spoken = [
        (vocabulary.index(word), *net.chain(chain, vocabulary.index(word)))
        for word, chain in zip(lexicon.words, lexicon.chains, strict=True)
    ]
    starts = [[first for word, first, _ in spoken if word == i] for i in range(len(vocabulary))]
    before = [net.chain(lexicon.silence, SILENT)] if lexicon.silence else []
    behind = before if loop or not before else [net.chain(lexicon.silence, SILENT)]
    net.begin([*([[first]] for first, _ in before), starts])
    following = [[[first]] for first, _ in behind] + ([starts] if loop else [])
    for _, _, end in spoken:
        net.leave(end, following, last=True)
    for _, end in before:
        net.leave(end, [starts], last=loop)
    for _, end in behind if not loop else []:
        net.leave(end, [], last=True)
    return net.model([first for word in starts for first in word])


Groups = list[list[list[int]]]  # ways, in each words, of each its pronunciations


class _Net:
    """Arcs between states, as they are added."""

    def __init__(self, stays: Tensor):
        self.stays = stays.tolist()
        self.senones, self.words = list[int](), list[int]()
        self.arcs = list[list[tuple[int, float]]]()  # into each state
        self.first, self.last = dict[int, float](), dict[int, float]()

    def chain(self, senones: Sequence[int], word: int) -> tuple[int, int]:
        """States from left to right; the first and the last of them."""
        begin = len(self.senones)
        for i, senone in enumerate(senones, begin):
            stay = self.stays[senone]
            self.senones.append(senone)
            self.words.append(word)
            arcs = [(i, stay)]
            if i > begin:
                arcs.append((i - 1, 1 - self.stays[self.senones[i - 1]]))
            self.arcs.append(arcs)
        return begin, len(self.senones) - 1

    def begin(self, ways: Groups) -> None:
        """Begin in one of these ways, all as probable."""
        self.first = dict(_shares(ways, 1.0))

    def leave(self, state: int, ways: Groups, last: bool) -> None:
        """Leave a state in one of these ways or end, all as probable."""
        share = (1 - self.stays[self.senones[state]]) / (len(ways) + last)
        for other, p in _shares(ways, share * len(ways)):
            self.arcs[other].append((state, p))
        if last:
            self.last[state] = share

    def model(self, starts: list[int]) -> HMM:
        """All of it as tensors."""
        n, most = len(self.senones), max(map(len, self.arcs))
        filled = [arcs + [(0, 0.0)] * (most - len(arcs)) for arcs in self.arcs]
        entries = torch.zeros(n, dtype=torch.bool)
        entries[starts] = True
        return HMM(
            torch.tensor([[source for source, _ in arcs] for arcs in filled]),
            torch.tensor([[_log(p) for _, p in arcs] for arcs in filled]),
            torch.tensor([_log(self.first.get(i, 0.0)) for i in range(n)]),
            torch.tensor([_log(self.last.get(i, 0.0)) for i in range(n)]),
            torch.tensor(self.senones),
            torch.tensor(self.words),
            entries,
        )


def _shares(ways: Groups, whole: float) -> Iterator[tuple[int, float]]:
    """First states with their part of a probability: ways, then words, then pronunciations."""
    for words in ways:
        for chains in words:
            for state in chains:
                yield state, whole / len(ways) / len(words) / len(chains)


def _log(p: float) -> float:
    return math.log(p) if p > 0 else -math.inf
