"""What is measured of word vectors: loss, analogies, mutual information, spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nakami import data
from nakami.data import Text, WordVectors
from nakami.data._analogies import Question
from nakami.data._text import END, UNKNOWN
from nakami.data._word_pairs import chances_kept, pairs_near
from nakami.spectra import svd
from nakami.zoo.skipgram import SkipGram, noise, pair_information, sampled_loss

from ..results import Texts, counted
from ._dyads import correlation, dyadic_error
from ._facts import Fact, mean_fact, resampled_fact

ASKED, PIECES, OFTEN, NEAR = 1000, 20, 10, 5


def counts_of(text: Text) -> Tensor:
    """How often each word occurs, ends of lines not among them."""
    counts = text.counts.clone()
    if END in text.kinds:
        counts[text.kinds.index(END)] = 0
    return counts


def end_of(text: Text) -> int | None:
    """The number of the end of a line, if there is one."""
    return text.kinds.index(END) if END in text.kinds else None


@dataclass(frozen=True)
class Asked:
    """Which pairs of a test text are asked.

    Attributes:
        window: As for ``data.word_pairs``. thin: its ``threshold``, by the frequencies of the text
            to train on. negatives: of each pair.
    """

    window: int
    thin: float | None
    negatives: int


@torch.no_grad()
def loss_fact(
    net: SkipGram, counts: Tensor, test: Text, asked: Asked, generator: torch.Generator
) -> list[Fact]:
    """The loss at pairs of a test text, with the standard error over pieces of it in order.

    Words near each other are about one subject, so that single pairs are not independent.

    Args:
        net: The vectors.
        counts: Of the text to train on, by which negatives are drawn and words thinned out.
        test: Cut into 20 pieces; of each at most 1,000 pairs are asked.
        asked: Which.
        generator: Of windows, pairs and negatives.
    """
    chances, end, each, ids = noise(counts), end_of(test), list[float](), test.ids
    if asked.thin is not None:
        drawn = torch.rand(len(ids), generator=generator)
        ids = ids[(drawn < chances_kept(counts, asked.thin)[ids]) | (ids == end)]
    for piece in ids.tensor_split(PIECES):
        words, around = pairs_near(piece, asked.window, None, end, True, generator)
        some = torch.randperm(len(words), generator=generator)[:ASKED]
        if len(some):
            n = len(some) * asked.negatives
            drawn = torch.multinomial(chances, n, replacement=True, generator=generator)
            negatives = drawn.view(-1, asked.negatives)
            each.append(float(sampled_loss(net, words[some], around[some], negatives)))
    if not each:
        return []
    values = torch.tensor(each, dtype=torch.float64)
    return [mean_fact(values, "loss of test pairs", "nats", "piece")]


def vectors_of(net: SkipGram, kinds: Sequence[str]) -> WordVectors:
    """The words with their vectors, without what stands for rare words and ends of lines."""
    rows = [i for i, kind in enumerate(kinds) if kind not in (UNKNOWN, END)]
    return WordVectors(tuple(kinds[i] for i in rows), net.word_vectors.detach()[rows])


@dataclass(frozen=True)
class Answers:
    """Analogies whose words are all there, of one section or more.

    Attributes:
        right: Whether each was answered rightly, ``(N,)``.
        pairs: Numbers of its two pairs of words, ``(N, 2)``: of "a to b" and of "c to d".
        given: How many questions there were.
    """

    right: Tensor
    pairs: Tensor
    given: int

    def fact(self, label: str) -> Fact:
        """The share of right answers, with the error over pairs of words."""
        share, units = float(self.right.double().mean()), len(self.pairs.unique())
        error = 0.0 if share in (0, 1) else dyadic_error(self.right, self.pairs)
        how = f"{counted(len(self.right), 'question')} of {counted(units, 'word pair')}"
        return resampled_fact(label, share, error, units, "word pair", how)


def answers(words: WordVectors, sections: Mapping[str, Sequence[Question]]) -> dict[str, Answers]:
    """Of each section of questions, those whose words are there, as they stand or in small letters.

    Sections without any are left out.
    """
    known, numbers = set(words.names), dict[frozenset[str], int]()
    found = dict[str, Answers]()
    for section, questions in sections.items():
        asked = [q for q in (_known(q, known) for q in questions) if q is not None]
        if asked:
            told = data.answered(words, asked).tolist()
            right = [words.names[i] == q[3] for i, q in zip(told, asked, strict=True)]
            pairs = [(frozenset(q[:2]), frozenset(q[2:])) for q in asked]
            rows = [[numbers.setdefault(one, len(numbers)) for one in pair] for pair in pairs]
            found[section] = Answers(torch.tensor(right), torch.tensor(rows), len(questions))
    return found


def _known(question: Question, words: set[str]) -> Question | None:
    a, b, c, d = question
    forms = (question, (a.lower(), b.lower(), c.lower(), d.lower()))
    return next((form for form in forms if words.issuperset(form)), None)


def analogy_facts(found: Mapping[str, Answers], words: int) -> list[Fact]:
    """Analogies of all sections together; none where none is asked."""
    if not found:
        return []
    whole = Answers(
        torch.cat([section.right for section in found.values()]),
        torch.cat([section.pairs for section in found.values()]),
        sum(section.given for section in found.values()),
    )
    fact = whole.fact("analogies right")
    return [{**fact, "spread_kind": f"{fact['spread_kind']}; {_guess(words)}"}]


def _guess(words: int) -> str:
    return f"a guess: {100 / (words - 3):.2g} %"


def analogy_table(found: Mapping[str, Answers], words: int) -> list[Texts]:
    """A row for each section."""
    if not found:
        return []
    rows = []
    for section, of in found.items():
        fact = of.fact(section)
        rows.append((section, f"{len(of.right):,} of {of.given:,}", _shown(fact)))
    caption = (
        "Share of the questions that are answered rightly, of those whose words are all there; ± "
        "is the standard error over pairs of words, of which a question has two and each stands in "
        f"many, and where all answers are alike the one-sided bound of 68 %; {_guess(words)}."
    )
    head = ("section", "questions asked", "right, %")
    return [Texts("Analogies by section", caption, head, tuple(rows))]


def _shown(fact: Fact) -> str:
    value, spread = fact["value"], fact["spread"]
    if spread is None:
        return f"{value:.1f}"
    if value in (0, 100):  # its error is a bound on one side
        return f"0, at most {spread:.2g}" if value == 0 else f"100, at least {100 - spread:.2g}"
    return f"{value:.1f} ± {spread:.1f}"


def matrix_facts(net: SkipGram, pairs: tuple[Tensor, Tensor], counts: Tensor) -> list[Fact]:
    """What the matrix of word vectors is: its rank, and the mutual information it follows."""
    values = np.asarray(spectrum(net.word_vectors))
    rank = float((values**2).sum() ** 2 / (values**4).sum())
    found = [
        {
            "label": "effective rank of the word vectors",
            "value": rank,
            "spread": None,
            "spread_kind": f"of {len(values)}; (sum s^2)^2 / sum s^4",
            "unit": "",
        }
    ]
    w, c, pmi = pair_information(pairs, counts, OFTEN)
    if len(pmi) > 3:
        scores = net.pairs(w, c[:, None])[:, 0].detach()
        r, error = correlation(pmi, scores, torch.stack([w, c], 1))
        known, of = np.isfinite(error), counted(len(pmi), "pair")
        kind = "standard error over words" if known else "unknown"
        found.append(
            {
                "label": "correlation of scores with mutual information",
                "value": r,
                "spread": error if known else None,
                "spread_kind": f"{kind}, {of} seen {OFTEN} times or more",
                "unit": "",
            }
        )
    return found


def spectrum(vectors: Tensor) -> list[float]:
    """All singular values of a matrix, largest first."""
    matrix = vectors.detach().double()
    return [float(s) for s in svd(matrix, k=min(matrix.shape), vectors=False).values]


def nearest(net: SkipGram, text: Text) -> list[Texts]:
    """Words of a text, the frequent ones first, and the words whose vectors are nearest."""
    counts, words = counts_of(text), vectors_of(net, text.kinds)
    place = {name: i for i, name in enumerate(words.names)}
    order = counts.argsort(descending=True, stable=True).tolist()
    asked = [text.kinds[i] for i in order if counts[i] and text.kinds[i] in place][:60:5]
    v = F.normalize(words.vectors, dim=1)
    rows = []
    for name in asked if len(v) > 1 else []:
        scores = v @ v[place[name]]
        scores[place[name]] = -torch.inf
        top = scores.topk(min(NEAR, len(scores) - 1)).indices.tolist()
        rows.append((name, ", ".join(words.names[j] for j in top)))
    if not rows:
        return []
    caption = (
        "Words of the test text, and those whose vectors make the smallest angles with theirs."
    )
    return [Texts("Nearest words", caption, ("word", "nearest"), tuple(rows))]
