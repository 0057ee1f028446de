"""Labelled binary trees from bracketed text, one a line, as rows of numbers for a network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import torch
from torch import Tensor

from nakami.results import UsageError, as_path, check_at_least, counted, wrong

CLASS = re.compile(r"-1|[0-9]{1,9}")
PIECES = re.compile(r"[()]|[^ \t\r()]+")  # a no-break space belongs to its word
UNKNOWN = "<unknown>"
NONE = -1  # no word, no child, no label, no node


@dataclass(frozen=True)
class Trees:
    """Binary trees with a class at every node, read-only by agreement.

    A tree is a row of nodes, children before their parents and the root last; shorter trees are
    filled up with nodes of -1.

    Attributes:
        nodes: ``(N, nodes, 4)`` int64: word, left child, right child, height. The word of an inner
            node and the children of a leaf are -1; a leaf has height 0, a parent one more than the
            higher child. Children are positions in the same tree.
        labels: ``(N, nodes)`` int64, classes; -1 where there is no node or no class.
        words: The vocabulary; word 0 stands for all that it lacks.
        source: One sentence: what this is and where it came from.
    """

    nodes: Tensor
    labels: Tensor
    words: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def roots(self) -> Tensor:
        """Position of the root of each tree, ``(N,)``."""
        return (self.nodes[:, :, 3] != NONE).sum(1) - 1

    @property
    def root_labels(self) -> Tensor:
        """Class of each tree, ``(N,)``."""
        return self.labels.gather(1, self.roots[:, None])[:, 0]

    def sentence(self, tree: int) -> str:
        """Words of a tree from left to right."""
        rows = self.nodes[tree].tolist()
        waiting, found = [int(self.roots[tree])], list[str]()
        while waiting:  # not by recursion: a tree may be deep
            word, left, right, _ = rows[waiting.pop()]
            if word == NONE:
                waiting += [right, left]
            else:
                found.append(self.words[word])
        return " ".join(found)


@dataclass(frozen=True)
class _Parsed:
    """A tree as lists: for each node in order its word or None, children, height and class."""

    nodes: list[tuple[str | None, int, int, int]]
    labels: list[int]


def read_trees(
    path: str | PathLike[str],
    words: Sequence[str] | None = None,
    *,
    least: int = 1,
    lower: bool = False,
) -> Trees:
    """Read trees such as ``(3 (2 It) (4 (2 's) (4 good)))``, one a line, of a UTF-8 text.

    The form of the Stanford Sentiment Treebank: behind a bracket stands the class of the node, then
    a word, or two nodes. A class is a whole number from 0 on, or -1 for none. Empty lines are left
    out.

    Args:
        path: The file.
        words: The vocabulary to use, as ``Trees.words`` of the trees that were trained on, which
            begins with that of unknown words; None: the words of this file in order of their
            frequency.
        least: Words that are rarer in the file are left out of its vocabulary.
        lower: Take words in small letters.

    Raises:
        UsageError: Nothing there, no tree, a line that is no binary tree (the sentence gives its
            number), or a vocabulary that does not begin with ``"<unknown>"``.
    """
    named = isinstance(words, Sequence) and not isinstance(words, str)
    if words is not None and not (named and tuple(words[:1]) == (UNKNOWN,)):
        got = repr(words[0] if named and words else words)
        rule, way_out = (
            f"begin with {UNKNOWN!r}",
            "pass the words of the trees that were trained on",
        )
        raise wrong("words", rule, got, way_out)
    path = as_path("path", path, "give the file of the trees")
    least = check_at_least("least", least, 1, "pass least=2 to leave out words seen once")
    if not path.is_file():
        raise wrong("path", "name a file", path, "give the file of the trees")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as broken:
        raise wrong("path", "be UTF-8 text", f"{path}: {broken.reason}", "convert it") from None
    lines = [line.lower() for line in lines] if lower else lines
    return parsed_trees(lines, path.name, words, least)


def parsed_trees(
    lines: Sequence[str], name: str, words: Sequence[str] | None = None, least: int = 1
) -> Trees:
    """Trees of the lines of a text, empty ones left out; as ``read_trees``.

    Args:
        lines: One tree each.
        name: What holds them.
        words: The vocabulary to use, or None.
        least: Words that are rarer are left out of theirs.
    """
    parsed = [
        _parse(line, f"line {number} of {name}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not parsed:
        raise wrong("path", "hold a tree or more", name, "give a file with one tree a line")
    known = tuple(words) if words is not None else _vocabulary(parsed, least)
    index = {word: i for i, word in enumerate(known)}
    longest = max(len(tree.labels) for tree in parsed)
    nodes = torch.full((len(parsed), longest, 4), NONE)
    labels = torch.full((len(parsed), longest), NONE)
    for row, tree in enumerate(parsed):
        rows = [(NONE if word is None else index.get(word, 0), *rest) for word, *rest in tree.nodes]
        nodes[row, : len(rows)] = torch.tensor(rows)
        labels[row, : len(rows)] = torch.tensor(tree.labels)
    return Trees(nodes, labels, known, f"{counted(len(parsed), 'tree')} of {name}")


def _vocabulary(trees: list[_Parsed], least: int) -> tuple[str, ...]:
    counts = Counter(word for tree in trees for word, *_ in tree.nodes if word is not None)
    found = sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))
    return (UNKNOWN, *found)


def _parse(line: str, where: str) -> _Parsed:
    """One tree, without recursion: trees of a treebank may be deep."""
    nodes, labels = list[tuple[str | None, int, int, int]](), list[int]()
    open_ = list[tuple[int, list[int], list[str]]]()  # class, children, words of the open nodes
    pieces = PIECES.findall(line)
    at, done = 0, None
    while at < len(pieces):
        piece = pieces[at]
        if done is not None:
            raise _wrong(where, f"'{piece}' behind the tree")
        if piece == "(":
            name = pieces[at + 1] if at + 1 < len(pieces) else ""
            if not CLASS.fullmatch(name):
                raise _wrong(where, f"'({name}'")
            open_.append((int(name), [], []))
            at += 2
            continue
        if not open_:
            raise _wrong(where, f"'{piece}' outside brackets")
        if piece == ")":
            label, children, words = open_.pop()
            done = _close(nodes, children, words, where)
            labels.append(label)
            if open_:
                open_[-1][1].append(done)
                done = None
        else:
            open_[-1][2].append(piece)
        at += 1
    if done is None:
        raise _wrong(where, "a bracket that is not closed" if open_ else "nothing")
    return _Parsed(nodes, labels)


def _close(
    nodes: list[tuple[str | None, int, int, int]],
    children: list[int],
    words: list[str],
    where: str,
) -> int:
    """Add the node that ends here; its position."""
    if len(words) == 1 and not children:
        nodes.append((words[0], NONE, NONE, 0))
    elif len(children) == 2 and not words:
        height = 1 + max(nodes[child][3] for child in children)
        nodes.append((None, children[0], children[1], height))
    else:
        below = counted(len(children), "child", "children")
        raise _wrong(where, f"a node of {counted(len(words), 'word')} and {below}")
    return len(nodes) - 1


def _wrong(where: str, got: str) -> UsageError:
    rule = "be a tree of classes with a word or two nodes in each bracket"
    return wrong(where, rule, got, "write (3 (2 It) (4 works))")
