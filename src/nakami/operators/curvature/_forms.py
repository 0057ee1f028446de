"""The forms in which data come: a pair, a dict, several inputs, a batch object, or batches.

One rule for each: what is one batch does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...results import counted, raised, wrong, wrong_type
from ..model._example import ARRAYS, shapes_of
from ..model._view import LABELS


def pairs(data: Any, target: Any, whole: bool) -> Iterator[tuple[Any, Any]]:
    """``(x, y)`` of each batch; ``target`` says where the targets are, as ``View.target``.

    Of a model that makes its own loss, ``whole``, all of a batch is ``x``.

    Data are one batch where they are a mapping, an object with ``to()``, a tuple or list that holds
    a tensor, or a tuple that begins with a mapping; else they are an iterable of batches.
    """
    check_tensors("data", data)
    for batch in [data] if _is_batch(data) else _each(data):
        if whole:
            yield _without_target(batch)
        elif target is not None:
            yield _by_target(batch, target)
        else:
            yield _pair(batch)


def check_tensors(argument: str, given: Any) -> None:
    """Refuse numbers in lists."""
    first = given
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if first is not given and isinstance(first, (int, float)):
        got, way_out = f"{type(given).__name__} of numbers", "convert them with torch.as_tensor"
        raise wrong_type(argument, "hold tensors", got, way_out)


def _is_batch(data: Any) -> bool:
    if isinstance(data, Mapping) or (hasattr(data, "to") and not isinstance(data, ARRAYS)):
        return True
    if not isinstance(data, (tuple, list)) or not data:
        return False
    if isinstance(data, tuple) and isinstance(data[0], Mapping):
        return True
    return any(item is None or isinstance(item, ARRAYS) for item in data)


def _each(data: Any) -> Iterable[Any]:
    if isinstance(data, (str, bytes, *ARRAYS)) or not isinstance(data, Iterable):
        way_out = "pass (x, y)"
        if hasattr(data, "__getitem__") and not isinstance(data, (str, bytes, *ARRAYS)):
            way_out = "pass torch.utils.data.DataLoader(data, batch_size=100)"
        rule = "be (x, y) or batches of (x, y)"
        raise wrong_type("data", rule, type(data).__name__, way_out)
    return data


def _pair(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    if isinstance(batch, (tuple, list)):
        ways = ["pass [(x, y) for x, y, *_ in loader]"]
        ways.append("take nakami.View(model, target=-1): the last is the targets, the rest inputs")
        raise wrong("a batch", "be a pair (x, y)", counted(len(batch), "part"), ways)
    keys = [name for name in LABELS if _has(batch, name)]
    if len(keys) != 1 or isinstance(batch, ARRAYS):
        got = type(batch).__name__
        if isinstance(batch, Mapping):
            got += " with " + ", ".join(map(repr, batch))
        way_out = "name its targets by nakami.View(model, target='labels')"
        if isinstance(batch, ARRAYS):
            way_out = "pass (x, y)"
        raise wrong("a batch", "be a pair (x, y), or name its targets", got, way_out)
    return _by_target(batch, keys[0])


def _by_target(batch: Any, target: Any) -> tuple[Any, Any]:
    if callable(target):
        try:
            return batch, target(batch)
        except Exception as error:
            where = f"a {type(batch).__name__} of shape {shapes_of(batch)}"
            way_out = "it gets a batch as the data hold it, and returns its targets"
            raise raised("target", error, where, way_out) from error
    try:
        if isinstance(batch, Mapping):
            return {k: v for k, v in batch.items() if k != target}, batch[target]
        if isinstance(batch, (tuple, list)):
            y, at = batch[target], range(len(batch))[target]
            rest = tuple(item for i, item in enumerate(batch) if i != at)
            return rest[0] if len(rest) == 1 else rest, y
        return batch, getattr(batch, target)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        got = f"{type(batch).__name__} without it"
        if isinstance(batch, Mapping):
            got = "a batch with " + ", ".join(map(repr, batch))
        rule = f"be in every batch (target={target!r})"
        raise wrong(
            "target", rule, got, "name the key, place or attribute of the targets"
        ) from error


def _without_target(batch: Any) -> tuple[Any, None]:
    pair = isinstance(batch, (tuple, list)) and len(batch) == 2 and batch[1] is None
    return (batch[0] if pair else batch), None


def _has(batch: Any, name: str) -> bool:
    if isinstance(batch, Mapping):
        return name in batch
    return getattr(batch, name, None) is not None
