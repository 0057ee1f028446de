"""A recursive network on trees of sentiments: a class for every word, phrase and sentence.

Without data of the caller's the trees are sentences of a small grammar with negation
(``data.made_trees``), whose right sentiment is known; files are in the form of the Stanford
Sentiment Treebank.

Origin and deliberate differences: ``zoo.recursive``. AdaGrad on the mean cross-entropy of all
nodes.

Published, Stanford Sentiment Treebank, five classes at the root: RNTN 45.7 %, MV-RNN 44.4 % (as Kim
2014 quotes them). Ours there: ``reproductions/sentiment_trees.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.training import Supervised, Training
from nakami.zoo.recursive import Kind, RecursiveNet, node_cross_entropy

from ..results import Lines, Show, Tree, counted
from ._facts import Fact, resampled_fact, share_fact
from ._sentiment import NEGATORS, SIDES, Negations, accuracies, negations, neutral, probabilities
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe
from ._tree_examples import TreeExamples, along_first, trees_from

WORDS = 12  # of a sentence that is drawn, at most
LABELS = {
    "all": "right classes, all nodes",
    "root": "right classes, sentences",
    "all of two": "right side, all nodes",
    "root of two": "right side, sentences",
}


@dataclass(frozen=True)
class TreeSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        kind: How two nodes are merged: rnn by a matrix, mv by their own matrices too, rntn by a
            tensor.
        size: Values of a node's vector.
        epochs: Passes over the trees.
        rate: AdaGrad's learning rate.
        decay: Weight decay.
        batch: Trees of one update.
    """

    kind: Kind = "rntn"
    size: Annotated[int, Bounds(1)] = 15
    epochs: int = 15
    rate: Annotated[float, POSITIVE] = 0.03
    decay: float = 1e-5
    batch: Annotated[int, Bounds(1)] = 25


def made(
    train: Examples, settings: TreeSettings, generator: torch.Generator | None = None
) -> RecursiveNet:
    """The network with first weights."""
    assert isinstance(train, TreeExamples)
    words, classes = len(train.words), len(train.classes)
    return RecursiveNet(words, settings.size, classes, settings.kind, generator=generator)


def untrained(settings: TreeSettings) -> nn.Module:
    """The network for the grammar's words with first weights, in evaluation mode."""
    return made(trees_from(None)[0], settings).eval()


def epochs(settings: TreeSettings) -> Mapping[str, int]:
    """One phase."""
    return {settings.kind: settings.epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: TreeSettings
) -> tuple[Network]:
    """The one network."""
    s = settings
    net = made(train, s, training.generator("first weights"))
    adagrad = torch.optim.Adagrad(net.parameters(), s.rate, weight_decay=s.decay)
    method = Supervised(net, adagrad, node_cross_entropy, "cross-entropy at all nodes, nats")
    training.run(s.kind, method, lambda: (train.inputs, _labels(train)), batch=s.batch)
    said = f"{counted(s.epochs, 'epoch')} of AdaGrad at rate {s.rate} on the {train.source}"
    return (Network(s.kind, net, said, facts(net.eval(), test)),)


def facts(net: RecursiveNet, test: Examples) -> list[Fact]:
    """Shares of right answers, and how often a negation moves a phrase the right way."""
    answers, trees = _answers(net, test)
    found = accuracies(answers, trees.inputs, _labels(trees))
    told = [
        resampled_fact(
            LABELS[name], s.value, s.error, s.trees, "tree", f"{s.nodes:,} nodes of {s.trees} trees"
        )
        for name, s in found.items()
        if s.nodes
    ]
    moved = negations(answers, trees.inputs, _labels(trees), trees.words)
    for side in SIDES:
        of = moved.of(side)
        if len(of.moves):
            right = of.moves.sign() == (-1 if side == "positive" else 1)
            verb = "lowers" if side == "positive" else "raises"
            told.append(share_fact(f"negation {verb} a {side} phrase", right, "phrase"))
    return told


def measured(networks: Sequence[Network], test: Examples) -> tuple[tuple[Network, ...], Examples]:
    """The network along the first tree, from its words to the class of its root."""
    (network,) = networks
    assert isinstance(network.model, RecursiveNet)
    model, examples = along_first(network.model, test)
    return (replace(network, model=model, trained=network.model),), examples


def _labels(examples: Examples) -> Tensor:
    assert examples.labels is not None
    return examples.labels


def _answers(net: nn.Module, test: Examples) -> tuple[Tensor, TreeExamples]:
    assert isinstance(net, RecursiveNet)
    assert isinstance(test, TreeExamples)
    return probabilities(net, test.inputs), test


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: TreeSettings,
    generator: torch.Generator,
) -> list[Show]:
    """A sentence with the sentiment of its nodes, and what negation does."""
    answers, trees = _answers(networks[0].trained or networks[0].model, test)
    moved = negations(answers, trees.inputs, _labels(trees), trees.words)
    return [drawn(answers, trees), *curves(moved)]


def curves(moved: Negations) -> list[Lines]:
    """The mean class of a phrase before and with a negation, in the order of its labels."""
    if not len(moved.below):
        return []
    lines = {}
    for side in SIDES:
        of = moved.of(side)
        for name, moves in ((f"{side} phrases", of.moves), (f"{side}, labels", of.label_moves)):
            if len(moves):
                at = (torch.arange(len(moves)) + 0.5) / len(moves) * 100
                lines[name] = (at.tolist(), moves.sort().values.tolist())
    caption = (
        "How far the mean class of a phrase moves when a negation is put before it, all test "
        "phrases in order of the change; the labels say how far it should."
    )
    x, y = "phrases in order of the change, %", "change of the mean class"
    return [Lines("Negation", caption, x, y, lines)] if lines else []


def drawn(answers: Tensor, trees: TreeExamples) -> Tree:
    """The first sentence of up to twelve words with a negation, or else the first so short."""
    nodes = trees.inputs
    words, heights = (nodes[..., 3] == 0).sum(1), nodes[..., 3].amax(1)
    fits = (words <= WORDS) & (heights > 0)
    marks = nodes[..., 0].new_tensor([w.lower() in NEGATORS for w in trees.words]).bool()
    negated = (marks[nodes[..., 0].clamp_min(0)] & (nodes[..., 0] >= 0)).any(1)
    order = (2 * fits.long() + (fits & negated).long()) * len(nodes) - torch.arange(len(nodes))
    tree = int(order.argmax()) if fits.any() else int(words.argmin())
    rows = nodes[tree][nodes[tree][:, 3] >= 0].tolist()
    parents = [-1] * len(rows)
    for place, (_, left, right, _) in enumerate(rows):
        for child in (left, right):
            if child >= 0:
                parents[child] = place
    middle = neutral(answers.shape[2])
    means = (answers[tree] * torch.arange(answers.shape[2])).sum(1) - middle
    texts = [trees.words[word] if word >= 0 else "" for word, *_ in rows]
    return Tree(
        "A sentence",
        f"{trees.names[tree]}: at each node the mean class of the network, from {-middle:g} (the "
        f"most negative) to {middle:g}; 0 is neutral.",
        tuple(parents),
        tuple(texts),
        tuple(means[: len(rows)].tolist()),
    )


ENTRY = Recipe(
    settings=TreeSettings(),
    examples=trees_from,
    takes="a file of trees, one a line",
    untrained=untrained,
    epochs=epochs,
    train=train,
    labelled=False,
    measured=measured,
    pictures=pictures,
)
