"""The largest of several linear pieces."""

from __future__ import annotations

from torch import Tensor, nn

from ..results import check_at_least, wrong


class Maxout(nn.Module):
    """``h_o = max_k x[o K + k]``: the largest of each ``pieces`` neighbouring channels.

    Behind a linear layer or a convolution with ``pieces`` times as many outputs it is a maxout
    layer: ``nn.Sequential(nn.Linear(784, 5 * 240), Maxout(5))``. A unit of two pieces, one held at
    0, is a ReLU. The gradient goes to the winning piece alone, of equal ones to one of them.

    Args:
        pieces: Channels for each unit, at least 1.
        dim: The axis of the channels; 1, as in torch, or -1 where they are last.

    Shape: ``(N, pieces C, ...)`` to ``(N, C, ...)``.

    Raises:
        UsageError: The channels are no multiple of ``pieces``.

    Source: Goodfellow, Warde-Farley, Mirza, Courville & Bengio, ICML 2013.
    """

    def __init__(self, pieces: int, dim: int = 1):
        super().__init__()
        self.pieces = check_at_least("pieces", pieces, 1, "use 5")
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """The units' values."""
        channels = x.shape[self.dim]
        if channels % self.pieces:
            rule = f"have a multiple of {self.pieces} channels on axis {self.dim}"
            way_out = f"make the layer before it {self.pieces} times as wide as its units"
            raise wrong("x", rule, f"shape {tuple(x.shape)}", way_out)
        dim = self.dim % x.ndim
        return x.unflatten(dim, (channels // self.pieces, self.pieces)).max(dim + 1).values

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        return f"pieces={self.pieces}, dim={self.dim}"
