"""Noise that a denoising autoencoder takes out again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nakami.results import check_fraction, is_number, wrong
from nakami.zoo._layers import normal, uniform


class Corruption(Protocol):
    """``x`` with noise, of the same shape; a new draw each time."""

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The corrupted examples."""


@dataclass(frozen=True)
class Gaussian:
    """``x + scale xi`` with ``xi`` standard normal.

    Attributes:
        scale: Standard deviation, in the unit of ``x``, above 0.
    """

    scale: float = 0.3

    def __post_init__(self) -> None:
        if not is_number(self.scale) or not self.scale > 0:
            raise wrong("scale", "be a number above 0", self.scale, "use 0.3")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The corrupted examples."""
        return x + self.scale * normal(x, generator)


@dataclass(frozen=True)
class Masking:
    """Each entry 0 with probability ``share``.

    Attributes:
        share: Between 0 and 1.
    """

    share: float = 0.25

    def __post_init__(self) -> None:
        check_fraction("share", self.share, "use 0.25")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The corrupted examples."""
        return x * (uniform(x, generator) >= self.share)


@dataclass(frozen=True)
class SaltAndPepper:
    """Each entry 0 or 1, as likely, with probability ``share``.

    Attributes:
        share: Between 0 and 1.
    """

    share: float = 0.25

    def __post_init__(self) -> None:
        check_fraction("share", self.share, "use 0.25")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The corrupted examples."""
        u = uniform(x, generator)
        noisy = (u < self.share / 2).to(x)  # 1 for the lower half of the share
        return torch.where(u < self.share, noisy, x)
