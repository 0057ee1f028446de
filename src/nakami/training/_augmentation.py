"""Pictures that are changed anew each time they are learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.data._arrays import channels_last
from nakami.nn._padding import most_padding
from nakami.results import (
    check_at_least,
    check_callable,
    check_choice,
    is_number,
    wrong,
)
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
        n, channels, height, width = _pictures("x", x).shape
        if self.padding > (most := most_padding(min(height, width), self.border)):
            rule = f"be at most {most:g} for pictures of {height} x {width} with {self.border!r}"
            raise wrong("padding", rule, self.padding, "lower it, or use border='constant'")
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
        share: From 0 to 1; 1 mirrors all.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not is_number(self.share) or not 0 <= self.share <= 1:
            raise wrong("share", "be a number from 0 to 1", repr(self.share), "use 0.5")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The pictures ``(N, C, H, W)``."""
        x = _pictures("x", x)
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
        shape = tuple(getattr(self.axes, "shape", ()))
        if len(shape) != 2 or shape[0] != shape[1] or not torch.isfinite(self.axes).all():
            raise wrong("axes", "be finite, (C, C)", shape, "use ColourShift.of(pictures)")

    @classmethod
    def of(cls, pictures: Tensor, scale: float = 0.1) -> ColourShift:
        """With the axes of these pictures, ``(N, C, H, W)``; two pixels or more."""
        pixels = _pictures("pictures", pictures).detach().transpose(0, 1).flatten(1).double()
        if pixels.shape[1] < 2 or not torch.isfinite(pixels).all():
            got = f"NaN, infinity, or nothing in {tuple(pictures.shape)}"
            raise wrong("pictures", "hold two finite pixels or more", got, "leave out the others")
        covariance = torch.atleast_2d(torch.cov(pixels))
        values, vectors = torch.linalg.eigh(covariance)
        return cls((vectors * values).to(pictures.dtype), scale)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The pictures ``(N, C, H, W)``."""
        if _pictures("x", x).shape[1] != len(self.axes):
            rule, way_out = f"have {len(self.axes)} channels", "use ColourShift.of(pictures)"
            raise wrong("x", rule, f"shape {tuple(x.shape)}", way_out)
        drawn = normal(x.new_empty(x.shape[:2]), generator) * self.scale
        return x + (drawn @ self.axes.to(x).T)[:, :, None, None]


def _pictures(argument: str, x: Tensor) -> Tensor:
    """The pictures, or a refusal."""
    if not isinstance(x, Tensor) or x.ndim != 4 or not x.is_floating_point():
        got = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else repr(x)
        rule, way_out = "be floating pictures (N, C, H, W)", "pass x[:, None] where C is missing"
        raise wrong(argument, rule, got, way_out)
    if channels_last(x.shape):
        rule, way_out = "hold pictures channels first, (N, C, H, W)", "pass x.movedim(-1, 1)"
        raise wrong(argument, rule, f"shape {tuple(x.shape)}", way_out)
    return x


@final
class Augmented(Wrapped):
    """A method that learns from pictures changed at random, anew in each step.

    Draws come from the training's generator, so a training that goes on after a stop sees the
    changes that it would have seen. Optimizers that compare the losses of several steps (LBFGS) are
    refused, as each step sees other pictures.

    Args:
        method: Any whose batches begin with pictures ``(N, C, H, W)``.
        changes: ``change(pictures, generator)``, one after the other: ``RandomCrop``,
            ``RandomFlip``, ``ColourShift``, noise (``Gaussian``), or functions of your own.
    """

    def __init__(self, method: Method, *changes: Corruption):
        super().__init__(method)
        for change in changes:
            check_callable("changes", change, "change(pictures, generator)")
        self._changes, self.by_function = changes, False

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
