"""Recursive networks on the Stanford Sentiment Treebank: accuracy, and what negation does.

Theirs, accuracy in %, classes at all nodes / at the root, then two classes at the same: RNTN 80.7,
45.7, 87.6, 85.4 (R. Socher et al., EMNLP 2013); MV-RNN at the root 44.4 and 82.9 (as Kim 2014
quotes them).

Ours: 25 values a node, words as they are written, AdaGrad at 0.01, weight decay 1e-5, batches of 25
sentences, the mean over all nodes of a batch; 12 epochs, of which the one with the best accuracy at
all nodes of the development trees is taken; seeds 0 to 2. Rate and decay were tried on the
development trees with one seed (0.01 with 1e-5, 0.03 with 1e-4). Two classes: neutral nodes left
out, the greater of the summed probabilities of both sides.

**Negation.** All nodes of the test trees whose left child is one of the words not, n't, never, no,
nothing, neither, hardly (in small or large letters) and whose right child R is labelled positive
(3, 4) or negative (0, 1): by how much the mean class by the network's probabilities rises from R to
the node, beside the treebank's own labels, as curves of the phrases in order of their change, and
how often it falls for positive and rises for negative phrases; for negative ones also the
probability of not being negative. Published (abstract): the RNTN "is the only model that can
accurately capture the effects of negation and its scope at various tree levels for both positive
and negative phrases".

**Length.** Share of right classes of five among nodes of 1, 2, 3-4, 5-8, 9-16, 17-32, 33-99 words.

    python reproductions/sentiment_trees.py              all; goes on where it was stopped
    python reproductions/sentiment_trees.py rntn         one kind

One thread; estimate made before: 0.5, 1 and 2.7 minutes for a network of rnn, rntn and mv, three of
each, 13 CPU minutes. The trees lie in $NAKAMI_DATA/sst (see DATA.md).
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adagrad

from nakami import data
from nakami.data import Trees
from nakami.recipes._sentiment import SIDES, accuracies, negations, probabilities, share_of
from nakami.training import Method, Supervised, fit
from nakami.training._wrapped import Wrapped
from nakami.zoo.recursive import KINDS, RecursiveNet, node_cross_entropy

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import charts, made_in  # noqa: E402
from _wide import Kept, digits, generator, table  # noqa: E402

NAME = "sentiment_trees"
SETTINGS = {"size": 25, "rate": 0.01, "decay": 1e-5, "batch": 25, "epochs": 12, "seeds": 3}
NEUTRAL, LENGTHS = 2, (1, 2, 3, 5, 9, 17, 33, 100)
THEIRS = {"rnn": "", "mv": "- / 44.4 / - / 82.9", "rntn": "80.7 / 45.7 / 87.6 / 85.4"}


class Chosen(Wrapped):
    """A training that keeps the weights of the epoch with the best score on other examples.

    Args:
        method: How it learns.
        score: Of the module as it is.
    """

    def __init__(self, method: Method, score: Callable[[], float]):
        super().__init__(method)
        self.score = score
        self.best, self.weights = -1.0, copy.deepcopy(method.module.state_dict())

    def epoch(self, index: int) -> None:
        """Look at what the epoch before has left."""
        super().epoch(index)
        self.look()

    def look(self) -> None:
        """Keep the weights as they are if they are the best so far."""
        found = self.score()
        if found > self.best:
            self.best, self.weights = found, copy.deepcopy(self.module.state_dict())

    def take(self) -> None:
        """Look once more, and take the best weights."""
        self.look()
        self.module.load_state_dict(self.weights)


def adagrad(net: nn.Module) -> Adagrad:
    """The optimizer of all networks on sentences."""
    return Adagrad(net.parameters(), SETTINGS["rate"], weight_decay=SETTINGS["decay"])


def main() -> None:
    """Train and measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    asked = parser.parse_args().kinds
    folder = Path(os.environ.get("NAKAMI_DATA", "../shared/data")) / "sst"
    if not folder.is_dir():
        sys.exit(f"the treebank is not in {folder}; see reproductions/DATA.md.")
    torch.set_num_threads(1)
    train = data.read_trees(folder / "train.txt")
    development, test = (data.read_trees(folder / f"{n}.txt", train.words) for n in ("dev", "test"))
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    names = [f"{kind} {seed}" for kind in asked for seed in range(SETTINGS["seeds"])]
    for name in kept.missing(names):
        kind, seed = name.split()
        began = time.process_time()
        net = trained(kind, int(seed), train, development, epochs=SETTINGS["epochs"])
        record = {**measured(net, test), "cpu": time.process_time() - began}
        kept.add(name, {key: rounded(value) for key, value in record.items()})
        print(name, kept.records[name], flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")
    draw(kept)


def rounded(value: Any) -> Any:
    """A number, or those of a list, to five digits."""
    return [digits(v, 5) for v in value] if isinstance(value, list) else digits(value, 5)


def first(kind: Any, seed: int, words: int, classes: int = 5) -> RecursiveNet:
    """A network with first weights."""
    return RecursiveNet(words, SETTINGS["size"], classes, kind=kind, generator=generator(seed, 1))


def trained(
    kind: Any, seed: int, train: Trees, development: Trees, classes: int = 5, epochs: int = 12
) -> RecursiveNet:
    """A network with the weights of its best epoch."""
    net = first(kind, seed, len(train.words), classes)

    def score() -> float:
        answers = probabilities(net, development.nodes)
        return accuracies(answers, development.nodes, development.labels)["all"].value

    name = "cross-entropy at all nodes, nats"
    method = Chosen(Supervised(net, adagrad(net), node_cross_entropy, name), score)
    examples, batch = (train.nodes, train.labels), SETTINGS["batch"]
    fit(method, examples, epochs=epochs, batch=batch, generator=generator(seed, 2))
    method.take()
    return net


def measured(net: RecursiveNet, test: Trees) -> dict[str, Any]:
    """Shares of right answers in %, by length too, and what a negator does."""
    answers = probabilities(net, test.nodes)
    found: dict[str, Any] = {
        name: 100 * share.value
        for name, share in accuracies(answers, test.nodes, test.labels).items()
    }
    right, words = answers.argmax(2) == test.labels, lengths(test.nodes)
    for low, high in pairwise(LENGTHS):
        within = (words >= low) & (words < high) & (test.labels >= 0)
        found[f"words {low}"] = 100 * share_of(right, within).value
    moved = negations(answers, test.nodes, test.labels, test.words)
    for side in SIDES:
        of = moved.of(side)
        found[f"{side} moves"] = of.moves.tolist()
        found[f"{side} label moves"] = of.label_moves.tolist()
        signs = torch.where(torch.arange(answers.shape[2]) >= NEUTRAL, 1.0, 0.0)
        found[f"{side} not negative"] = ((of.above - of.below) @ signs).tolist()
    return found


def lengths(nodes: Tensor) -> Tensor:
    """Words below each node, ``(N, nodes, 4) -> (N, nodes)``."""
    words = (nodes[..., 3] == 0).long()
    for height in range(1, int(nodes[..., 3].max()) + 1):
        tree, node = (nodes[..., 3] == height).nonzero().T
        words[tree, node] = sum(words[tree, nodes[tree, node, side]] for side in (1, 2))
    return words


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    yield "# Recursive networks on the Stanford Sentiment Treebank"
    yield ""
    yield f"Made by `reproductions/{NAME}.py`, whose docstring has the settings. Test accuracy in"
    yield "%, mean ± standard deviation over seeds; classes: five at all nodes, five at the root,"
    yield "two at all nodes, two at the root (neutral ones left out). The binomial standard error"
    yield "of the 2,210 sentences is 1.1 for five classes."
    yield ""
    shown, seeds = [], {k: [r for n, r in kept.records.items() if n.split()[0] == k] for k in KINDS}
    keys = ("all", "root", "all of two", "root of two")
    for kind, of in seeds.items():
        if of:
            figures = [spread(of, key) for key in keys]
            shown.append(
                [
                    kind,
                    str(len(of)),
                    *figures,
                    THEIRS[kind],
                    f"{sum(r['cpu'] for r in of) / 60:.1f}",
                ]
            )
    yield from table(["network", "seeds", *keys, "theirs, in this order", "CPU minutes"], shown)
    yield ""
    if missing := [kind for kind, of in seeds.items() if not of]:
        yield f"Not run yet: {', '.join(missing)}."
        yield ""
    yield "A negator to the left of a phrase: how often, in %, the mean class falls for positive"
    yield "phrases and rises for negative ones, the mean step that way in classes, and quarters of"
    yield "the rise (the curves are `sentiment_trees.svg`); last, how often the probability of not"
    yield "being negative rises. Published of the RNTN (abstract): it alone captures negation of"
    yield "both positive and negative phrases. ± is the deviation over seeds, which share phrases;"
    numbers = [len(next(of[0] for of in seeds.values() if of)[f"{side} moves"]) for side in SIDES]
    doubt = " and ".join(f"{50 / n**0.5:.1f} of {n}" for n in numbers)
    yield f"the binomial standard error of a share is at most {doubt} phrases."
    yield ""
    head = ["phrases", "number", "judged by", "share that moves so", "mean step", "quarters"]
    yield from table([*head, "less negative"], list(negation_rows(seeds)))
    yield ""
    yield "Share of right classes of five, in %, by the words below a node:"
    yield ""
    names = [f"{low}-{high - 1}" if high > low + 1 else f"{low}" for low, high in pairwise(LENGTHS)]
    rows = [
        [kind, *(spread(of, f"words {low}") for low in LENGTHS[:-1])]
        for kind, of in seeds.items()
        if of
    ]
    yield from table(["network", *names], rows)
    yield ""
    yield made_in(sum(r["cpu"] for of in seeds.values() for r in of))
    yield ""


def negation_rows(seeds: dict[str, list[dict[str, Any]]]) -> Iterator[list[str]]:
    """Of the labels and of each kind, for both sides."""
    for side in SIDES:
        labels = next(of[0] for of in seeds.values() if of)[f"{side} label moves"]
        yield [side, str(len(labels)), "the labels", *steps(side, [labels]), ""]
        for kind, of in seeds.items():
            if of:
                less = [100 * statistics.mean(m > 0 for m in r[f"{side} not negative"]) for r in of]
                moves = [record[f"{side} moves"] for record in of]
                yield ["", "", kind, *steps(side, moves), told(less)]


def steps(side: str, moves: Sequence[Sequence[float]]) -> Iterator[str]:
    """Share that moves against the side, mean step that way, quarters of the rise."""
    sign = -1 if side == "positive" else 1
    yield told([100 * statistics.mean(sign * m > 0 for m in some) for some in moves])
    yield told([sign * statistics.mean(some) for some in moves], 2)
    yield " ".join(f"{q:.2f}" for q in statistics.quantiles([m for s in moves for m in s], n=4))


def draw(kept: Kept) -> None:
    """Curves of the change by a negator, phrases in order of it."""
    alt = charts()
    if alt is None:
        return
    rows = []
    for name, record in kept.records.items():
        of = {
            f"{name.split()[0]}": "moves",
            **({"labels": "label moves"} if name[-1] == "0" else {}),
        }
        for whose, key in of.items():
            for side in SIDES:
                moves = sorted(record[f"{side} {key}"])
                at = [100 * (i + 0.5) / len(moves) for i in range(len(moves))]
                rows += [
                    {
                        "of": whose,
                        "phrases": f"negated {side} phrases",
                        "seed": name,
                        "x": x,
                        "y": y,
                    }
                    for x, y in zip(at, moves, strict=True)
                ]
    chart = (
        alt.Chart(alt.Data(values=rows), width=300, height=240)
        .mark_line(interpolate="step")
        .encode(
            x=alt.X("x:Q", title="phrases in order of the change, %"),
            y=alt.Y("y:Q", title="rise of the mean class"),
            color=alt.Color("of:N", title=None),
            detail="seed:N",
            column=alt.Column("phrases:N", title=None, sort="descending"),
        )
    )
    chart.save(HERE / "results" / f"{NAME}.svg")


def spread(records: Sequence[dict[str, float]], key: str, places: int = 1) -> str:
    """Mean ± standard deviation over seeds."""
    return told([record[key] for record in records], places)


def told(values: Sequence[float], places: int = 1) -> str:
    """Mean ± standard deviation."""
    deviation = f" ± {statistics.stdev(values):.{places}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{places}f}{deviation}"


if __name__ == "__main__":
    main()
