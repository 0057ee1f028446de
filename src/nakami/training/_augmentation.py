"""Pictures that are changed anew each time they are learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import check_at_least, check_choice, check_fraction, is_number, wrong
from nakami.zoo._layers import normal, uniform

from ._corruption import Corruption
from ._method import Descend, Method
from ._wrapped import Wrapped

BORDERS = ("reflect", "constant", "replicate", "circular")


@dataclass(frozen=True)
class RandomCrop:
    """Each picture moved by up to ``padding`` pixels in both directions, at its size.

    It is padded on all sides and cut to its size at a random place.

    Attributes:
        padding: Pixels, below the sides of the picture for ``"reflect"``.
        border: What the padding is: ``"reflect"``, ``"constant"`` (zeros), ``"replicate"`` or
            ``"circular"``.
    """

    padding: int = 4
    border: Literal["reflect", "constant", "replicate", "circular"] = "reflect"

    def __post_init__(self) -> None:
        check_at_least("padding", self.padding, 0, "use 4")
        check_choice("border", self.border, BORDERS, 'use "reflect"')

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The pictures ``(N, C, H, W)``, moved."""
        n, channels, height, width = x.shape
        around = F.pad(x, [self.padding] * 4, mode=self.border)
        shape, ends, at = (2, n, 1), 2 * self.padding + 1, generator.device
        places = torch.randint(ends, shape, generator=generator, device=at).to(x.device)
        rows = places[0] + torch.arange(height, device=x.device)  # (n, height)
        columns = places[1] + torch.arange(width, device=x.device)
        each = torch.arange(n, device=x.device)[:, None, None, None]
        maps = torch.arange(channels, device=x.device)[:, None, None]
        return around[each, maps, rows[:, None, :, None], columns[:, None, None, :]]


@dataclass(frozen=True)
class RandomFlip:
    """Each picture mirrored, left to right, with probability ``share``.

    Attributes:
        share: Between 0 and 1.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        check_fraction("share", self.share, "use 0.5")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The pictures ``(N, C, H, W)``."""
        flipped = uniform(x.new_empty(len(x), 1, 1, 1), generator) < self.share
        return torch.where(flipped, x.flip(-1), x)


@dataclass(frozen=True)
class ColourShift:
    """Each picture's colours moved along the principal axes of the colours of all pictures.

    All pixels of a picture get the same ``sum_i a_i l_i p_i`` added: ``p_i`` the axes and ``l_i``
    the eigenvalues of the covariance of the pixels' colours, ``a_i`` normal with deviation
    ``scale``, drawn anew for each picture. Eigenvalues are squares, so the unit matters: values in
    0..1 are meant. Grey pictures become brighter or darker.

    Attributes:
        axes: ``(C, C)``, the columns ``l_i p_i``.
        scale: Deviation of ``a_i``, above 0.

    Source: Krizhevsky, Sutskever & Hinton, NIPS 2012, section 4.1.
    """

    axes: Tensor
    scale: float = 0.1

    def __post_init__(self) -> None:
        if not is_number(self.scale) or not self.scale > 0:
            raise wrong("scale", "be a number above 0", self.scale, "use 0.1")

    @classmethod
    def of(cls, pictures: Tensor, scale: float = 0.1) -> ColourShift:
        """With the axes of these pictures, ``(N, C, H, W)``."""
        pixels = pictures.detach().transpose(0, 1).flatten(1).double()
        covariance = torch.atleast_2d(torch.cov(pixels))
        values, vectors = torch.linalg.eigh(covariance)
        return cls((vectors * values).to(pictures.dtype), scale)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The pictures ``(N, C, H, W)``."""
        drawn = normal(x.new_empty(x.shape[:2]), generator) * self.scale
        return x + (drawn @ self.axes.to(x).T)[:, :, None, None]


@final
class Augmented(Wrapped):
    """A method that learns from pictures changed at random, anew in each step.

    Draws come from the training's generator, so a training that goes on after a stop sees the
    changes that it would have seen.

    Args:
        method: Any whose batches begin with pictures ``(N, C, H, W)``.
        changes: ``change(pictures, generator)``, one after the other: ``RandomCrop``,
            ``RandomFlip``, ``ColourShift``, noise (``Gaussian``), or functions of your own.
    """

    def __init__(self, method: Method, *changes: Corruption):
        super().__init__(method)
        self._changes = changes

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """As the method does; the changes draw from the same generator."""
        self._generator = generator
        self.method.start(data, generator)

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """As the method does, with changed pictures."""
        pictures, *others = batch
        for change in self._changes:
            pictures = change(pictures, self._generator)
        return self.method.step((pictures, *others), descend)
