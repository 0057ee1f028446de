"""Random signs over the rows of each example: unbiased squared norms from one backward pass."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ._examples import OutputRoot


class SignedRoot(OutputRoot):
    """``B S``: sums of an example's columns with signs, whose squared norms are right on average.

    The signs are columns of a Hadamard matrix, each example's times random ones of its own. So the
    mean over all ``most`` of them is exact, and of some, drawn without replacement, it varies less
    than of independent signs.

    Args:
        root: ``B``. generator: Draws the signs of each example.
        places: Which columns of the Hadamard matrix, each below ``most(root.columns)``.
    """

    def __init__(self, root: OutputRoot, generator: torch.Generator, places: list[int]):
        super().__init__(root.up, root.zero)
        self.columns, self.places = len(places), places
        size = (len(root.zero), root.columns)
        own = torch.randint(0, 2, size, generator=generator, dtype=torch.int8)
        self._own = (2 * own - 1).to(root.zero.device)
        self._at = torch.arange(root.columns, device=root.zero.device)

    @staticmethod
    def most(columns: int) -> int:
        """The order of the Hadamard matrix for so many columns."""
        return 1 << max(0, columns - 1).bit_length()

    def each(self) -> Iterator[Tensor]:
        for place in self.places:
            signs = self._own * _hadamard(self._at, place)
            yield self.up(signs.to(self.zero).reshape_as(self.zero))


def _hadamard(at: Tensor, place: int) -> Tensor:
    """Entries of a column of Sylvester's matrix, ``-1`` to the number of bits in common."""
    odd, shared = torch.zeros_like(at), at & place
    for bit in range(place.bit_length()):
        odd ^= (shared >> bit) & 1
    return (1 - 2 * odd).to(torch.int8)
