"""What a run of a model would leave behind: attributes that it set, and input that it wrote to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

from ._uncompiled import DispatchMode

_CONTAINERS = (dict, OrderedDict, list, set)


class Attributes:
    """The attributes of a model's modules as they are now, with what their containers hold.

    Tensors that a run writes to in place are not among it.
    """

    def __init__(self, model: nn.Module):
        own = [vars(module) for module in model.modules()]
        held = [value for each in own for value in each.values() if type(value) in _CONTAINERS]
        # most are a module's hooks, of which there are none: nothing to copy, little to compare
        self._empty = [value for value in held if not value]
        self._before = [(each, each.copy()) for each in (*own, *(v for v in held if v))]

    def put_back(self) -> None:
        """Give the modules the attributes that they had."""
        for held in self._empty:
            if held:
                held.clear()
        for held, before in self._before:
            if not _same(held, before):
                held.clear()
                held.extend(before) if isinstance(held, list) else held.update(before)


def _same(held: Any, before: Any) -> bool:
    if len(held) != len(before):
        return False
    if isinstance(held, dict):
        return all(map(is_, held, before)) and all(map(is_, held.values(), before.values()))
    if isinstance(held, list):
        return all(map(is_, held, before))
    return bool(held == before)


class WritesToInput(Exception):
    """A run was about to write to its input."""


class InputGuard(DispatchMode):
    """Within it, an operation that would write to one of some tensors raises ``WritesToInput``."""

    def __init__(self, tensors: Sequence[Tensor]):
        super().__init__()
        self._guarded = {memory(t) for t in tensors} - {-1}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.is_mutable:
            for value in written(func, args, kwargs or {}):
                if memory(value) in self._guarded:
                    raise WritesToInput
        return func(*args, **(kwargs or {}))


def written(func: Any, args: Any, kwargs: Any) -> Iterator[Tensor]:
    """The tensors that an operation writes to."""
    for place, name, is_written in aliased(func):
        if is_written:
            value = args[place] if place < len(args) else kwargs.get(name)
            yield from (leaf for leaf in leaves(value) if isinstance(leaf, Tensor))


@cache
def aliased(func: Any) -> tuple[tuple[int, str, bool], ...]:
    """The arguments that an operation writes to or returns views of.

    Of each its place, its name, and whether it is written to.
    """
    arguments = [(spec.alias_info, i, spec.name) for i, spec in enumerate(func._schema.arguments)]
    return tuple((place, name, bool(alias.is_write)) for alias, place, name in arguments if alias)


def memory(value: Tensor) -> int:
    """What tells the memory of a tensor from others; sparse ones have none of their own."""
    return int(value.untyped_storage()._cdata) if value.layout == torch.strided else -1


def leaves(value: Any) -> Iterator[Any]:
    """What dictionaries, lists and tuples hold, at any depth."""
    found: list[Any] = []
    _gather((value,), found)
    return iter(found)


def _gather(items: Iterable[Any], found: list[Any]) -> None:
    for item in items:
        if isinstance(item, (list, tuple)):
            _gather(item, found)
        elif isinstance(item, dict):
            _gather(item.values(), found)
        else:
            found.append(item)
