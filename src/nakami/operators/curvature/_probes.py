"""The trace of a curvature matrix from random signs over the rows of each example."""

from __future__ import annotations

import torch
from torch import Tensor

from ...spectra import Probes
from ..per_example._signed import SignedRoot
from ._distributed import Ranks
from ._root import CurvatureRoot

APART = 0x85EBCA6B  # between the seeds of places and of signs, which must not share a stream


class SignedProbes(Probes):
    """Squared norms of signed sums of an example's rows; the examples are the groups.

    Args:
        root: The root of this process's samples. Its examples do not mix.
        columns: The most rows of an example, on any rank: the exact trace takes a pass for each.
        seed: Of the signs. ranks: The processes that hold the other examples.
    """

    def __init__(self, root: CurvatureRoot, columns: int, seed: int, ranks: Ranks):
        super().__init__(SignedRoot.most(columns), columns, seed)
        self.root, self.ranks = root, ranks
        self.own = ranks.seed((seed + APART) % 2**32)
        self.moved: list[dict[int, int]] = [{} for _ in range(root.examples)]
        self.generator = torch.Generator().manual_seed(ranks.seed(seed))

    def total(self, *numbers: float) -> list[float]:
        """Sums over ranks."""
        return self.ranks.total(*numbers)

    def _more(self, count: int) -> Tensor:
        places = [self._places(self.count + i) for i in range(count)]
        with self.ranks.together("the trace"):
            found = self.root.signed_squares(torch.tensor(places).T, self.own)
        return found * self.root.scale

    def _places(self, at: int) -> list[int]:
        """The ``at``-th of each example's shuffled places, each example's shuffled by itself.

        With places that examples share, an overlap of the same two rows in each would show in all
        of them or in none. Source: Fisher & Yates's shuffle, of which only the moved are kept.
        """
        size, found = (len(self.moved),), []
        others = torch.randint(at, self.most, size, generator=self.generator).tolist()
        for moved, other in zip(self.moved, others, strict=True):
            last = moved.pop(at, at)
            found.append(last if other == at else moved.get(other, other))
            if other != at:
                moved[other] = last
        return found
