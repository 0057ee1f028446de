"""What is said and drawn of a recogniser: word errors, confusions, an alignment."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nakami import speech
from nakami.data import Examples

from ..results import Lines, Picture, counted
from ._facts import resampled_fact, share_fact
from ._recordings import CONTEXT, SPEAKER, parts_of

SHIFT, LARGER = 10, 12  # ms between frames; pixels a side of a number that is drawn


def word_fact(scores: Tensor, hmm: speech.HMM, test: Examples, label: str) -> dict[str, Any]:
    """Word error of recordings of one word each.

    Recordings of one speaker are alike, so the standard error is that over speakers; of one speaker
    alone, or where they are not known, it is the binomial one, which says nothing of others.
    """
    _, counts, truth = parts_of(test)
    heard = speech.decode(scores, counts, hmm)
    found = speech.word_errors(
        [[str(word)] for word in truth.tolist()], [list(map(str, words)) for words in heard]
    )
    wrong, who = torch.tensor(found.errors) > 0, test.inputs[SPEAKER]
    n = len(who.unique())
    if bool((who < 0).any()) or n < 2 or len(wrong.unique()) < 2:
        return share_fact(label, wrong, test.noun, ", of one speaker" if n == 1 else "")
    share, error = float(wrong.double().mean()), error_over(wrong, who)
    how = f"over {counted(n, 'speaker')}, {counted(len(wrong), test.noun)}"
    return resampled_fact(label, share, error, n, "speaker", how)


def error_over(values: Tensor, groups: Tensor) -> float:
    """Standard error of a mean of ``(N,)`` whose groups, ``(N,)`` int64, are drawn, two or more.

    Of groups of one size the standard deviation of their means by the root of their number.

    Source: Cochran, Sampling techniques, 3rd ed., 1977, chapter 9A (clusters of unequal sizes).
    """
    numbers, at = groups.unique(return_inverse=True)
    k, away = len(numbers), values.double() - values.double().mean()
    of_groups = away.new_zeros(k).index_add(0, at, away)
    return float((k / (k - 1) * of_groups.square().sum()).sqrt()) / len(values)


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


def alignments(
    models: dict[str, tuple[Tensor, speech.HMM]], test: Examples
) -> list[Picture | Lines]:
    """States along the first test recording by each model, and what the last says of them.

    Args:
        models: ``(N, T, senones)`` log-likelihoods of the test recordings, and the grammar of one
            word with its probabilities.
        test: Recordings.
    """
    _, counts, truth = parts_of(test)
    n, lines = int(counts[0]), {}
    at = [float(SHIFT * t) for t in range(n)]
    for name, (each, hmm) in models.items():
        path, total = speech.align(each[:1, :n], counts[:1], hmm, truth[:1])
        if bool(total.isfinite()):
            order = {s: i for i, s in enumerate(_states(hmm, int(truth[0])).tolist())}
            lines[name] = (at, [float(order[s]) for s in path[0].tolist()])
    if not lines:  # fewer frames than states
        return []
    chain = hmm.senones[_states(hmm, int(truth[0]))]
    shown = each[0, :n].softmax(1)[:, chain].T
    said = test.classes[int(truth[0])] if test.classes else str(int(truth[0]))
    caption = f"Viterbi's path through silence, the states of '{said}' and silence again."
    probable = (
        f"Silence, the states of '{said}' from above, silence; time from left to right. By "
        "likelihoods alone, as if all states were as frequent."
    )
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
