"""Labelled trees to train and to test on: made by a grammar, or those of the caller's files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import nn

from nakami.data import EMBEDDED, Examples, Trees, made_trees, read_trees
from nakami.data._made_trees import CLASSES as FIVE
from nakami.results import named_as, wrong
from nakami.zoo.recursive import RecursiveNet

from ._examples import DataFiles, held_out

MADE = (2000, 500)  # to train on, to test on
TRAIN, TEST = "train.txt", ("test.txt", "dev.txt")  # of a folder


@dataclass(frozen=True)
class TreeExamples(Examples):
    """Trees as examples: inputs are ``Trees.nodes``, labels ``Trees.labels``.

    Attributes:
        words: The vocabulary.
    """

    words: tuple[str, ...] = ()


def examples_of(trees: Trees, what: str, classes: tuple[str, ...] | None = None) -> TreeExamples:
    """Trees as examples named after what they are for.

    Args:
        trees: With classes.
        what: They are for.
        classes: Names of the classes; None: those of the treebank if there are five, else numbers.
    """
    known, nodes = int(trees.labels.max()) + 1, int((trees.nodes[..., 3] >= 0).sum())
    if classes is None and known > max(2, nodes):
        rule = f"hold classes below its number of nodes, {nodes}"
        raise wrong("path", rule, known - 1, "give more trees, or number the classes from 0 on")
    if classes is None:
        classes = FIVE if known == len(FIVE) else tuple(map(str, range(known)))
    return TreeExamples(
        trees.nodes,
        trees.labels,
        tuple(f"{what} tree {i}" for i in range(len(trees))),
        EMBEDDED,
        trees.source,
        noun="tree",
        classes=classes,
        words=trees.words,
    )


def trees_from(files: DataFiles | None) -> tuple[TreeExamples, TreeExamples]:
    """Trees to train and to test on.

    Args:
        files: A file of bracketed trees, one a line, and one to test on, without which a random
            tenth is left out of training; or a folder with ``train.txt`` and ``test.txt`` (else
            ``dev.txt``); None: sentences made by a grammar.
    """
    if files is None:
        return _made()
    for name, value in files.reading.items():
        if value is not None:
            raise wrong(name, "be left out with trees", value, f"leave {{{name}}} out")
    first, second = _paths(files)
    with named_as("path", "data"):
        train = examples_of(read_trees(first), "train")
    if second is None:
        found, test = held_out(train)
    else:
        with named_as("path", "test"):
            found, test = train, examples_of(read_trees(second, train.words), "test", train.classes)
    assert isinstance(found, TreeExamples)
    assert isinstance(test, TreeExamples)
    _check_labels(found, test)
    return found, test


def _paths(files: DataFiles) -> tuple[Path, Path | None]:
    """The file to train on, and that to test on if there is one."""
    path, test = Path(files.path), None if files.test is None else Path(files.test)
    if not path.is_dir():
        return path, test
    parts = [path / name for name in TEST if (path / name).is_file()]
    if not (path / TRAIN).is_file():
        rule = f"be a file of trees, or a folder with {TRAIN}"
        raise wrong("data", rule, path, "write one tree a line, such as (3 (2 It) (4 works))")
    return path / TRAIN, test or (parts[0] if parts else None)


def _check_labels(train: TreeExamples, test: TreeExamples) -> None:
    for argument, examples in (("data", train), ("test", test)):
        assert examples.labels is not None
        if not (examples.labels >= 0).any():
            way_out = "write the class of a node behind its bracket, (3 (2 It) (4 works))"
            raise wrong(argument, "have a class at a node or more", "-1 everywhere", way_out)
    assert test.labels is not None
    if int(test.labels.max()) >= len(train.classes):
        rule = f"hold labels of the {len(train.classes)} classes of the trees to train on"
        raise wrong("test", rule, int(test.labels.max()), "leave out trees of other classes")


@cache
def _made() -> tuple[TreeExamples, TreeExamples]:
    train, test = MADE
    whole = examples_of(made_trees(train + test), "")
    names = [f"{what} tree {i}" for what, n in (("train", train), ("test", test)) for i in range(n)]
    whole = replace(whole, names=tuple(names))
    rule = "sentences of a small grammar with negation"
    found, rest = (
        replace(part, source=f"{len(part):,} {rule}") for part in (whole[:train], whole[train:])
    )
    assert isinstance(found, TreeExamples)
    assert isinstance(rest, TreeExamples)
    return found, rest


@torch.no_grad()
def along_first(net: RecursiveNet, test: Examples) -> tuple[nn.Module, Examples]:
    """The network along the first tree, and the words of all trees of the same form there.

    Returns:
        A network from the values of the leaves to the classes of the root, ``RecursiveNet.along``;
        the inputs of the first tree and of others with its branches.
    """
    nodes, labels = test.inputs, test.labels
    assert labels is not None
    tree = nodes[0][nodes[0][:, 3] >= 0]
    form = nodes[..., 1:].clone()  # without words
    same = (form == form[:1]).flatten(1).all(1)
    leaves = tree[:, 3] == 0
    words = nodes[same][:, : len(tree), 0][:, leaves]
    values = torch.stack([net.leaf(row) for row in words])
    picked = test[same]
    found = Examples(
        values, labels[same][:, len(tree) - 1], picked.names, EMBEDDED, test.source, noun="tree",
        classes=test.classes,
    )  # fmt: skip
    return net.along(tree).eval(), found
