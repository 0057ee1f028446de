"""A reverse product whose graph shares its states with a linearised one: they are held once."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ..model._put_back import memory
from ..model._uncompiled import pulled_back
from ._overrides import StridedConvolutions
from ._recurrence import Recurrences
from ._strategies import Product


def sharing(function: Product, point: Tensor, states: Iterable[Tensor]) -> tuple[Tensor, Product]:
    """The value at ``point`` and ``u -> J^T u``, safe under ``torch.vmap``, by plain autograd.

    What its graph keeps is taken from ``states`` where these hold the same numbers. It must have
    been differentiated by ``torch.func`` elsewhere, which shows that no step runs code again and
    that nothing writes to what is kept.
    """
    held = _States(states)
    start = point.detach().requires_grad_()
    kept = saved_tensors_hooks(held.taken, _as_it_is)
    with torch.enable_grad(), StridedConvolutions(), Recurrences(0), kept:
        end = function(start)
    return end.detach(), lambda u: pulled_back(end, start, u)


class _States:
    """Tensors by the size of the memory that they lie in."""

    def __init__(self, states: Iterable[Tensor]):
        self.places: dict[int, dict[int, Tensor]] = {}
        for state in states:
            self.places.setdefault(_size(state), {})[memory(state)] = state

    def taken(self, state: Tensor) -> Tensor:
        """The same numbers in memory that is held anyway, or else where they are."""
        here = state.detach()  # a graph that kept its own outputs would never be freed
        places = self.places.get(_size(here), {})
        if memory(here) in places:
            return here
        for other in places.values():
            if other.dtype == here.dtype:
                same = other.as_strided(here.shape, here.stride(), here.storage_offset())
                if torch.equal(same, here):
                    return same
        return here


def _size(state: Tensor) -> int:
    return state.untyped_storage().nbytes()


def _as_it_is(state: Tensor) -> Tensor:
    return state
