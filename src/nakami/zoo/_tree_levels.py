"""A recursive network along one tree: the heights as layers, for whoever reads layers."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from nakami.results import wrong


class TreeCell(nn.Module):
    """What merges two nodes, and tells the class of one.

    Attributes:
        size: Values of a node's vector. output: logits of a vector.
    """

    size: int
    output: nn.Linear

    @abstractmethod
    def merged(self, pairs: Tensor) -> Tensor:
        """Parents of two nodes each, left and right, ``(n, 2, values) -> (n, values)``."""


class Merges(nn.Module):
    """All merges of one height: ``(N, nodes, values) -> (N, fewer nodes, values)``.

    The first ``len(kept)`` nodes that come out are those that wait for a higher parent; behind them
    stand the new ones.
    """

    def __init__(self, net: TreeCell, kept: list[int], pairs: list[int]):
        super().__init__()
        self.net = net
        for name, places in (("kept", kept), ("pairs", pairs)):
            self.register_buffer(name, torch.tensor(places, dtype=torch.long), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The nodes without a parent so far, after this height."""
        kept, pairs = (self.get_buffer(name) for name in ("kept", "pairs"))
        n, parents = len(x), len(pairs) // 2
        new = self.net.merged(x[:, pairs].view(n * parents, 2, x.shape[2]))
        return torch.cat([x[:, kept], new.unflatten(0, (n, parents))], 1)


class Root(nn.Module):
    """Logits of the last node, ``(N, 1, values)`` or ``(N, values) -> (N, classes)``."""

    def __init__(self, net: TreeCell):
        super().__init__()
        self.size, self.linear = net.size, net.output  # alone, so that a stage has this name

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the root."""
        logits: Tensor = self.linear(x.flatten(1)[:, : self.size])
        return logits


def levels(net: TreeCell, tree: Tensor) -> nn.Sequential:
    """``height1``, ``height2``, ... and ``output``: from the leaves' values to the root's logits.

    Args:
        net: Its weights are shared, not copied.
        tree: ``(nodes, 4)``, a row of ``data.Trees.nodes``.

    Returns:
        A network ``(N, leaves, values) -> (N, classes)``; leaves in the order of the tree's nodes,
        which is that of the sentence.
    """
    rows = [row for row in tree.tolist() if row[3] >= 0]
    front = [node for node, row in enumerate(rows) if row[3] == 0]
    parts = OrderedDict[str, nn.Module]()
    for height in range(1, max(row[3] for row in rows) + 1):
        parents = [node for node, row in enumerate(rows) if row[3] == height]
        place = {node: i for i, node in enumerate(front)}
        pairs = [place[rows[p][side]] for p in parents for side in (1, 2)]
        kept = sorted(set(place.values()) - set(pairs))
        parts[f"height{height}"] = Merges(net, kept, pairs)
        front = [front[i] for i in kept] + parents
    parts["output"] = Root(net)
    return nn.Sequential(parts)


def climbing(nodes: Tensor, there: Tensor) -> tuple[Tensor, list[tuple[Tensor, int]]]:
    """The order in which all nodes are computed, by height, and what each height takes.

    Nodes that wait for their parent stand in a front, which begins as all leaves. Each node has one
    parent at most, so a height takes its children out of the front and adds itself behind.

    Args:
        nodes: ``(N, nodes, 4)``.
        there: Where there are any, ``(N, nodes)``.

    Returns:
        The order as places among the nodes that are there, ``(count,)``; for each height places in
        the front, the two children of each of its nodes, then those that wait on, and how many
        nodes it has.
    """
    rows, here = nodes.cpu().numpy(), there.cpu().numpy()
    heights = rows[..., 3][here]
    order = heights.argsort(kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    of_tree = np.zeros(here.shape, dtype=order.dtype)
    of_tree[here] = rank
    ends = np.bincount(heights).cumsum()
    below = np.take_along_axis(of_tree[..., None], np.maximum(rows[..., 1:3], 0), 1)[here][order]
    taken_at = np.full(len(order), len(ends))  # the height of the parent
    taken_at[below[ends[0] :]] = heights[order][ends[0] :, None]
    steps, device = list[tuple[Tensor, int]](), nodes.device
    for height, (start, end) in enumerate(pairwise(ends.tolist()), 1):
        waiting = taken_at[:start] >= height
        place = waiting.cumsum() - 1
        kept = place[taken_at[:start] > height]
        taken = np.concatenate([place[below[start:end]].ravel(), kept])
        steps.append((torch.from_numpy(taken).to(device), end - start))
    return torch.from_numpy(order).to(device), steps


def checked_nodes(nodes: Tensor, words: int) -> Tensor:
    """Where nodes are, ``(N, nodes)``; what no tree can be is refused."""
    tensor = isinstance(nodes, Tensor)
    if not tensor or nodes.ndim != 3 or nodes.shape[2] != 4 or nodes.dtype != torch.long:
        got = f"{nodes.dtype} of shape {tuple(nodes.shape)}" if tensor else type(nodes).__name__
        raise wrong(
            "nodes", "be int64 of shape (N, nodes, 4)", got, "pass data.read_trees(path).nodes"
        )
    if nodes.numel() and int(nodes[..., 0].max()) >= words:
        most = int(nodes[..., 0].max())
        raise wrong(
            "nodes", f"name words below {words}", most, "read the trees with the same words"
        )
    there, way_out = nodes[..., 3] >= 0, "pass data.read_trees(path).nodes"
    if not there.any():
        raise wrong("nodes", "hold a node", "none", way_out)
    if not _in_order(nodes)[there].all():
        rule = "be words of height 0, and parents one higher than the higher of two children"
        raise wrong("nodes", rule, "others", way_out)
    if not _whole(nodes, there):
        rule = "be trees, children before their one parent, the root last, then -1"
        raise wrong("nodes", rule, "others", way_out)
    return there


def _in_order(nodes: Tensor) -> Tensor:
    """Which nodes are leaves with a word, or parents of the height of their children and 1."""
    children, heights = nodes[..., 1:3], nodes[..., 3]
    known = ((children >= 0) & (children < nodes.shape[1])).all(-1)
    below = heights[:, :, None].expand(-1, -1, 2).gather(1, children.clamp(0, nodes.shape[1] - 1))
    parent = known & (below >= 0).all(-1) & (heights == below.amax(-1) + 1)
    return torch.where(heights == 0, nodes[..., 0] >= 0, parent)


def _whole(nodes: Tensor, there: Tensor) -> bool:
    """Whether each row is one tree: all its nodes but the last have one parent, behind them."""
    n, size = there.shape
    inner = nodes[..., 3] > 0
    children = nodes[..., 1:3].clamp_min(0)
    places = torch.arange(size, device=nodes.device)
    behind = (children < places[:, None]).all(-1) | ~inner
    parents = nodes.new_zeros(n, size)
    parents.scatter_add_(1, children.flatten(1), inner.long().repeat_interleave(2, 1))
    wanted = places < there.sum(1, keepdim=True) - 1
    first = there == (places <= there.sum(1, keepdim=True) - 1)
    return bool((behind & first & (parents == wanted)).all())
