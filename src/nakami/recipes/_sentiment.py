"""What is measured of a network on trees of sentiments: shares of right nodes, and negation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nakami.zoo.recursive import RecursiveNet

from ._facts import ratio_of_sums

NEGATORS = ("not", "n't", "never", "no", "nothing", "neither", "hardly")
SIDES = ("positive", "negative")
PART = 200  # trees at a time


@torch.no_grad()
def probabilities(net: RecursiveNet, nodes: Tensor) -> Tensor:
    """Of the classes of every node, ``(N, nodes, 4) -> (N, nodes, classes)``."""
    return torch.cat([net(part) for part in nodes.split(PART)]).softmax(2)


def neutral(classes: int) -> float:
    """The middle of the classes: 2 of 5, 0.5 of 2, of which no node is neutral."""
    return (classes - 1) / 2


@dataclass(frozen=True)
class Share:
    """A share of right nodes.

    Attributes:
        value: In 0..1. error: its standard error over trees, whose nodes are not independent; NaN
            of one tree alone.
        nodes: How many were counted. trees: in how many they stand.
    """

    value: float
    error: float
    nodes: int
    trees: int


def share_of(right: Tensor, counted: Tensor) -> Share:
    """The share of what is right among nodes that count, both ``(N, nodes)``.

    The standard error is that of a ratio of sums over trees.
    """
    each, hits = counted.sum(1).double(), (right & counted).sum(1).double()
    each, hits = each[each > 0], hits[each > 0]
    value, error = ratio_of_sums(hits, each)
    return Share(value, error, int(each.sum()), len(each))


def accuracies(answers: Tensor, nodes: Tensor, labels: Tensor) -> dict[str, Share]:
    """Shares of right answers by name: all classes and two sides, at all nodes and at the root.

    The side of a node is where the greater part of the probability lies; neutral nodes are left
    out of it.

    Args:
        answers: Probabilities, ``(N, nodes, classes)``.
        nodes: As ``data.Trees.nodes``.
        labels: ``(N, nodes)``, -1 for none.
    """
    number, middle = answers.shape[2], neutral(answers.shape[2])
    last = (nodes[..., 3] >= 0).sum(1) - 1
    roots = torch.arange(labels.shape[1], device=labels.device) == last[:, None]
    classes = torch.arange(number, device=labels.device)
    above = answers[..., classes > middle].sum(2) > answers[..., classes < middle].sum(2)
    there, sided = labels >= 0, (labels >= 0) & (labels != middle)
    right, side = answers.argmax(2) == labels, above == (labels > middle)
    found = {"all": share_of(right, there), "root": share_of(right, there & roots)}
    if number > 2:
        found["all of two"] = share_of(side, sided)
        found["root of two"] = share_of(side, sided & roots)
    return found


@dataclass(frozen=True)
class Negations:
    """Nodes whose left child is a word of negation, and the phrase to its right.

    Attributes:
        below, above: Probabilities of the phrase and of the node, ``(n, classes)``.
        labels_below, labels_above: Their classes, ``(n,)``.
    """

    below: Tensor
    above: Tensor
    labels_below: Tensor
    labels_above: Tensor

    def of(self, side: str) -> Negations:
        """Those of positive or of negative phrases."""
        middle = neutral(self.below.shape[1])
        kept = self.labels_below > middle if side == "positive" else self.labels_below < middle
        return Negations(*(value[kept] for value in vars(self).values()))

    @property
    def moves(self) -> Tensor:
        """By how many classes the mean class of the network rises, ``(n,)``."""
        classes = torch.arange(self.below.shape[1], device=self.below.device)
        return ((self.above - self.below) * classes).sum(1)

    @property
    def label_moves(self) -> Tensor:
        """By how many classes the label rises, ``(n,)``."""
        return self.labels_above - self.labels_below


def negations(answers: Tensor, nodes: Tensor, labels: Tensor, words: Sequence[str]) -> Negations:
    """All nodes of which ``NEGATORS`` negate a phrase and both have a label.

    Args:
        answers: Probabilities, ``(N, nodes, classes)``.
        nodes: As ``data.Trees.nodes``.
        labels: ``(N, nodes)``, -1 for none.
        words: The vocabulary.
    """
    known = [i for i, word in enumerate(words) if word.lower() in NEGATORS]
    left, right = (nodes[..., side].clamp_min(0) for side in (1, 2))
    negated = torch.isin(nodes[..., 0].gather(1, left), torch.tensor(known, device=nodes.device))
    below = labels.gather(1, right)
    tree, node = ((nodes[..., 3] > 0) & negated & (labels >= 0) & (below >= 0)).nonzero().T
    phrase = right[tree, node]
    return Negations(
        answers[tree, phrase], answers[tree, node], below[tree, node], labels[tree, node]
    )
