"""Random signs over the rows of each example: unbiased squared norms from one backward pass."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ._examples import OutputRoot

CELLS = 1 << 20  # signs that are worked out at a time


class SignedRoot(OutputRoot):
    """``B S``: sums of an example's columns with signs, whose squared norms are right on average.

    The signs are columns of a Hadamard matrix, each example's times random ones of its own. So the
    mean over all ``most`` of them is exact, and of some, drawn without replacement, it varies less
    than of independent signs.

    Args:
        root: ``B``. generator: Draws the signs of each example.
        places: Which columns of the Hadamard matrix, ``(n, probes)``, each below
            ``most(root.columns)``.
    """

    def __init__(self, root: OutputRoot, generator: torch.Generator, places: Tensor):
        super().__init__(root.up, root.zero)
        self.columns, self.places = places.shape[1], places.to(root.zero.device, torch.int32)
        size = (len(root.zero), root.columns)
        own = torch.randint(0, 2, size, generator=generator, dtype=torch.int8)
        self._own = (2 * own - 1).to(root.zero.device)
        self._at = torch.arange(root.columns, dtype=torch.int32, device=root.zero.device)

    @staticmethod
    def most(columns: int) -> int:
        """The order of the Hadamard matrix for so many columns."""
        return 1 << max(0, columns - 1).bit_length()

    def each(self) -> Iterator[Tensor]:
        some = max(1, CELLS // len(self._at))
        for places in self.places.T:
            parts = zip(self._own.split(some), places.split(some), strict=True)
            signs = torch.cat([own * _hadamard(self._at, here) for own, here in parts])
            yield self.up(signs.to(self.zero).reshape_as(self.zero))


def _hadamard(at: Tensor, places: Tensor) -> Tensor:
    """Rows of Sylvester's matrix at ``at``, ``-1`` to the number of bits that both have."""
    shared = at & places[:, None]
    for shift in (16, 8, 4, 2, 1):
        shared ^= shared >> shift
    return (1 - 2 * (shared & 1)).to(torch.int8)
