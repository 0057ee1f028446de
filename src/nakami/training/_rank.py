"""Pictures to word vectors: the hinge rank loss, and how often the right word is near.

Origin: Frome, Corrado, Shlens, Bengio, Dean, Ranzato & Mikolov, "DeViSE: a deep visual-semantic
embedding model", NIPS 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import check_at_least, is_number, is_whole, wrong, wrong_type

TO_UNIT = "pass torch.nn.functional.normalize(words)"


@final
class HingeRank:
    """``sum_{j != y} max(0, margin - t_y . z + t_j . z)`` of outputs ``z`` and unit word vectors.

    A loss for ``Supervised``: ``Supervised(net, optimizer, HingeRank(words), HingeRank.name)``. It
    is 0 if and only if ``t_y . z`` is above that of every other word by the margin.

    Args:
        words: A vector for each class, ``(C, d)``, of length 1 each.
        margin: Above 0; the paper takes 0.1.

    Raises:
        UsageError: Fewer than two words, or vectors of another length than 1.
    """

    name = "hinge rank loss"

    def __init__(self, words: Tensor, margin: float = 0.1):
        if not is_number(margin) or not margin > 0:
            raise wrong("margin", "be a number above 0", margin, "pass margin=0.1")
        self.words, self.margin = unit_words(words), margin

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The mean over examples ``(N, d)``, a scalar."""
        scores = self.scores(outputs)
        right = scores.gather(1, labels[:, None])
        short = (self.margin - right + scores).clamp_min(0)
        return short.scatter(1, labels[:, None], 0.0).sum(1).mean()  # without j = y

    def scores(self, outputs: Tensor) -> Tensor:
        """``t_j . z`` of all words, ``(N, d) -> (N, C)``."""
        words = self.words.to(outputs)
        if outputs.ndim != 2 or outputs.shape[1] != words.shape[1]:
            rule = f"have shape (N, {words.shape[1]}), as the words"
            way_out = f"end the network with nn.Linear(..., {words.shape[1]}, bias=False)"
            raise wrong("outputs", rule, tuple(outputs.shape), way_out)
        return outputs @ words.T


def unit_words(words: Any) -> Tensor:
    """Word vectors ``(C, d)``, checked to have length 1."""
    if not isinstance(words, Tensor):
        raise wrong_type("words", "be a tensor", type(words).__name__, "pass torch.tensor(array)")
    if words.ndim != 2 or len(words) < 2 or not words.is_floating_point():
        got = f"{words.dtype} of shape {tuple(words.shape)}"
        raise wrong("words", "be two vectors or more, (C, d)", got, "pass one for each class")
    lengths = words.detach().double().norm(dim=1)
    if not ((lengths - 1).abs() < 1e-4).all():
        got = f"{float(lengths.min()):.3g} to {float(lengths.max()):.3g}"
        raise wrong("words", "have length 1 each", got, TO_UNIT)
    return words


def hits(
    outputs: Tensor,
    labels: Tensor,
    words: Tensor,
    k: int = 1,
    *,
    among: Sequence[int] | None = None,
) -> Tensor:
    """Whether the right word is among the k nearest of an output (flat hit@k), ``(N,)`` bool.

    Nearest by the cosine; words as near as the right one stand before it, so that an output of
    zeros, which tells nothing, is no hit while there are more than ``k`` candidates. Chance alone
    is right in ``k / C`` of the cases; words dealt to the classes at random say what a network
    gains by their meaning.

    Args:
        outputs: Of the network, ``(N, d)``.
        labels: Right words, ``(N,)``.
        words: A vector for each word, ``(C, d)``, of length 1 each.
        k: How many may be named.
        among: Words that are candidates, each right one among them: for zero-shot recognition those
            of classes that were not trained on; None: all.

    Raises:
        UsageError: More to be named than there are candidates, a right word that is none, or
            outputs of another shape or not finite.
    """
    words = unit_words(words)
    for name, given in (("outputs", outputs), ("labels", labels)):
        if not isinstance(given, Tensor):
            raise wrong_type(name, "be a tensor", type(given).__name__, "pass one for all examples")
    if outputs.shape != (len(labels), words.shape[1]) or not torch.isfinite(outputs).all():
        got = f"{int((~torch.isfinite(outputs)).sum())} others in shape {tuple(outputs.shape)}"
        rule = f"be finite, of shape ({len(labels)}, {words.shape[1]})"
        raise wrong("outputs", rule, got, "pass what the network gives")
    chosen = torch.arange(len(words)) if among is None else _candidates(among, len(words))
    check_at_least("k", k, 1, "pass k=1")
    if k > len(chosen):
        raise wrong("k", f"be at most {len(chosen)}, the number of candidates", k, "pass k=1")
    place = (labels[:, None].cpu() == chosen).int()
    if not place.any(1).all():
        lost = int(labels[~place.any(1).to(labels.device)][0])
        raise wrong("labels", "be among the candidates", lost, "leave such examples out")
    scores = F.normalize(outputs, dim=1) @ words[chosen.to(words.device)].to(outputs).T
    right = scores.gather(1, place.argmax(1, keepdim=True).to(scores.device))
    return (scores >= right).sum(1) <= k  # the right one is at least as near as itself


def _candidates(among: Sequence[int], words: int) -> Tensor:
    """Numbers of words, each once."""
    given: object = among
    given = given.tolist() if isinstance(given, Tensor) and given.ndim == 1 else given
    numbers = list(dict.fromkeys(given)) if isinstance(given, Sequence) else [given]
    if not all(is_whole(n) and 0 <= n < words for n in numbers):
        rule = f"be numbers of words, from 0 to {words - 1}"
        raise wrong("among", rule, numbers, "leave it out for all")
    return torch.tensor(numbers, dtype=torch.long)
