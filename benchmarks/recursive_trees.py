"""Recursive networks: a batch of trees by height beside the recursion node by node.

    OMP_NUM_THREADS=1 python benchmarks/recursive_trees.py

CPU seconds of the loss of 25 sentences at all their nodes and its gradient, 25 values a node, the
words of the training set; each way in processes of its own, in turns, each process the median of
its repeats; the median counts. The recursion calls the same cell for one node after the other.
Sentences of the Stanford Sentiment Treebank in $NAKAMI_DATA/sst.
"""

from __future__ import annotations

import json
import statistics
import sys
from typing import Any

import torch
from _side_by_side import apart, cpu_seconds, data_folder, keep, middle, table
from torch import Tensor
from torch.nn import functional as F

KINDS, WAYS, ROUNDS, SENTENCES = ("rnn", "mv", "rntn"), ("by height", "node by node"), 5, 25


def recursion(net: Any, tree: list[list[int]], node: int, seen: list[Tensor]) -> Tensor:
    """The state of a node; the logits of all below it, and its own, go to ``seen``."""
    word, left, right, _ = tree[node]
    if word >= 0:
        state = net.leaf(torch.tensor([word]))
    else:
        children = [recursion(net, tree, child, seen) for child in (left, right)]
        state = net.merged(torch.stack(children, 1))
    seen.append(net.output(state[:, : net.size]))
    return state


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

    def one_by_one() -> Tensor:
        seen = list[Tensor]()
        for tree, root in zip(nodes.tolist(), trees.roots.tolist(), strict=False):
            recursion(net, tree, root, seen)
        return F.cross_entropy(torch.cat(seen), labels[labels >= 0])

    loss = whole if way == "by height" else one_by_one

    def work() -> float:
        net.zero_grad()
        value = loss()
        value.backward()
        return value.item()

    work()
    runs = [cpu_seconds(work) for _ in range(20 if way == "by height" else 3)]
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
    for fast, slow in zip(rows[::2], rows[1::2], strict=True):
        assert abs(fast["loss"] - slow["loss"]) < 1e-4, (fast, slow)
        times = (f"{1000 * r['cpu_s']:.1f}" for r in (fast, slow))
        shown.append([fast["kind"], *times, f"{slow['cpu_s'] / fast['cpu_s']:.0f}"])
    head = ["25 sentences", "by height, ms", "node by node, ms", "ratio"]
    keep("recursive_trees", rows, table(head, shown))


if __name__ == "__main__":
    main()
