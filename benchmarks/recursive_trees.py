"""Recursive networks: a batch of trees by height beside the recursion node by node.

    OMP_NUM_THREADS=1 python benchmarks/recursive_trees.py

CPU seconds of the loss of 25 sentences at all their nodes and its gradient, 25 values a node, the
words of the training set; each way in processes of its own, in turns, each process the median of
its repeats; the median counts. The recursion calls the same cell for one node after the other. It
looks each word up where it stands, so that the gradient of all words' vectors is made anew for each
word; or all words of the batch at once, which leaves what the merges take.
Sentences of the Stanford Sentiment Treebank in $NAKAMI_DATA/sst.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from _side_by_side import apart, cpu_seconds, data_folder, keep, middle, table
from torch import Tensor
from torch.nn import functional as F

KINDS, ROUNDS, SENTENCES = ("rnn", "mv", "rntn"), 5, 25
FAST, SLOW, AT_ONCE = WAYS = ("by height", "node by node", "node by node, words at once")
Look = Callable[[int], Tensor]  # the state of a leaf, (1, values)


def recursion(net: Any, tree: list[list[int]], node: int, seen: list[Tensor], look: Look) -> Tensor:
    """The state of a node; the logits of all below it, and its own, go to ``seen``."""
    word, left, right, _ = tree[node]
    if word >= 0:
        state = look(word)
    else:
        children = [recursion(net, tree, child, seen, look) for child in (left, right)]
        state = net.merged(torch.stack(children, 1))
    seen.append(net.output(state[:, : net.size]))
    return state


def looked_up(net: Any, nodes: Tensor) -> Look:
    """The states of all words of a batch, made together; words are asked for in any order."""
    words = nodes[..., 0][nodes[..., 0] >= 0].unique()
    states = net.leaf(words)[:, None].unbind(0)
    row = {word: i for i, word in enumerate(words.tolist())}
    return lambda word: states[row[word]]


def child(kind: str, way: str) -> dict[str, float]:
    """Median seconds of loss and gradient, and the loss."""
    from nakami import data
    from nakami.zoo.recursive import RecursiveNet

    torch.set_num_threads(1)
    trees = data.read_trees(data_folder() / "sst" / "train.txt")
    net = RecursiveNet(len(trees.words), kind=kind)  # type: ignore[arg-type]
    nodes, labels = trees.nodes[:SENTENCES], trees.labels[:SENTENCES]

    def whole() -> Tensor:
        return F.cross_entropy(net(nodes).flatten(0, 1), labels.flatten(), ignore_index=-1)

    def alone(word: int) -> Tensor:
        return net.leaf(torch.tensor([word]))

    def one_by_one() -> Tensor:
        seen, look = list[Tensor](), looked_up(net, nodes) if way == AT_ONCE else alone
        for tree, root in zip(nodes.tolist(), trees.roots.tolist(), strict=False):
            recursion(net, tree, root, seen, look)
        return F.cross_entropy(torch.cat(seen), labels[labels >= 0])

    loss = whole if way == FAST else one_by_one

    def work() -> float:
        net.zero_grad()
        value = loss()
        value.backward()
        return value.item()

    work()
    runs = [cpu_seconds(work) for _ in range(20 if way == FAST else 3)]
    return {"cpu_s": round(statistics.median(s for s, _ in runs), 5), "loss": round(runs[0][1], 5)}


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(child(**json.loads(sys.argv[2]))))
        return
    if not (data_folder() / "sst").exists():
        sys.exit(f"no sst in {data_folder()}; set NAKAMI_DATA to a folder that has it")
    tasks = [{"kind": kind, "way": way} for kind in KINDS for way in WAYS]
    runs: dict[str, list[dict[str, Any]]] = {json.dumps(task): [] for task in tasks}
    for _ in range(ROUNDS):
        for task in tasks:
            runs[json.dumps(task)].append(apart(__file__, **task))
    rows = [middle(of, "cpu_s") for of in runs.values()]
    shown = []
    for fast, *others in zip(*(rows[i :: len(WAYS)] for i in range(len(WAYS))), strict=True):
        cells = [fast["kind"], f"{1000 * fast['cpu_s']:.1f}"]
        for slow in others:
            assert abs(fast["loss"] - slow["loss"]) < 1e-4, (fast, slow)
            cells += [f"{1000 * slow['cpu_s']:.1f}", f"{slow['cpu_s'] / fast['cpu_s']:.0f}"]
        shown.append(cells)
    head = ["25 sentences", *(text for way in WAYS for text in (f"{way}, ms", "ratio"))]
    head.pop(1 + 1)  # of the first to itself
    keep("recursive_trees", rows, table(head, shown))


if __name__ == "__main__":
    main()
