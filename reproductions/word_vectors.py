"""Word vectors by skip-gram: gensim's and ours on one text, their matrix opened.

Mikolov et al. (NIPS 2013) train on a billion words of news; here are 486,239 words of Wikipedia
(106 articles), so that accuracies on Google's analogies stand far below theirs. Asked is what the
embedding's spectrum looks like and how it grows, whether ``u . v`` follows the pointwise mutual
information that it factorises (Levy & Goldberg 2014), and whether our torch version does what
gensim does at equal passes.

Settings, the same for both: words seen 5 times or more, 100 numbers, windows of 1 to 5, 5 negatives
by counts to 0.75, frequent words thinned out from a share of 1e-3 on, 5 passes; articles are not
joined. gensim: its own SGD from 0.025 to 1e-4, one worker; it also runs 20 passes. Ours: Adam at
0.002, mini-batches of 2,000 pairs, which falls to 0 as gensim's does. Seeds 0, 1, 2.

Questions: those with all four words in the vocabulary, in small letters; right where the nearest
word, the three of the question left out, is the fourth. Chance is 1 in 8,554. Mutual information:
at pairs that occur 10 times or more in one draw of windows, counted as ``shifted_pmi`` has it; r is
Pearson's. Drift: the cosine of a word's vector with that after the pass before, the median.

    python reproductions/word_vectors.py    goes on where it was stopped

One thread; estimate from one pass each: gensim 13 s for 5 passes, ours 92 s, in all 8 CPU minutes.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nakami
from nakami import data
from nakami.recipes._dyads import dyadic_error
from nakami.recipes._word_facts import Answers, answers
from nakami.training import Falling, NegativeSampling, fit
from nakami.zoo.skipgram import SkipGram, pair_information

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, mean_error, table  # noqa: E402

NAME = "word_vectors"
DATA = Path(os.environ.get("NAKAMI_DATA", "../shared/data")) / "wiki-text"
LEAST, WIDTH, WINDOW, NEGATIVES, THRESHOLD = 5, 100, 5, 5, 1e-3
RATE, BATCH, OFTEN, SEEDS = 2e-3, 2000, 10, (0, 1, 2)
SETTINGS = {"width": WIDTH, "window": WINDOW, "rate": RATE, "batch": BATCH}
RUNS = {"gensim, 5 passes": 5, "ours, 5 passes": 5, "gensim, 20 passes": 20}
SEMANTIC = 5  # the first sections; the others are of grammar


def main() -> None:
    """Train what is missing, then write the table."""
    if not DATA.exists():
        sys.exit(f"{DATA} is not there; set NAKAMI_DATA.")
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    articles = [line.split() for line in (DATA / "enwiki_clean.txt").read_text().splitlines()]
    text = data.Text.of("\n".join(map(" ".join, articles)), "words", least=LEAST)
    for name, passes in RUNS.items():
        for seed in SEEDS:
            if not kept.missing([f"{name} {seed}"]):
                continue
            began = time.process_time()
            train = by_gensim if name.startswith("gensim") else by_ours
            vectors, around, by_pass = train(articles, text, passes, seed)
            spent = time.process_time() - began
            record = judged(text, vectors, around, by_pass, seed)
            kept.add(f"{name} {seed}", {**record, "cpu": digits(spent, 3)})
            print(name, seed, kept.records[f"{name} {seed}"], flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


Trained = tuple[np.ndarray, np.ndarray, list[np.ndarray]]


def by_gensim(articles: list[list[str]], text: data.Text, passes: int, seed: int) -> Trained:
    """Vectors of words, of words around, and of words after each pass; rows as ``text.kinds``."""
    from gensim.models import Word2Vec
    from gensim.models.callbacks import CallbackAny2Vec

    by_pass: list[np.ndarray] = []

    class Look(CallbackAny2Vec):  # type: ignore[misc]
        def on_epoch_end(self, model: Any) -> None:
            by_pass.append(model.wv.vectors.copy())

    pieces = [line[i : i + 10_000] for line in articles for i in range(0, len(line), 10_000)]
    model = Word2Vec(
        pieces, vector_size=WIDTH, window=WINDOW, min_count=LEAST, sg=1, negative=NEGATIVES,
        sample=THRESHOLD, epochs=passes, seed=seed + 1, workers=1, callbacks=[Look()],
    )  # fmt: skip
    rows = [model.wv.key_to_index[word] for word in words_in(text)]
    return (
        model.wv.vectors[rows],
        model.syn1neg[rows],
        [vectors[rows] for vectors in by_pass],
    )


def by_ours(articles: list[list[str]], text: data.Text, passes: int, seed: int) -> Trained:
    """The same by ``training.NegativeSampling``."""
    ids, counts = numbered(articles, text)
    pairs = data.word_pairs(ids, WINDOW, threshold=THRESHOLD, end=len(counts), seed=seed)
    net = SkipGram(len(counts), WIDTH, generator=generator(seed, 0))
    method = NegativeSampling(
        net, torch.optim.Adam(net.parameters(), RATE), counts, negatives=NEGATIVES
    )
    by_pass: list[np.ndarray] = []

    class Looking(Falling):
        def epoch(self, index: int) -> None:
            if index:
                by_pass.append(net.word_vectors.detach().numpy().copy())
            super().epoch(index)

    fit(Looking(method, passes), pairs, epochs=passes, batch=BATCH, generator=generator(seed, 1))
    vectors = net.word_vectors.detach().numpy().copy()
    return vectors, net.context_vectors.detach().numpy(), [*by_pass, vectors]


def words_in(text: data.Text) -> list[str]:
    """The vocabulary: all kinds but what stands for rare words and for ends."""
    return [kind for kind in text.kinds if kind not in ("<unk>", "<eos>")]


def numbered(articles: list[list[str]], text: data.Text) -> tuple[torch.Tensor, torch.Tensor]:
    """All articles as places in the vocabulary, rare words left out, ends as one number more."""
    place = {word: i for i, word in enumerate(words_in(text))}
    end = len(place)
    ids = [place[w] if w != "\n" else end for line in articles
           for w in (*line, "\n") if w == "\n" or w in place]  # fmt: skip
    numbers = torch.tensor(ids)
    return numbers, torch.bincount(numbers[numbers != end], minlength=end)


def judged(
    text: data.Text, vectors: np.ndarray, around: np.ndarray, by_pass: list[np.ndarray], seed: int
) -> dict[str, Any]:
    """Analogies by section, spectrum, agreement with mutual information, drift."""
    words = data.WordVectors(tuple(words_in(text)), torch.tensor(vectors))
    found = answers(words, data.read_analogies(DATA / "questions-words.txt"))
    right = {section: [int(of.right.sum()), len(of.right)] for section, of in found.items()}
    errors = {
        group: over_pairs([found[section] for section in members])
        for group, members in groups(list(found)).items()
    }
    values = np.asarray(nakami.svd(torch.tensor(vectors).double(), k=WIDTH, vectors=False).values)
    drift = [digits(float(np.median(cosines(a, b))), 3) for a, b in pairwise(by_pass)]
    return {
        "right": right,
        "errors": errors,
        "values": [digits(float(s), 4) for s in values[[0, 1, 2, 4, 9, 19, 49, 99]]],
        "rank": digits(float((values**2).sum() ** 2 / (values**4).sum())),
        "centred": digits(centred_rank(vectors)),
        "r": digits(pmi_correlation(text, vectors, around, seed), 3),
        "drift": drift,
    }


def groups(sections: list[str]) -> dict[str, list[str]]:
    """Sections by name: each, those of meaning and of grammar, all."""
    named = {section: [section] for section in sections}
    meaning, grammar = sections[:SEMANTIC], sections[SEMANTIC:]
    return named | {"meaning": meaning, "grammar": grammar, "all": sections}


def over_pairs(found: list[Answers]) -> float:
    """Standard error of the share right of some sections, %; 0 where nothing is known of it."""
    right, pairs = (torch.cat([getattr(of, name) for of in found]) for name in ("right", "pairs"))
    error = dyadic_error(right, pairs)
    return digits(100 * error) if math.isfinite(error) else 0.0


def centred_rank(vectors: np.ndarray) -> float:
    """Effective rank without the mean vector."""
    values = np.asarray(nakami.svd(torch.tensor(vectors - vectors.mean(0)).double(),
                                   k=min(vectors.shape), vectors=False).values)  # fmt: skip
    return float((values**2).sum() ** 2 / (values**4).sum())


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of rows."""
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def pmi_correlation(text: data.Text, vectors: np.ndarray, around: np.ndarray, seed: int) -> float:
    """Pearson's r of ``u . v`` and shifted mutual information at pairs that are not rare."""
    articles = [line.split() for line in (DATA / "enwiki_clean.txt").read_text().splitlines()]
    ids, counts = numbered(articles, text)
    pairs = data.word_pairs(ids, WINDOW, threshold=THRESHOLD, end=len(counts), seed=100 + seed)
    w, c, pmi = (x.numpy() for x in pair_information(pairs, counts, OFTEN))
    return float(np.corrcoef((vectors[w] * around[c]).sum(1), pmi)[0, 1])


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    yield "# Word vectors by skip-gram: gensim's and ours"
    yield ""
    yield "Analogies right in %, in brackets the questions, mean over three seeds ± the larger of"
    yield "the standard errors over seeds and over pairs of words, of which a question has two and"
    yield "each stands in many (where none is right, the end of a one-sided interval of 68 % as if"
    yield "questions were independent). The paper's figures, of a billion words, are 54 (meaning)"
    yield "and 63 (grammar) with 5 negatives, as notes quote them."
    yield ""
    sections = list(next(iter(kept.records.values()))["right"])
    rows = []
    for group, members in groups(sections).items():
        asked = sum(next(iter(kept.records.values()))["right"][s][1] for s in members)
        rows.append([f"{group} ({asked})", *(accuracy(kept, run, group, members) for run in RUNS)])
    yield from table(["section", *RUNS], rows)
    yield ""
    yield "The matrix of word vectors: singular values, effective rank `(sum s^2)^2 / sum s^4`, the"
    yield "same without the mean vector, Pearson's r of `u . v` with shifted mutual information,"
    yield "median cosine of a word with itself a pass before, at the second and at the last pass; ±"
    yield "the standard error over seeds."
    yield ""
    rows = []
    for run in RUNS:
        first = kept.records[f"{run} {SEEDS[0]}"]
        cells = [run, ", ".join(f"{s:.3g}" for s in first["values"])]
        for key, form in (("rank", ".1f"), ("centred", ".1f"), ("r", ".3f")):
            mean, error = mean_error([kept.records[f"{run} {s}"][key] for s in SEEDS])
            cells.append(f"{mean:{form}} ± {error:{form}}")
        for at in (0, -1):
            mean, error = mean_error([kept.records[f"{run} {s}"]["drift"][at] for s in SEEDS])
            cells.append(f"{mean:.3f} ± {error:.3f}")
        cells.append(f"{np.mean([kept.records[f'{run} {s}']['cpu'] for s in SEEDS]):.0f}")
        rows.append(cells)
    head = ["", "s 1, 2, 3, 5, 10, 20, 50, 100 (seed 0)", "effective rank", "without the mean", "r",
            "cosine, pass 2", "last pass", "CPU s"]  # fmt: skip
    yield from table(head, rows)
    yield ""
    yield made_in(sum(r["cpu"] for r in kept.records.values()))
    yield ""


def accuracy(kept: Kept, run: str, group: str, members: list[str]) -> str:
    """Share right in percent with its error."""
    shares, errors = [], []
    for seed in SEEDS:
        record = kept.records[f"{run} {seed}"]
        hits, asked = (sum(record["right"][s][i] for s in members) for i in (0, 1))
        shares.append(100 * hits / asked)
        errors.append(record["errors"][group])
    mean, over_seeds = mean_error(shares)
    if mean == 0:  # whose standard error says nothing
        return f"0, at most {100 * (1 - 0.32 ** (1 / asked)):.1f}"
    return f"{mean:.1f} ± {max(over_seeds, sum(errors) / len(errors)):.1f}"


if __name__ == "__main__":
    main()
