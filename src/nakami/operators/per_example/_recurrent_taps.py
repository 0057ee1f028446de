"""The matrices of recurrent layers among the layers that a run keeps: linear ones, at each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..autodiff._recurrence import Recurrence, Recurrences
from ..model._recurrent_cells import CellWeights
from ._layer_rules import Product

if TYPE_CHECKING:
    from ._layer_io import LayerIO


class RecurrentTaps(Recurrences):
    """Within it recurrent layers leave inputs and taps of their two matrices in a run.

    Args:
        run: Where they go. again: Whether the network runs for the second time, for a checkpoint.
    """

    def __init__(self, run: LayerIO, again: bool = False):
        super().__init__(0)
        self.run, self.again = run, again

    def one(
        self, func: Any, place: int, x: Tensor, weights: CellWeights, h: Tensor, c: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """A layer in a direction, with taps where the run looks at it."""
        name = self.run.recurrent.get(id(weights.ih))
        if name is None or x.shape[1] != self.run.n:
            return super().one(func, place, x, weights, h, c)
        module, _, own = name.rpartition(".")
        keys = [f"{module}.{own.replace('weight_ih', each, 1)}" for each in ("*_ih", "*_hh")]
        keys = [key.removeprefix(".") for key in keys]
        if not self.again:
            taps = [_tap(x, weights.ih), _tap(x, weights.hh)]
        elif not (taps := self.run.taps_of(keys)):
            return super().one(func, place, x, weights, h, c)
        turned = [tap.transpose(0, 1) for tap in taps]
        states, cell, *_ = Recurrence.apply(func, x, *weights[:4], h, c, *turned)
        if not self.again:
            with torch.no_grad():
                before = torch.cat([h.expand_as(states[0])[None], states[:-1]])
                both = (weights.ih, weights.hh)
                for key, weight, met, tap in zip(keys, both, (x, before), taps, strict=True):
                    self.run.keep(key, Product(weight, met.detach().transpose(0, 1)), tap)
        return states, cell


def _tap(x: Tensor, weight: Tensor) -> Tensor:
    """Zeros of the shape of the sums that a matrix makes, ``(n, T, rows)``, without memory."""
    zero = torch.zeros((), dtype=x.dtype, device=x.device)
    return zero.expand(x.shape[1], x.shape[0], len(weight)).requires_grad_()
