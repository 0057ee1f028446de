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
        self.places: dict[int, None] = {}  # in the order in which they were drawn
        self.generator = torch.Generator().manual_seed(seed)

    def total(self, *numbers: float) -> list[float]:
        """Sums over ranks."""
        return self.ranks.total(*numbers)

    def _more(self, count: int) -> Tensor:
        while len(self.places) < self.count + count:
            self.places[int(torch.randint(self.most, (), generator=self.generator))] = None
        with self.ranks.together("the trace"):
            found = self.root.signed_squares(list(self.places)[self.count :], self.own)
        return found * self.root.scale
