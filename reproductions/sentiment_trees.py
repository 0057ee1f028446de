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
nothing, neither, hardly and whose right child R is labelled positive (3, 4) or negative (0, 1): the
mean class by the network's probabilities, of R and of the node. Reported: how often it falls
(rises), and by how much, beside the same of the treebank's own labels.

    python reproductions/sentiment_trees.py              all; goes on where it was stopped
    python reproductions/sentiment_trees.py rntn         one kind

The trees lie in $NAKAMI_DATA/sst (see DATA.md).
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adagrad

from nakami import data
from nakami.data import Trees
from nakami.training import Supervised, fit
from nakami.training._wrapped import Wrapped
from nakami.zoo.recursive import KINDS, RecursiveNet, node_cross_entropy

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, table  # noqa: E402

NAME = "sentiment_trees"
SETTINGS = {"size": 25, "rate": 0.01, "decay": 1e-5, "batch": 25, "epochs": 12, "seeds": 3}
NEGATORS = ("not", "n't", "never", "no", "nothing", "neither", "hardly")
NEUTRAL = 2
THEIRS = {"rnn": "", "mv": "- / 44.4 / - / 82.9", "rntn": "80.7 / 45.7 / 87.6 / 85.4"}


class Chosen(Wrapped):
    """A training that keeps the weights of the epoch with the best accuracy on other trees."""

    def __init__(self, net: RecursiveNet, development: Trees):
        adagrad = Adagrad(net.parameters(), SETTINGS["rate"], weight_decay=SETTINGS["decay"])
        name = "cross-entropy at all nodes, nats"
        super().__init__(Supervised(net, adagrad, node_cross_entropy, name))
        self.net, self.development = net, development
        self.best, self.weights = -1.0, copy.deepcopy(net.state_dict())

    def epoch(self, index: int) -> None:
        """Look at what the epoch before has left."""
        super().epoch(index)
        self.look()

    def look(self) -> None:
        """Keep the weights as they are if they are the best so far."""
        found = accuracies(predicted(self.net, self.development), self.development)["all"]
        if found > self.best:
            self.best, self.weights = found, copy.deepcopy(self.net.state_dict())


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
        net = trained(kind, int(seed), train, development)
        answers = predicted(net, test)
        record = {**accuracies(answers, test), **negation(answers, test)}
        record["cpu"] = time.process_time() - began
        kept.add(name, {key: digits(value, 5) for key, value in record.items()})
        print(name, kept.records[name], flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def trained(kind: Any, seed: int, train: Trees, development: Trees) -> RecursiveNet:
    """A network with the weights of its best epoch."""
    size = SETTINGS["size"]
    net = RecursiveNet(len(train.words), size, kind=kind, generator=generator(seed, 1))
    method = Chosen(net, development)
    epochs, batch = SETTINGS["epochs"], SETTINGS["batch"]
    fit(
        method,
        (train.nodes, train.labels),
        epochs=epochs,
        batch=batch,
        generator=generator(seed, 2),
    )
    method.look()
    net.load_state_dict(method.weights)
    return net


@torch.no_grad()
def predicted(net: RecursiveNet, trees: Trees) -> Tensor:
    """Probabilities of the classes, ``(N, nodes, 5)``."""
    return torch.cat([net(part) for part in trees.nodes.split(200)]).softmax(2)


def accuracies(answers: Tensor, trees: Trees) -> dict[str, float]:
    """Shares of right answers in %: five classes and two, at all nodes and at the root."""
    roots = torch.zeros_like(trees.labels, dtype=torch.bool)
    roots[torch.arange(len(trees)), trees.roots] = True
    labels, found = trees.labels, {}
    positive = answers[..., NEUTRAL + 1 :].sum(2) > answers[..., :NEUTRAL].sum(2)
    right = {"": answers.argmax(2) == labels, " of two": positive == (labels > NEUTRAL)}
    for kind, hits in right.items():
        counted = labels >= 0 if not kind else (labels >= 0) & (labels != NEUTRAL)
        for where, there in (("all", counted), ("root", counted & roots)):
            found[where + kind] = 100 * float(hits[there].float().mean())
    return found


def negation(answers: Tensor, trees: Trees) -> dict[str, float]:
    """What a negator to the left does to the mean class, by the network and by the labels."""
    known = {trees.words.index(word) for word in NEGATORS if word in trees.words}
    means = (answers * torch.arange(answers.shape[2])).sum(2)
    moved: dict[str, list[tuple[float, float]]] = {"positive": [], "negative": []}
    for tree, rows in enumerate(trees.nodes.tolist()):
        for node, (_, left, right, height) in enumerate(rows):
            if height < 1 or rows[left][0] not in known:
                continue
            before, after = (int(trees.labels[tree, n]) for n in (right, node))
            if before < 0 or after < 0 or before == NEUTRAL:
                continue
            ours = float(means[tree, node] - means[tree, right])
            moved["positive" if before > NEUTRAL else "negative"].append((ours, after - before))
    found: dict[str, float] = {}
    for kind, moves in moved.items():
        sign = -1 if kind == "positive" else 1
        found[f"{kind} phrases"] = len(moves)
        for whose, part in (("ours", 0), ("labels", 1)):
            steps = [sign * move[part] for move in moves]
            found[f"{kind} {whose} share"] = 100 * statistics.mean(s > 0 for s in steps)
            found[f"{kind} {whose} step"] = statistics.mean(steps)
    return found


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
            shown.append([kind, *figures, THEIRS[kind], f"{sum(r['cpu'] for r in of) / 60:.1f}"])
    yield from table(["network", *keys, "theirs, in this order", "CPU minutes"], shown)
    yield ""
    if missing := [kind for kind, of in seeds.items() if not of]:
        yield f"Not run yet: {', '.join(missing)}."
        yield ""
    yield "A negator to the left of a phrase: how often, in %, the mean class falls for positive"
    yield "phrases and rises for negative ones, and the mean step, in classes."
    yield ""
    rows = []
    for kind in ("positive", "negative"):
        one = next(r for of in seeds.values() for r in of)
        share, step = (one[f"{kind} labels {what}"] for what in ("share", "step"))
        rows.append(
            [kind, f"{one[f'{kind} phrases']:.0f}", "the labels", f"{share:.1f}", f"{step:.2f}"]
        )
        for name, of in seeds.items():
            if of:
                share, step = (
                    spread(of, f"{kind} ours {what}", n) for what, n in (("share", 1), ("step", 2))
                )
                rows.append(["", "", name, share, step])
    yield from table(["phrases", "number", "judged by", "share that moves so", "mean step"], rows)
    yield ""
    yield made_in(sum(r["cpu"] for of in seeds.values() for r in of))
    yield ""


def spread(records: Sequence[dict[str, float]], key: str, places: int = 1) -> str:
    """Mean ± standard deviation over seeds."""
    values = [record[key] for record in records]
    deviation = f" ± {statistics.stdev(values):.{places}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{places}f}{deviation}"


if __name__ == "__main__":
    main()
