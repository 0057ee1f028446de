"""A recursive network along the way from one node to the root: its ancestors as layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from nakami.results import is_whole, wrong

from ._tree_levels import Root, TreeCell


class Ascent(nn.Module):
    """One merge: the vector of a node becomes that of its parent, ``(N, size) -> (N, size)``.

    Args:
        net: Merges two nodes; its weights are shared, not copied.
        children: What the parent takes at the left and at the right, ``(2, values)``; the vector of
            the node itself, ``size`` values in front, is replaced by what comes in.
        side: Of the node, 0 left or 1 right.
    """

    def __init__(self, net: TreeCell, children: Tensor, side: int):
        super().__init__()
        self.net, self.side = net, side
        self.register_buffer("children_states", children, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of the parent."""
        size = self.net.size
        pair = list(self.get_buffer("children_states").expand(len(x), -1, -1).unbind(1))
        pair[self.side] = torch.cat([x, pair[self.side][:, size:]], 1)
        return self.net.merged(torch.stack(pair, 1))[:, :size]


def ascents(net: TreeCell, tree: Tensor, states: Tensor, node: int) -> nn.Sequential:
    """``ancestor1``, ``ancestor2``, ... and ``output``: from a node's vector to the root's logits.

    Args:
        net: What merges.
        tree: ``(nodes, 4)``, a row of ``data.Trees.nodes``.
        states: Of its nodes, ``(nodes, values)``.
        node: Where the way begins.
    """
    rows = [row for row in tree.tolist() if row[3] >= 0]
    if not is_whole(node) or not 0 <= node < len(rows):
        rule = f"be a node of the tree, 0 to {len(rows) - 1}"
        raise wrong("node", rule, repr(node), "leaves are those of height 0, tree[:, 3] == 0")
    parts = OrderedDict[str, nn.Module]()
    for i, (children, side) in enumerate(_above(rows, int(node)), 1):
        parts[f"ancestor{i}"] = Ascent(net, states[children].detach(), side)
    parts["output"] = Root(net)
    return nn.Sequential(parts)


def _above(rows: Sequence[Sequence[int]], node: int) -> Iterator[tuple[list[int], int]]:
    """Both children of each ancestor, from the parent to the root; which of them is on the way."""
    parents = {child: parent for parent, row in enumerate(rows) for child in row[1:3] if row[3]}
    while node in parents:
        children = list(rows[parents[node]][1:3])
        yield children, children.index(node)
        node = parents[node]
