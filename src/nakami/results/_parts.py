"""Parts of a run that a later call goes on with: as JSON that reads back to equal values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from typing import Any, Protocol, TypeVar

PACKAGE = __name__.partition(".")[0]
TYPE = "type"
T = TypeVar("T")


class Keep(Protocol):
    """Takes a part of a run by its name: what an earlier call has left, or else what is made."""

    def __call__(self, name: str, make: Callable[[], T], /) -> T: ...


def at_once(name: str, make: Callable[[], T], /) -> T:
    """A ``Keep`` that keeps nothing."""
    return make()


def typed(value: Any) -> Any:
    """Numbers, texts, lists, tuples, dicts, and dataclasses and enums of this library as JSON.

    Raises:
        TypeError: Anything else is in it.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {
            TYPE: _name(value),
            **{f.name: typed(getattr(value, f.name)) for f in fields(value)},
        }
    if isinstance(value, Enum):
        return {TYPE: _name(value), "member": value.name}
    if isinstance(value, tuple):
        return {TYPE: "tuple", "items": [typed(one) for one in value]}
    if isinstance(value, list):
        return [typed(one) for one in value]
    if isinstance(value, Mapping):
        return {TYPE: "dict", "items": [[str(key), typed(one)] for key, one in value.items()]}
    if isinstance(value, float) and not math.isfinite(value):
        return {TYPE: "float", "text": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a part of a run must hold no {type(value).__name__}; turn it into a number.")


def untyped(tree: Any) -> Any:
    """The inverse of ``typed``.

    Raises:
        ValueError: It names a type that is none of this library's.
    """
    if isinstance(tree, list):
        return [untyped(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree[TYPE]
    if kind == "tuple":
        return tuple([untyped(one) for one in tree["items"]])
    if kind == "dict":
        return {key: untyped(one) for key, one in tree["items"]}
    if kind == "float":
        return float(tree["text"])
    made = _type(kind)
    if issubclass(made, Enum):
        return made[tree["member"]]
    return made(**{key: untyped(one) for key, one in tree.items() if key != TYPE})


def _name(value: Any) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _type(name: str) -> type[Any]:
    """A dataclass or an enum of this library; a file can name no other code."""
    module, _, attribute = name.partition(":")
    if module.partition(".")[0] == PACKAGE and attribute.isidentifier():
        found = getattr(import_module(module), attribute, None)
        if isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum)):
            return found
    raise ValueError(f"{name} is no type that a part of a run holds")
