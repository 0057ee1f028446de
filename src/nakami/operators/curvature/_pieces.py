"""Pieces of a batch's outputs and targets: some rows, or what batches of other lengths share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from torch import Tensor

from ..model._example import leaves_of, mapped
from ._outputs import Formed

Part = tuple[Tensor, Any]  # outputs and targets


class Piece(NamedTuple):
    """A part of some outputs, ``take(outputs)``, with its targets."""

    take: Callable[[Tensor], Tensor]
    y: Any


def rows(here: slice, y: Any) -> Piece:
    """Some rows of the outputs; ``y`` are the targets of these rows."""
    return Piece(lambda z: z[here], y)


class Common:
    """The entries that two batches of other lengths share, and the rest of each.

    Args:
        axes: The axis along which each tensor of outputs and targets is longer in one of them.
        lengths: The smaller of its two lengths there.
        last: Whether the last entries are shared, else the first.
    """

    def __init__(self, axes: list[int | None], lengths: list[int], last: bool):
        self.axes, self.lengths, self.last = axes, lengths, last

    def halved(self) -> Common:
        """Half of what is shared."""
        return Common(self.axes, [max(1, length // 2) for length in self.lengths], self.last)

    def part(self, whole: Part) -> Part:
        """The shared entries of a batch."""
        take, y = self._piece(whole, shared=True)
        return take(whole[0]), y

    def pieces(self, whole: Part) -> list[Piece]:
        """The shared entries and the others, if there are others."""
        shared = self._piece(whole, shared=True)
        if shared.take(whole[0]).shape == whole[0].shape:
            return [shared]
        return [shared, self._piece(whole, shared=False)]

    def _piece(self, whole: Part, shared: bool) -> Piece:
        z, y = whole
        form = y.form if isinstance(y, Formed) else None
        outputs = 1 if form is None else len(form.shapes)

        def cut(place: int, leaf: Tensor) -> Tensor:
            axis, length = self.axes[place], self.lengths[place]
            if axis is None:
                return leaf
            rest = leaf.shape[axis] - length
            start = (rest if self.last else 0) if shared else (0 if self.last else length)
            return leaf.narrow(axis, start, length if shared else rest)

        places = iter(range(outputs, len(self.axes)))
        aims = mapped(y if form is None else y.y, lambda leaf: cut(next(places), leaf))
        if form is None:
            return Piece(lambda z: cut(0, z), aims)
        return Piece(lambda z: form.cut(z, cut)[0], Formed(form.cut(z, cut)[1], aims))


def common_entries(first: Part, second: Part) -> Iterator[Common]:
    """What two batches share from their start, and up to their end; none if they do not fit."""
    one, other = _leaves(first), _leaves(second)
    axes, lengths = list[int | None](), list[int]()
    if len(one) != len(other):
        return
    for a, b in zip(one, other, strict=True):
        apart = (
            [i for i in range(1, a.ndim) if a.shape[i] != b.shape[i]]
            if a.ndim == b.ndim
            else [0, 0]
        )
        if len(apart) > 1:
            return
        axes.append(apart[0] if apart else None)
        lengths.append(min(a.shape[apart[0]], b.shape[apart[0]]) if apart else 0)
    if any(axis is not None for axis in axes):
        yield from (Common(axes, lengths, last) for last in (False, True))


def _leaves(part: Part) -> list[Tensor]:
    z, y = part
    if isinstance(y, Formed):
        return [*y.form.tensors(z), *leaves_of(y.y)] if y.form.rows else []
    return [z, *leaves_of(y)]
