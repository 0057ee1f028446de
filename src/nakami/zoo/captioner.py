"""Pictures to sentences: a convolutional network and a recurrent language model, joined.

The features ``f`` of a picture become the first state of the language model, which then writes word
by word: ``s_0 = P f + p``, ``p`` being at first the state that it begins with alone. Word 0 begins
and ends every sentence.

Origin: Vinyals, Toshev, Bengio & Erhan, "Show and tell: a neural image caption generator", CVPR
2015. Deliberate differences: features go to the first state, not in as a first word; both parts are
any that were trained apart, so that the projection can be learned while they are held.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from nakami.results import check_at_least, wrong

from . import cnn
from ._beam import END, NONE, beam_search
from ._entry import Entry
from ._layers import layer, seeded
from .rnnlm import RecurrentLM

__all__ = ["END", "ENTRY", "NONE", "Captioner", "make", "sentence_log_prob"]


class Captioner(nn.Module):
    """What a picture is called, word by word.

    Args:
        trunk: Pictures to features, ``(N, ...) -> (N, F)``.
        language: Word 0 begins and ends sentences.
        features: F.
        generator: Source of the first weights of the projection, ``N(0, 1 / (100 F))``, so that
            the language model writes at first nearly as it does alone; None: a fresh one, seed 0.

    Attributes:
        trunk, language: Those given. projection: ``nn.Linear``, features to flat states.
    """

    def __init__(
        self,
        trunk: nn.Module,
        language: RecurrentLM,
        features: int,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        features = check_at_least("features", features, 1, "pass the width of the trunk's output")
        g, dtype = seeded(generator), language.embedding.weight.dtype
        std, size = 0.1 * features**-0.5, language.state_size
        self.trunk = trunk
        self.projection = layer(nn.Linear, features, size, std=std, generator=g, dtype=dtype)
        self.language = language
        with torch.no_grad():
            self.projection.bias.copy_(language.start(1)[0])

    def forward(self, pictures: Tensor) -> Tensor:
        """States from which the sentences of pictures begin, ``(N, ...) -> (N, state_size)``."""
        states: Tensor = self.projection(self.trunk(pictures))
        return states

    def logits(self, pictures: Tensor, words: Tensor) -> Tensor:
        """Logits of each word, given the true ones before it.

        Args:
            pictures: ``(N, ...)``.
            words: Sentences with their end, filled up with -1, ``(N, T)`` int64.

        Returns:
            ``(N, T, words)``; log-probabilities where the output is factored.
        """
        features, _ = self.language.unroll(_before(words), self(pictures))
        found: Tensor = self.language.output(features.flatten(0, 1))
        return found.unflatten(0, words.shape)

    def loss(self, states: Tensor, words: Tensor) -> Tensor:
        """Mean of ``-log p(sentence)``, nats, each word given the true ones before it.

        Args:
            states: As ``forward`` gives, ``(N, state_size)``.
            words: ``(N, K, T)`` int64, K sentences of each picture with their ends, filled up with
                -1; a row of -1 is none.
        """
        flat = words.flatten(0, 1)
        there = flat[:, 0] != NONE
        begun = states.repeat_interleave(words.shape[1], 0)
        return -sentence_log_prob(self.language, flat[there], begun[there]).sum(1).mean()

    def describe(
        self, pictures: Tensor, beam: int = 3, most: int = 20, power: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Sentences of pictures, by beam search.

        Args:
            pictures: ``(N, ...)``.
            beam: Beginnings that are kept at each step; 1: the most probable word at each.
            most: Words of a sentence, at most.
            power: Sentences are compared by ``log p / length^power``.

        Returns:
            ``(N, most + 1)`` int64 with their ends, filled up with -1, and ``(N,)``, what they were
            chosen by, nats.
        """
        with torch.no_grad():
            return beam_search(self.language, self(pictures), beam, most, power)

    def along(self, steps: int) -> nn.Sequential:
        """The network along the sentences that it writes: ``trunk``, ``projection``, ``word1``, ...

        ``word1`` is the state from which the first word is read out, ``word2`` the state after the
        most probable first word has been read, and so on. ``output`` gives the logits of word
        number ``steps``. Which words are read depends on the picture; between two changes of a word
        the derivative is that of the states alone.

        Args:
            steps: Number of words, 1 or more.

        Returns:
            A network ``(N, ...) -> (N, words)``, whose weights are these.
        """
        steps = check_at_least("steps", steps, 1, "use 5")
        parts = OrderedDict[str, nn.Module](trunk=self.trunk, projection=self.projection)
        for i in range(1, steps + 1):
            parts[f"word{i}"] = _Word(self.language, first=i == 1)
        return nn.Sequential(parts | {"output": _Output(self.language)})


def sentence_log_prob(language: RecurrentLM, words: Tensor, states: Tensor | None = None) -> Tensor:
    """Log-probability of each word of sentences given those before it, nats, ``(N, T)``.

    Args:
        language: Word 0 begins and ends sentences.
        words: Sentences with their end, filled up with -1, ``(N, T)`` int64; there it is 0.
        states: Before the first word, ``(N, state_size)``; None: those of the model alone.
    """
    if words.ndim != 2 or words.dtype != torch.long:
        got = f"{words.dtype} of shape {tuple(words.shape)}"
        raise wrong("words", "be int64 of shape (N, T)", got, "fill shorter sentences up with -1")
    features, _ = language.unroll(_before(words), states)
    return language.log_prob(features, words.clamp(min=END)) * (words != NONE)


def _before(words: Tensor) -> Tensor:
    """What is read before each word: the end of another sentence, then the words."""
    return torch.cat([torch.full_like(words[:, :1], END), words[:, :-1]], 1).clamp(min=END)


class _Word(nn.Module):
    """One step of the language model, at the most probable word of a state or at the beginning."""

    def __init__(self, language: RecurrentLM, first: bool):
        super().__init__()
        self.language, self.first = language, first

    def forward(self, state: Tensor) -> Tensor:
        """States before and after, ``(N, state_size)``."""
        words = self.language.output(self.language.read(state)).argmax(1)
        _, after = self.language.unroll((words * (not self.first))[:, None], state)
        return after


class _Output(nn.Module):
    """Logits of the word that a state gives."""

    def __init__(self, language: RecurrentLM):
        super().__init__()
        self.language = language

    def forward(self, state: Tensor) -> Tensor:
        """``(N, state_size) -> (N, words)``."""
        logits: Tensor = self.language.output(self.language.read(state))
        return logits


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """A small convolutional network and a GRU of 64 units, along sentences of four words.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    g = seeded(generator)
    trunk = cnn.make((3, 28, 28), generator=g)[:-1]
    language = RecurrentLM(15, generator=g)
    return Captioner(trunk, language, 500, generator=g).along(4)


ENTRY = Entry(
    make=make,
    input=(3, 28, 28),
    output=(15,),
    parameters=(75 * 20 + 20) + (500 * 50 + 50) + (800 * 500 + 500) + (500 * 64 + 64)
    + 15 * 64 + 2 * (192 * 64 + 192) + (64 * 15 + 15),
    task="features",
    origin="Vinyals et al. 2015",
    preprocessing="unit",
)  # fmt: skip
