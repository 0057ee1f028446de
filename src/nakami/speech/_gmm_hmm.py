"""The usual recogniser: mixtures of Gaussians behind a hidden Markov model, fitted by alignment."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..results import check_at_least
from ._features import padded, within
from ._grammar import Lexicon, grammar
from ._hidden_markov import HMM
from ._mixtures import StateMixtures
from ._recognition import align, stay_probabilities, tied

STAY = 0.7  # before anything is aligned


@dataclass(frozen=True)
class GMMHMM:
    """Mixtures, the grammar with its probabilities, and the last alignment.

    Attributes:
        mixtures: Of the tied states. hmm: one word of the lexicon.
        states: The tied state of each frame of the recordings it was fitted to, ``(frames,)``; -1
            in recordings that are too short for their word.
    """

    mixtures: StateMixtures
    hmm: HMM
    states: Tensor

    @classmethod
    def fit(
        cls,
        features: Tensor,
        counts: Tensor,
        labels: Tensor,
        lexicon: Lexicon,
        states: Tensor,
        *,
        mixed: int = 4,
        rounds: int = 3,
    ) -> GMMHMM:
        """Fit mixtures to the states of the frames, align with them, and so on.

        The first round has one Gaussian for each state.

        Args:
            features: ``(N, T, D)``.
            counts: Frames of each recording.
            labels: Words, ``(N,)``.
            lexicon: Words as senones.
            states: Senones to begin with, ``(frames,)``, as ``flat_start`` gives them; -1 where
                they are not known.
            mixed: Gaussians of a senone, a power of two.
            rounds: Of fitting and aligning, 1 or more.
        """
        rounds = check_at_least("rounds", rounds, 1, "pass 3")
        n, rows = lexicon.senones, features[within(counts, features.shape[1])]
        hmm = grammar(lexicon, torch.full((n,), STAY))
        for i in range(rounds):
            mixtures = StateMixtures.fit(rows, states, n, mixed if i or rounds == 1 else 1)
            states, stays = realigned(padded(mixtures(rows), counts), counts, hmm, labels, n)
            hmm = grammar(lexicon, stays)
        return cls(StateMixtures.fit(rows, states, n, mixed), hmm, states)

    def scores(self, features: Tensor, counts: Tensor) -> Tensor:
        """Log-likelihoods of recordings, ``(N, T, D) -> (N, T, senones)``."""
        return padded(self.mixtures(features[within(counts, features.shape[1])]), counts)


def realigned(
    scores: Tensor, counts: Tensor, hmm: HMM, labels: Tensor, senones: int
) -> tuple[Tensor, Tensor]:
    """Senones of all frames by alignment to the words spoken, and how probable it is to stay.

    Args:
        scores: ``(N, T, senones)`` log-likelihoods.
        counts: Frames of each recording.
        hmm: Of one word.
        labels: Words, ``(N,)``.
        senones: How many there are.

    Returns:
        ``(frames,)`` int64, -1 in recordings that no path fits; and ``(senones,)``.
    """
    path, total = align(scores, counts, hmm, labels)
    fits = total.isfinite()
    states = tied(path, hmm, counts)
    states[~fits.repeat_interleave(counts)] = -1
    return states, stay_probabilities(path[fits], hmm, senones)


def flat_start(counts: Tensor, labels: Tensor, lexicon: Lexicon) -> Tensor:
    """Senones of frames where nothing is known: each recording cut into equal parts, ``(frames,)``.

    Silence, the word's first pronunciation, silence.

    Args:
        counts: Frames of each recording, ``(N,)``.
        labels: Words, ``(N,)``.
        lexicon: Words as senones.
    """
    chains = dict(zip(reversed(lexicon.words), reversed(lexicon.chains), strict=True))
    parts = []
    for n, label in zip(counts.tolist(), labels.tolist(), strict=True):
        word = chains[lexicon.vocabulary[label]]
        chain = torch.tensor([*lexicon.silence, *word, *lexicon.silence])
        parts.append(chain[torch.arange(n) * len(chain) // n])
    return torch.cat(parts)
