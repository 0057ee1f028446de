"""A recursive network that parses scenes: segments merge into objects, by a score of each merge.

Origin: Socher, Lin, Ng & Manning, "Parsing natural scenes and natural language with recursive
neural networks", ICML 2011. A segment with features ``F`` has the vector ``tanh(L F + l)``; two
nodes merge to ``p = tanh(W [c1; c2] + w)`` with score ``u^T p``. A tree's score is the sum over its
merges. The parser is greedy: the merge with the highest score comes first, until one node is left.

A merge is right if the segments below it are of one object, or make up whole objects: the right
trees are those that finish each object first. With ``wrong`` merges of a tree, the margin loss is

    max over trees of (score + kappa wrong) - max over right trees of score,

both maxima by the greedy parser.

Deliberate differences: any two nodes may merge, not neighbours alone; the left child is that with
the earliest segment; the loss is the greatest difference of both sums after any number of merges,
not after the last alone. Greed may find less than the right tree for all trees, and would then
learn nothing from its wrong merges; but where both part, the wrong merge stands above.
Published, scene labelling: nothing of our data; not quoted.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nakami.results import check_at_least, wrong

from ._entry import Entry
from ._layers import layer, seeded
from ._tree_levels import TreeCell, levels
from .recursive import balanced

KAPPA = 0.05


@dataclass(frozen=True)
class Parses:
    """A tree for each scene, as its merges in order.

    Attributes:
        scores: Of each merge, ``(N, merges)``; 0 where a scene needs fewer.
        wrong: Whether it is wrong, likewise; False where the objects are not known.
        nodes: The segments below each merge, ``(N, merges, segments)`` bool.
    """

    scores: Tensor
    wrong: Tensor
    nodes: Tensor

    @property
    def there(self) -> Tensor:
        """Where merges are, ``(N, merges)``."""
        return self.nodes.any(2)


class SceneParser(TreeCell):
    """Scores of merges of segments, and the greedy parser.

    Args:
        features: Numbers of a segment.
        size: Values of a node's vector.
        generator: Source of the first weights; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.
    """

    def __init__(
        self,
        features: int,
        size: int = 20,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        for name, value in (("features", features), ("size", size)):
            check_at_least(name, value, 1, "pass a positive number")
        g, self.size = seeded(generator), size

        def linear(n: int, m: int, bias: bool = True) -> nn.Linear:
            made = layer(nn.Linear, n, m, bias=bias, std=n**-0.5, generator=g, dtype=dtype)
            assert isinstance(made, nn.Linear)
            return made

        self.leaf = nn.Sequential(linear(features, size), nn.Tanh())
        self.merge = linear(2 * size, size)
        self.output = linear(size, 1, bias=False)

    def merged(self, pairs: Tensor) -> Tensor:
        """Parents of two nodes each, ``(n, 2, size) -> (n, size)``."""
        return torch.tanh(self.merge(pairs.flatten(1)))

    def forward(self, features: Tensor, objects: Tensor) -> Parses:
        """The greedy trees.

        Args:
            features: ``(N, segments, features)``.
            objects: The object of each segment, ``(N, segments)`` int64, -1 for no segment.
        """
        return self._climb(features, objects, 0.0, right_alone=False)

    def margin_loss(self, features: Tensor, objects: Tensor, kappa: float = KAPPA) -> Tensor:
        """The mean of the margin loss over scenes; arguments as for ``forward``."""
        all_ = self._climb(features, objects, kappa, right_alone=False)
        right = self._climb(features, objects, 0.0, right_alone=True)
        guess = all_.scores + kappa * all_.wrong.to(all_.scores.dtype)
        rises = (guess - right.scores).cumsum(1)
        none = rises.new_zeros(len(rises), 1)  # also of scenes of one segment
        return torch.cat([none, rises], 1).amax(1).mean()

    def _climb(
        self, features: Tensor, objects: Tensor, bonus: float, *, right_alone: bool
    ) -> Parses:
        """The merge with the highest score and bonus, one after another, in all scenes."""
        alive = _checked(features, objects)
        states, (n, most) = self.leaf(features), objects.shape
        below = torch.eye(most, dtype=torch.bool, device=objects.device).repeat(n, 1, 1)
        of_object = objects[:, :, None] == torch.arange(most, device=objects.device)
        first, second = torch.triu_indices(most, most, 1, device=objects.device)
        rows, found = torch.arange(n, device=objects.device), list[tuple[Tensor, Tensor, Tensor]]()
        for _ in range(most - 1):
            pairs = torch.stack([states[:, first], states[:, second]], 2).flatten(0, 1)
            parents = self.merged(pairs).unflatten(0, (n, len(first)))
            scores = self.output(parents)[..., 0]
            off = _wrong(below[:, first] | below[:, second], of_object)
            open_ = alive[:, first] & alive[:, second]
            allowed = open_ & ~off if right_alone else open_
            ranked = (scores.detach() + bonus * off.to(scores.dtype)).masked_fill(
                ~allowed, -torch.inf
            )
            best, more = ranked.argmax(1), open_.any(1)
            i, j = first[best], second[best]
            node = (below[rows, i] | below[rows, j]) & more[:, None]
            found.append((scores[rows, best] * more, off[rows, best] & more, node))
            here = torch.zeros_like(alive)
            here[rows, i] = more
            states = torch.where(here[:, :, None], parents[rows, best][:, None], states)
            below = torch.where(here[:, :, None], node[:, None], below)
            alive = alive.clone()
            alive[rows[more], j[more]] = False
        if not found:
            none = self.output(states)[:, :0, 0]
            return Parses(none, none.bool(), none.bool()[..., None].expand(n, 0, most))
        scores, off, nodes = (torch.stack(part, 1) for part in zip(*found, strict=True))
        return Parses(scores, off, nodes)


def _wrong(nodes: Tensor, of_object: Tensor) -> Tensor:
    """Whether nodes hold parts of objects beside others, ``(N, pairs, segments) -> (N, pairs)``."""
    counts = nodes.double() @ of_object.double()  # segments of each object, (N, pairs, objects)
    touched = counts > 0
    whole = (counts == of_object.sum(1).double()[:, None]) | ~touched
    return (touched.sum(2) > 1) & ~whole.all(2)


def _checked(features: Tensor, objects: Tensor) -> Tensor:
    """Where segments are."""
    if features.ndim != 3 or objects.shape != features.shape[:2] or objects.dtype != torch.long:
        rule = "be int64 (N, segments), with features (N, segments, features)"
        got = f"{objects.dtype} {tuple(objects.shape)} and {tuple(features.shape)}"
        raise wrong("objects", rule, got, "number the objects of a scene 0, 1, ..., -1 for none")
    if objects.numel() and int(objects.max()) >= objects.shape[1]:
        rule = f"be below the number of segments, {objects.shape[1]}"
        raise wrong("objects", rule, int(objects.max()), "number them 0, 1, ... in each scene")
    return objects >= 0


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """The parser along a balanced tree of eight segments, to the score of the last merge.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    net = SceneParser(12, generator=generator)
    parts = OrderedDict[str, nn.Module](levels(net, balanced(3)).named_children())
    return nn.Sequential(OrderedDict([("leaf", net.leaf), *parts.items()]))


ENTRY = Entry(
    make=make,
    input=(8, 12),
    output=(1,),
    parameters=12 * 20 + 20 + 40 * 20 + 20 + 20,
    task="features",
    origin="Socher et al. 2011",
    preprocessing="unit",
)
