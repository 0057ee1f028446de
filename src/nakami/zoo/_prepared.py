"""Pictures as a network for colours takes them, whatever they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from nakami.results import wrong


class Prepared(nn.Module):
    """``(picture - mean) / std`` in three channels at another size.

    Args:
        mean: Of each channel. std: what is divided by, likewise.
        side: Height and width that pictures are scaled to, bilinearly.

    Shape: ``(N, C, H, W)`` with C 1, which is repeated, or 3, to ``(N, 3, side, side)``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], side: int):
        super().__init__()
        self.side = side
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).expand(3)[:, None, None].clone())

    def forward(self, x: Tensor) -> Tensor:
        """The pictures."""
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            rule, got = "be pictures (N, C, H, W) with 1 or 3 channels", f"shape {tuple(x.shape)}"
            raise wrong("x", rule, got, "pass pictures[None] for one")
        x = x.expand(-1, 3, -1, -1)
        if tuple(x.shape[-2:]) != (self.side, self.side):
            size = (self.side, self.side)
            x = interpolate(x, size, mode="bilinear", align_corners=False)
        return (x - self.mean) / self.std

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        return f"side={self.side}"
