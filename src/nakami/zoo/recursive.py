"""Recursive networks on binary trees: one cell merges two nodes, from the words to the root.

Origin: Socher, Lin, Ng & Manning, "Parsing natural scenes and natural language with recursive
neural networks", ICML 2011 (``"rnn"``); Socher, Huval, Manning & Ng, "Semantic compositionality
through recursive matrix-vector spaces", EMNLP 2012 (``"mv"``); Socher et al., "Recursive deep
models for semantic compositionality over a sentiment treebank", EMNLP 2013 (``"rntn"``).

With the children's vectors ``b``, ``c`` and ``u = [b; c]`` a node is

* ``rnn``: ``tanh(W u + w)``;
* ``mv``: each node has a matrix, too, ``B``, ``C``: ``tanh(W [C b; B c] + w)`` and
  ``W_M [B; C]``;
* ``rntn``: ``tanh(u^T V u + W u + w)``, with a slice of ``V`` for each unit.

A linear layer gives the logits of every node. All nodes of one height of all trees are computed
together, so that a batch takes as many steps as its highest tree.

Deliberate differences: first weights ``W = [I/2, I/2]`` and normal noise, so that a parent begins
as the mean of its children; word vectors ``N(0, 0.1^2)``; matrices of words ``I + L R + diag(a)``
of low rank, as in the paper, from small noise.

Published, Stanford Sentiment Treebank, accuracy in % of five classes at the root, of two classes
at the root: RNTN 45.7 and 85.4; MV-RNN 44.4 and 82.9 (as Kim 2014 quotes them).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import check_at_least, unknown

from ._entry import Entry
from ._layers import layer, normal, seeded
from ._tree_levels import TreeCell, checked_nodes, climbing, levels
from ._tree_paths import ascents

Kind = Literal["rnn", "mv", "rntn"]
KINDS = ("rnn", "mv", "rntn")


class RecursiveNet(TreeCell):
    """A class for every node of binary trees.

    Args:
        words: Words of the vocabulary.
        size: Values of a node's vector.
        classes: Classes of a node.
        kind: ``"rnn"``, ``"mv"`` or ``"rntn"``.
        rank: Of the words' matrices beside their diagonal; ``"mv"`` alone.
        generator: Source of the first weights; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        words: The words' vectors, ``(words, size)``. merge: the linear part, ``W`` and ``w``.
            tensor: ``V``, ``(size, 2 size, 2 size)``, of ``"rntn"``. output: logits of a node.
    """

    def __init__(
        self,
        words: int,
        size: int = 25,
        classes: int = 5,
        kind: Kind = "rntn",
        *,
        rank: int = 3,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        for name, value in (("words", words), ("size", size), ("classes", classes)):
            check_at_least(name, value, 1, "pass a positive number")
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
        g = seeded(generator)
        self.kind, self.size = kind, size

        def noise(*shape: int, scale: float) -> nn.Parameter:
            return nn.Parameter(normal(torch.empty(shape, dtype=dtype), g) * scale)

        self.words = noise(words, size, scale=0.1)
        self.merge = layer(
            nn.Linear, 2 * size, size, std=0.1 * size**-0.5, generator=g, dtype=dtype
        )
        half = torch.eye(size, dtype=dtype) / 2
        with torch.no_grad():
            self.merge.weight.add_(torch.cat([half, half], 1))
        if kind == "rntn":
            self.tensor = noise(size, 2 * size, 2 * size, scale=0.1 / size)
        if kind == "mv":
            rank = check_at_least("rank", rank, 1, "pass rank=3")
            self.left = noise(words, size, rank, scale=0.01)
            self.right = noise(words, rank, size, scale=0.01)
            self.diagonal = nn.Parameter(torch.zeros(words, size, dtype=dtype))
            self.merge_matrices = noise(size, 2 * size, scale=0.1 * size**-0.5)
            with torch.no_grad():
                self.merge_matrices.add_(torch.cat([half, half], 1))
        self.output = layer(nn.Linear, size, classes, std=size**-0.5, generator=g, dtype=dtype)

    def forward(self, nodes: Tensor) -> Tensor:
        """Logits of every node, ``(N, nodes, 4) -> (N, nodes, classes)``; 0 where there is none.

        ``nodes`` is that of ``data.Trees``: word, left child, right child, height, -1 for none.
        """
        states, there = self._states(nodes)
        logits = self.output(states[:, : self.size])
        return self._filled(logits, there)

    def vectors(self, nodes: Tensor) -> Tensor:
        """Vectors of every node, ``(N, nodes, 4) -> (N, nodes, size)``; 0 where there is none."""
        states, there = self._states(nodes)
        return self._filled(states[:, : self.size], there)

    def along(self, tree: Tensor) -> nn.Sequential:
        """The network along one tree, its heights as layers: ``height1``, ..., ``output``.

        Args:
            tree: ``(nodes, 4)``, a row of ``data.Trees.nodes``.

        Returns:
            A network from the values of the leaves, ``leaf(words)[None]``, ``(N, leaves, values)``,
            to the logits of the root, ``(N, classes)``; its weights are these.
        """
        checked_nodes(tree[None], len(self.words))
        return levels(self, tree)

    @torch.no_grad()
    def up(self, tree: Tensor, node: int) -> nn.Sequential:
        """The network from one node to the root, its ancestors as layers: ``ancestor1``, ....

        All beside the way is held as it is at the present weights: states of the siblings, and
        matrices of ``"mv"``, which do not depend on vectors. Singular values at ``ancestor3`` tell
        what three merges keep of a small change of the node.

        Args:
            tree: ``(nodes, 4)``, a row of ``data.Trees.nodes``.
            node: A word or phrase of it, by its position.

        Returns:
            A network from the node's vector, ``vectors(tree[None])[:, node]``, ``(N, size)``, to
            the logits of the root, ``(N, classes)``, by ``output``; its weights are these.
        """
        states, _ = self._states(tree[None])
        return ascents(self, tree, states, node)

    def leaf(self, words: Tensor) -> Tensor:
        """What words bring in, ``(n,) -> (n, values)``: vectors; for ``"mv"`` matrices behind."""
        vector = F.embedding(words, self.words)
        if self.kind != "mv":
            return vector
        low = F.embedding(words, self.left.flatten(1)).unflatten(1, self.left.shape[1:])
        high = F.embedding(words, self.right.flatten(1)).unflatten(1, self.right.shape[1:])
        one = torch.eye(self.size, dtype=vector.dtype, device=vector.device)
        diagonal = one * (1 + F.embedding(words, self.diagonal))[:, :, None]
        return torch.cat([vector, (low @ high + diagonal).flatten(1)], 1)

    def merged(self, pairs: Tensor) -> Tensor:
        """Parents of two nodes each, left and right, ``(n, 2, values) -> (n, values)``."""
        if self.kind == "mv":
            return self._merged_with_matrices(pairs)
        both = pairs.flatten(1)
        if self.kind == "rnn":
            return torch.tanh(self.merge(both))
        w, v = self.merge.weight, self.tensor
        slopes = F.linear(both, v.flatten(0, 1), w.flatten()).unflatten(1, w.shape)  # V u + W
        return torch.tanh((slopes * both[:, None]).sum(2) + self.merge.bias)

    def _merged_with_matrices(self, pairs: Tensor) -> Tensor:
        d = self.size
        vectors, matrices = pairs[..., :d], pairs[..., d:].unflatten(2, (d, d))
        crossed = (matrices.flip(1) @ vectors[..., None]).flatten(1)  # [C b; B c]
        matrix = self.merge_matrices @ matrices.flatten(1, 2)
        return torch.cat([torch.tanh(self.merge(crossed)), matrix.flatten(1)], 1)

    def _states(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """States of all nodes that are there, by tree and position; and where they are."""
        there = checked_nodes(nodes, len(self.words))
        order, steps = climbing(nodes, there)
        words = nodes[..., 0][there][order]
        front = self.leaf(words[words >= 0])  # words come first
        states = [front]
        for taken, parents in steps:
            below, kept = front.index_select(0, taken).split(
                [2 * parents, len(taken) - 2 * parents]
            )
            new = self.merged(below.unflatten(0, (parents, 2)))
            states.append(new)
            front = torch.cat([kept, new])
        return torch.cat(states).index_select(0, order.argsort()), there

    def _filled(self, values: Tensor, there: Tensor) -> Tensor:
        out = values.new_zeros(*there.shape, values.shape[1])
        return out.masked_scatter(there[..., None], values)


def node_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over all nodes with a class, nats: the loss of a training on trees.

    Args:
        logits: ``(N, nodes, classes)``.
        labels: ``(N, nodes)``, -1 for none, as ``data.Trees.labels``. Without any the loss is 0.
    """
    by_class = logits.transpose(1, 2)  # a third of the time of rows of few classes
    total = F.cross_entropy(by_class, labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp_min(1)


def balanced(height: int) -> Tensor:
    """Nodes of a tree with all leaves, words 0, 1, ..., at one depth, ``(2^(height+1) - 1, 4)``."""
    height, rows = check_at_least("height", height, 0, "use 3"), list[list[int]]()

    def grow(high: int) -> int:
        if high:
            children = [grow(high - 1), grow(high - 1)]
            rows.append([-1, *children, high])
        else:
            rows.append([sum(row[3] == 0 for row in rows), -1, -1, 0])
        return len(rows) - 1

    grow(height)
    return torch.tensor(rows)


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """A tensor network of 25 units along a tree of eight words, from their vectors to the root.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    return RecursiveNet(8, generator=generator).along(balanced(3))


ENTRY = Entry(
    make=make,
    input=(8, 25),
    output=(5,),
    parameters=8 * 25 + 25 * 50 + 25 + 25 * 50 * 50 + 25 * 5 + 5,
    task="classification",
    origin="Socher et al. 2013",
    preprocessing="unit",
)
