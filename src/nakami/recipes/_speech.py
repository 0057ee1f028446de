"""What is said and drawn of a recogniser: word errors, confusions, an alignment."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nakami import speech
from nakami.data import Examples

from ..results import Lines, Picture
from ._facts import share_fact
from ._recordings import CONTEXT, parts_of

SHIFT, LARGER = 10, 12  # ms between frames; pixels a side of a number that is drawn


def word_fact(scores: Tensor, hmm: speech.HMM, test: Examples, label: str) -> dict[str, Any]:
    """Word error of recordings of one word each, with its binomial standard error."""
    _, counts, truth = parts_of(test)
    heard = speech.decode(scores, counts, hmm)
    found = speech.word_errors(
        [[str(word)] for word in truth.tolist()], [list(map(str, words)) for words in heard]
    )
    return share_fact(label, torch.tensor(found.errors) > 0, test.noun)


def network_facts(
    model: nn.Module, hmm: speech.HMM, priors: Tensor, test: Examples
) -> list[dict[str, Any]]:
    """Word errors of a network in place of the mixtures, with and without scaling by priors."""
    features, counts, _ = parts_of(test)
    ways = {"word error": priors, "word error with posteriors, priors not taken off": None}
    return [
        word_fact(speech.network_scores(model, features, counts, CONTEXT, taken), hmm, test, label)
        for label, taken in ways.items()
    ]


def confusion(scores: Tensor, hmm: speech.HMM, test: Examples) -> list[Picture]:
    """Words heard for words spoken; a recording in which nothing is heard counts nowhere."""
    _, counts, truth = parts_of(test)
    words = int(hmm.words.max()) + 1
    table = torch.zeros(words, words)
    for spoken, heard in zip(truth.tolist(), speech.decode(scores, counts, hmm), strict=True):
        for word in heard:
            table[spoken, word] += 1
    table = table / table.sum(1, keepdim=True).clamp_min(1)
    names = test.classes or tuple(map(str, range(words)))
    caption = (
        "Rows: words spoken; columns: words heard; the stronger, the larger the share of a row. "
        f"Both in the order {', '.join(names)}."
    )
    return [Picture("Words spoken and words heard", caption, _large(table), (0.0, 1.0))]


def alignments(scores: dict[str, Tensor], hmm: speech.HMM, test: Examples) -> list[Picture | Lines]:
    """States along the first test recording by each model, and what the last says of them.

    Args:
        scores: ``(N, T, senones)`` log-likelihoods of the test recordings, by model.
        hmm: Of one word.
        test: Recordings.
    """
    _, counts, truth = parts_of(test)
    n, lines = int(counts[0]), {}
    at = [float(SHIFT * t) for t in range(n)]
    for name, each in scores.items():
        path, total = speech.align(each[:1, :n], counts[:1], hmm, truth[:1])
        if bool(total.isfinite()):
            order = {s: i for i, s in enumerate(_states(hmm, int(truth[0])).tolist())}
            lines[name] = (at, [float(order[s]) for s in path[0].tolist()])
    if not lines:  # fewer frames than states
        return []
    chain = hmm.senones[_states(hmm, int(truth[0]))]
    shown = scores[[*scores][-1]][0, :n].softmax(1)[:, chain].T
    said = test.classes[int(truth[0])] if test.classes else str(int(truth[0]))
    caption = f"Viterbi's path through silence, the states of '{said}' and silence again."
    probable = f"Silence, the states of '{said}' from above, silence; time from left to right."
    title = "Alignment of a test recording"
    return [
        Lines(title, caption, "time, ms", "state, from left to right", lines),
        Picture("Probability of the states along it", probable, _large(shown), (0.0, 1.0)),
    ]


def _large(numbers: Tensor) -> Tensor:
    """A picture of numbers, ``(H, W) -> (1, 12 H, 12 W)``."""
    return numbers.repeat_interleave(LARGER, 0).repeat_interleave(LARGER, 1)[None]


def _states(hmm: speech.HMM, word: int) -> Tensor:
    """States that a path of this word may visit: silence before, the word, silence behind."""
    silent = (hmm.words < 0).nonzero()[:, 0]
    half = len(silent) // 2
    own = (hmm.words == word).nonzero()[:, 0]
    return torch.cat([silent[:half], own, silent[half:]])
