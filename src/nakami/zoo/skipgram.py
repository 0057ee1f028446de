"""Skip-gram with negative sampling: word vectors that tell the words around a word.

Origin: Mikolov, Sutskever, Chen, Corrado & Dean, "Distributed representations of words and phrases
and their compositionality", NIPS 2013; what it factorises: Levy & Goldberg, "Neural word embedding
as implicit matrix factorization", NIPS 2014.

As a network it takes one word and gives a score for each word around it: rows of ``embedding`` are
the word vectors ``v``, rows of the linear layer ``scores`` the vectors ``u`` of words around.

Deliberate differences: none in the model; ``training.NegativeSampling`` has those of the training.

Published, accuracy in % on Google's analogies (1 billion words of news, vocabulary 692 thousand,
300 dimensions, as quoted in notes): 5 negatives 59, 15 negatives 61, with subsampling 60 and 61.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import check_at_least, is_number, wrong

from ._entry import Entry
from ._layers import seeded, uniform

POWER = 0.75  # of the frequencies that negatives are drawn by


class SkipGram(nn.Module):
    """A word each, ``(N,)`` or ``(N, 1)``, to the scores ``u . v`` of all words around it.

    Args:
        words: Number of words, 2 or more.
        width: Numbers of a vector.
        generator: Source of the first word vectors, uniform in ``-0.5 / width .. 0.5 / width``; the
            vectors around begin at 0. None: a fresh one with seed 0.
        dtype: Floating type of the parameters.
    """

    def __init__(
        self,
        words: int,
        width: int,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        words = check_at_least("words", words, 2, "pass how many words there are")
        width = check_at_least("width", width, 1, "pass width=100")
        self.embedding = nn.utils.skip_init(nn.Embedding, words, width, dtype=dtype)
        self.scores = nn.utils.skip_init(nn.Linear, width, words, bias=False, dtype=dtype)
        with torch.no_grad():
            drawn = uniform(self.embedding.weight, seeded(generator))
            self.embedding.weight.copy_((drawn - 0.5) / width)
            self.scores.weight.zero_()

    def forward(self, words: Tensor) -> Tensor:
        """``(N, words)``."""
        if words.ndim not in (1, 2) or (words.ndim == 2 and words.shape[1] != 1):
            got, way_out = f"shape {tuple(words.shape)}", "pass words.reshape(-1)"
            raise wrong("words", "have shape (N,) or (N, 1)", got, way_out)
        v: Tensor = self.embedding(words)
        scores: Tensor = self.scores(v if words.ndim == 1 else v[:, 0])
        return scores

    @property
    def word_vectors(self) -> Tensor:
        """``v``, ``(words, width)``."""
        return self.embedding.weight

    @property
    def context_vectors(self) -> Tensor:
        """``u``, likewise."""
        return self.scores.weight

    def pairs(self, words: Tensor, around: Tensor) -> Tensor:
        """``u . v`` of pairs.

        Args:
            words: Numbers of words, ``(N,)``.
            around: Of words around each, ``(N, K)``.

        Returns:
            ``(N, K)``.
        """
        v = F.embedding(words, self.word_vectors)
        return torch.einsum("nd,nkd->nk", v, F.embedding(around, self.context_vectors))


def sampled_loss(net: SkipGram, words: Tensor, around: Tensor, negatives: Tensor) -> Tensor:
    """``-log s(u_c . v_w) - sum over negatives n of log s(-u_n . v_w)``, the mean over pairs.

    Args:
        net: The vectors.
        words: ``(N,)``.
        around: The word that stood around, ``(N,)``.
        negatives: Words drawn in its place, ``(N, k)``.
    """
    scores = net.pairs(words, torch.cat([around[:, None], negatives], 1))
    signs = scores.new_ones(scores.shape[1])
    signs[1:] = -1
    return -F.logsigmoid(scores * signs).sum(1).mean()


def noise(counts: Tensor, power: float = POWER) -> Tensor:
    """Chances that negatives are drawn by: counts to this power, of sum 1, ``(words,)`` float64.

    Raises:
        UsageError: Counts below 0, or no word at all.
    """
    if counts.ndim != 1 or not (counts >= 0).all() or not counts.any():
        got = f"{counts.dtype} of shape {tuple(counts.shape)}"
        raise wrong("counts", "hold how often each word occurs, one at least", got, "count words")
    if not is_number(power):
        raise wrong("power", "be a number", power, "pass 0.75")
    weights = torch.where(counts > 0, counts.double() ** power, 0.0)
    return weights / weights.sum()


def expected_loss(scores: Tensor, joint: Tensor, chances: Tensor, negatives: int) -> Tensor:
    """The mean of ``sampled_loss`` over all pairs and all draws of negatives.

    Args:
        scores: ``u . v``, ``(words, words around)``.
        joint: How often a word has another around it, or the share of all pairs, of that shape.
        chances: Of negatives, ``(words around,)``, as ``noise`` gives them.
        negatives: Of each pair.
    """
    p = joint.to(scores) / joint.sum()
    drawn = negatives * p.sum(1, keepdim=True) * chances.to(scores)
    return -(p * F.logsigmoid(scores) + drawn * F.logsigmoid(-scores)).sum()


def shifted_pmi(joint: Tensor, chances: Tensor, negatives: int) -> Tensor:
    """Where the expected loss is least: ``log P(w, c) / (P(w) Pn(c)) - log k``.

    Args:
        joint: As for ``expected_loss``.
        chances: As for ``expected_loss``.
        negatives: ``k``.

    Returns:
        Of the shape of ``joint``, float64; ``-inf`` where a pair never occurs.
    """
    p = joint.double() / joint.sum()
    return (p / (p.sum(1, keepdim=True) * chances.double())).log() - torch.tensor(negatives).log()


def pair_information(
    pairs: tuple[Tensor, Tensor], counts: Tensor, least: int
) -> tuple[Tensor, Tensor, Tensor]:
    """``log P(w, c) / (P(w) Pn(c))`` at the pairs seen often, where all together are too many.

    Args:
        pairs: Words and words around, ``(N,)`` each.
        counts: How often each word occurs, as for ``noise``.
        least: How often a pair is seen.

    Returns:
        Words and words around, ``(M,)`` each, and the mutual information there, float64.
    """
    (w, c), n = torch.unique(torch.stack(pairs), dim=1, return_counts=True)
    w, c, n = (x[n >= least] for x in (w, c, n))
    rows = torch.bincount(pairs[0], minlength=len(counts)).double()
    return w, c, (n.double() / (rows[w] * noise(counts)[c])).log()


def make(*, generator: torch.Generator | None = None) -> SkipGram:
    """A thousand words in 100 numbers each."""
    return SkipGram(1000, 100, generator=generator)


ENTRY = Entry(
    make=make,
    input=(1,),
    output=(1000,),
    parameters=200_000,
    task="features",
    origin="Mikolov et al. 2013",
    preprocessing="unit",
    tokens=1000,
)
