"""Word vectors by skip-gram with negative sampling.

Pairs of words near each other are drawn once from the text; the vectors learn to tell them from
pairs with words drawn at random. ``zoo.skipgram`` has origin and published figures. Without data of
the caller's the text is made of names as ``arcity`` with a stem and a part, about which analogies
are known: arland is to arcity as belland is to belcity.

Deliberate differences: Adam in small batches at a rate that falls to 0, dynamic windows and
subsampling drawn once for a training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nakami import data
from nakami.data import Examples, Text, WordVectors
from nakami.spectra import svd
from nakami.training import Falling, NegativeSampling, Training
from nakami.zoo.skipgram import SkipGram, noise, pair_information, sampled_loss

from ..results import Lines, Show, Texts, counted
from ._examples import DataFiles
from ._facts import mean_fact, share_fact
from ._made_words import known_analogies, parted_words
from ._settings import FILE, POSITIVE, Bounds
from ._subject import Network, Recipe
from ._texts import arranged, as_text, text_from

ASKED, PIECES, OFTEN, NEAR = 20_000, 20, 10, 5


@dataclass(frozen=True)
class SkipGramSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        least: Words seen more rarely are one word, unknown.
        width: Numbers of a vector.
        window: Words on each side at most.
        negatives: Words drawn for each pair.
        thin: Share of the text above which words are thinned out; 0: none.
        questions: File of analogies to ask, four words a line; empty: those known of the made text.
        epochs: Passes over the pairs.
        rate: Adam's first learning rate, which falls to 0.
        batch: Pairs of one update.
    """

    least: Annotated[int, Bounds(1)] = 5
    width: Annotated[int, Bounds(1)] = 16
    window: Annotated[int, Bounds(1)] = 3
    negatives: Annotated[int, Bounds(1)] = 5
    thin: Annotated[float, Bounds(0, 1)] = 0.0
    questions: Annotated[str, FILE] = ""
    epochs: int = 5
    rate: Annotated[float, POSITIVE] = 0.01
    batch: Annotated[int, Bounds(1)] = 500


def words_from(files: DataFiles | None) -> tuple[Examples, Examples]:
    """Raw text: made here, or the caller's."""
    return text_from(files, parted_words)


def by_words(
    train: Examples, test: Examples, settings: SkipGramSettings
) -> tuple[Examples, Examples]:
    """Both texts word by word."""
    return arranged(train, test, "words", max(2, settings.least), length=1)


def untrained(settings: SkipGramSettings) -> SkipGram:
    """The network for the made text, with first weights, in evaluation mode."""
    train, _ = by_words(*ENTRY.examples(None), settings)
    return SkipGram(len(train.classes), settings.width).eval()


def epochs(settings: SkipGramSettings) -> Mapping[str, int]:
    """One phase."""
    return {"trained": settings.epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: SkipGramSettings
) -> tuple[Network]:
    """The one network."""
    s, text = settings, as_text(train, "words")
    pairs = pairs_of(text, s, training.seed)
    net = SkipGram(len(text.kinds), s.width, generator=training.generator("first weights"))
    counts = counts_of(text)
    adam = torch.optim.Adam(net.parameters(), s.rate)
    method = Falling(NegativeSampling(net, adam, counts, negatives=s.negatives), s.epochs)
    training.run("trained", method, lambda: pairs, batch=s.batch)
    net.eval()
    asked = pairs_of(as_text(test, "words"), s, training.seed)
    source = training.generator("negatives")
    facts = [
        *loss_fact(net, counts, asked, s.negatives, source),
        *analogy_facts(net, text, s),
        *matrix_facts(net, pairs, counts),
    ]
    said = (
        f"{counted(s.epochs, 'epoch')} of Adam from rate {s.rate} on {len(pairs[0]):,} pairs of "
        f"words at most {s.window} apart, {s.negatives} negatives each, of {train.source}"
    )
    return (Network("vectors", net, said, facts),)


def counts_of(text: Text) -> Tensor:
    """How often each word occurs, ends of lines not among them."""
    counts = text.counts.clone()
    if "<eos>" in text.kinds:
        counts[text.kinds.index("<eos>")] = 0
    return counts


def pairs_of(text: Text, settings: SkipGramSettings, seed: int) -> tuple[Tensor, Tensor]:
    """Words with words around them, within a line."""
    end = text.kinds.index("<eos>") if "<eos>" in text.kinds else None
    thin = settings.thin or None
    return data.word_pairs(text.ids, settings.window, threshold=thin, end=end, seed=seed)


@torch.no_grad()
def loss_fact(
    net: SkipGram,
    counts: Tensor,
    pairs: tuple[Tensor, Tensor],
    negatives: int,
    generator: torch.Generator,
) -> list[dict[str, Any]]:
    """The loss at pairs of the test text, its standard error over pieces."""
    some = torch.randperm(len(pairs[0]), generator=generator)[:ASKED]
    words, around = (x[some] for x in pairs)
    drawn = torch.multinomial(
        noise(counts), len(words) * negatives, replacement=True, generator=generator
    ).view(-1, negatives)
    n = min(PIECES, len(words))
    each = [
        sampled_loss(net, *piece)
        for piece in zip(*(x.tensor_split(n) for x in (words, around, drawn)), strict=True)
    ]
    return [mean_fact(torch.stack(each).double(), "loss of test pairs", "nats", "piece")]


def analogy_facts(net: SkipGram, text: Text, settings: SkipGramSettings) -> list[dict[str, Any]]:
    """Analogies answered rightly, of those whose words are all there."""
    if settings.questions:
        sections = data.read_analogies(settings.questions)
        questions = [q for section in sections.values() for q in section]
    else:
        questions = known_analogies()
    known = set(text.kinds)
    asked = [q for q in questions if known.issuperset(q)]
    if not asked:
        return []
    found = data.answered(vectors_of(net, text), asked)
    right = torch.tensor(
        [text.kinds[i] == q[3] for i, q in zip(found.tolist(), asked, strict=True)]
    )
    chance = f"; a guess: {100 / (len(text.kinds) - 3):.2g}"
    return [share_fact("analogies right", right, "question", chance)]


def vectors_of(net: SkipGram, text: Text) -> WordVectors:
    """The words with their vectors."""
    return WordVectors(text.kinds, net.word_vectors.detach())


def matrix_facts(
    net: SkipGram, pairs: tuple[Tensor, Tensor], counts: Tensor
) -> list[dict[str, Any]]:
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
        scores = net.pairs(w, c[:, None])[:, 0].detach().double()
        r = float(torch.corrcoef(torch.stack([pmi, scores]))[0, 1])
        found.append(
            {
                "label": "correlation of scores with mutual information",
                "value": r,
                "spread": (1 - r**2) / (len(pmi) - 1) ** 0.5,
                "spread_kind": f"standard error, {len(pmi):,} pairs seen {OFTEN} times or more",
                "unit": "",
            }
        )
    return found


def spectrum(vectors: Tensor) -> list[float]:
    """All singular values of a matrix, largest first."""
    matrix = vectors.detach().double()
    return [float(s) for s in svd(matrix, k=min(matrix.shape), vectors=False).values]


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: SkipGramSettings,
    generator: torch.Generator,
) -> list[Show]:
    """The spectrum of both matrices, and the nearest words of words of the test text."""
    net = networks[-1].model
    assert isinstance(net, SkipGram)
    lines = {}
    for name, vectors in (("words", net.word_vectors), ("around", net.context_vectors)):
        values = spectrum(vectors)
        lines[name] = (list(range(1, len(values) + 1)), values)
    caption = "Singular values of the matrix of word vectors, and of that of the vectors around."
    axes = ("number of the singular value", "singular value")
    spectra = Lines("Spectrum of the embedding", caption, *axes, lines, (0.0,))
    return [spectra, *nearest(net, as_text(test, "words"))]


def nearest(net: SkipGram, text: Text) -> list[Texts]:
    """Words of a text, the frequent ones first, and the words whose vectors are nearest."""
    counts = counts_of(text)
    order = counts.argsort(descending=True, stable=True).tolist()
    asked = [i for i in order if counts[i] and text.kinds[i] != "<unk>"][:60:5]
    v = F.normalize(net.word_vectors.detach(), dim=1)
    rows = []
    for i in asked:
        scores = v @ v[i]
        scores[i] = -torch.inf
        top = scores.topk(min(NEAR, len(scores) - 1)).indices.tolist()
        rows.append((text.kinds[i], ", ".join(text.kinds[j] for j in top)))
    if not rows:
        return []
    caption = (
        "Words of the test text, and those whose vectors make the smallest angles with theirs."
    )
    return [Texts("Nearest words", caption, ("word", "nearest"), tuple(rows))]


ENTRY = Recipe(
    settings=SkipGramSettings(),
    examples=words_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    labelled=False,
    arranged=by_words,
    pictures=pictures,
)
