"""From likelihoods of tied states to alignments and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from ..results import RunError, wrong
from ._features import padded, windows, within
from ._hidden_markov import HMM, viterbi, words_of

PART = 200  # recordings, or thousands of frames, at a time
MISSING = "word errors need jiwer, which is not installed; pip install 'nakami[speech]' adds it."


def scaled(logits: Tensor, log_priors: Tensor) -> Tensor:
    """``log p(s | x) - log p(s)``, the log-likelihood of a state up to ``log p(x)``, ``(N, S)``.

    Source: Bourlard & Morgan, Connectionist speech recognition, 1994; Seide, Li & Yu 2011.
    """
    return logits.log_softmax(-1) - log_priors


def log_priors(states: Tensor, count: int) -> Tensor:
    """``log p(s)`` by the share of frames in each state, one frame added to each; below 0: none."""
    n = torch.bincount(states[states >= 0], minlength=count) + 1.0
    return (n / n.sum()).log()


def stay_probabilities(path: Tensor, hmm: HMM, count: int) -> Tensor:
    """How often a tied state was followed by itself on paths ``(N, T)``, ``(count,)``.

    One step more of either kind is added to each. The end of a path is no step: recordings are cut
    somewhere in the silence behind a word.
    """
    before, after = path[:, :-1], path[:, 1:]
    there = after >= 0
    senones = hmm.senones.to(path.device)[before[there]]
    stayed = torch.bincount(senones[before[there] == after[there]], minlength=count)
    return (stayed + 1.0) / (torch.bincount(senones, minlength=count) + 2.0)


@torch.no_grad()
def network_scores(
    model: nn.Module, features: Tensor, counts: Tensor, context: int, priors: Tensor | None
) -> Tensor:
    """Scaled log-likelihoods of recordings by a network of windows, ``(N, T, senones)``.

    Args:
        model: Windows to logits.
        features: ``(N, T, D)``.
        counts: Frames of each recording.
        context: Frames before and behind in a window.
        priors: Log-priors that are taken off; None: posteriors as they are.
    """
    found = []
    for x, n in zip(features.split(PART), counts.split(PART), strict=True):
        logits = model(windows(x, n, context))
        found.append(logits.log_softmax(1) if priors is None else scaled(logits, priors))
    return padded(torch.cat(found), counts)


def align(scores: Tensor, counts: Tensor, hmm: HMM, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Paths of recordings whose word is known, ``(N, T)`` states of the grammar, and their scores.

    Args:
        scores: ``(N, T, senones)`` log-likelihoods.
        counts: Frames of each recording.
        hmm: Of one word.
        labels: The words, ``(N,)``.
    """
    return _paths(scores, counts, hmm, labels)


def decode(scores: Tensor, counts: Tensor, hmm: HMM) -> list[list[int]]:
    """Words of recordings; nothing where no path fits.

    Args:
        scores: ``(N, T, senones)`` log-likelihoods.
        counts: Frames of each recording.
        hmm: The grammar.
    """
    path, total = _paths(scores, counts, hmm, None)
    found = words_of(path, hmm)
    return [words if good else [] for words, good in zip(found, total.isfinite(), strict=True)]


def _paths(
    scores: Tensor, counts: Tensor, hmm: HMM, labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    found, hmm = [], hmm.to(scores)
    for i in range(0, len(scores), PART):
        part, n = scores[i : i + PART], counts[i : i + PART]
        of_states = part[:, :, hmm.senones]
        if labels is not None:
            own = (hmm.words == labels[i : i + PART, None].to(scores.device)) | (hmm.words < 0)
            of_states = of_states.masked_fill(~own[:, None], -torch.inf)
        found.append(viterbi(of_states, hmm, n))
    return torch.cat([path for path, _ in found]), torch.cat([total for _, total in found])


def tied(path: Tensor, hmm: HMM, counts: Tensor) -> Tensor:
    """Senones of the frames on paths, one recording after the other, ``(frames,)``."""
    inside = within(counts.to(path.device), path.shape[1])
    return hmm.senones.to(path.device)[path[inside]]


@dataclass(frozen=True)
class WordErrors:
    """Word errors of recordings.

    Attributes:
        errors: Substitutions, deletions and insertions of each recording. words: spoken in each.
    """

    errors: tuple[int, ...]
    words: tuple[int, ...]

    @property
    def rate(self) -> float:
        """Errors by words spoken; above 1 where more words are put in than were heard rightly."""
        return sum(self.errors) / sum(self.words)


def word_errors(truth: Sequence[Sequence[str]], heard: Sequence[Sequence[str]]) -> WordErrors:
    """Word errors as jiwer counts them, by the least changes from words spoken to words heard.

    Args:
        truth: Words of each recording, one or more.
        heard: What was recognised.

    Raises:
        RunError: jiwer is not installed.
    """
    if find_spec("jiwer") is None:
        raise RunError(MISSING)
    import jiwer

    if len(truth) != len(heard) or not all(map(len, truth)):
        rule = f"hold words for each of {len(heard)} recordings"
        raise wrong("truth", rule, len(truth), "pass a list of words for each")
    as_text = [
        [" ".join(w.replace(" ", "_") for w in ws) for ws in each] for each in (truth, heard)
    ]
    found = jiwer.process_words(*as_text)
    errors = tuple(sum(map(_changes, steps)) for steps in found.alignments)
    return WordErrors(errors, tuple(map(len, truth)))


def _changes(chunk: Any) -> int:
    """Words that one piece of jiwer's alignment changes, puts in, or leaves out."""
    if chunk.type == "equal":
        return 0
    return max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
