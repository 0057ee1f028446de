"""A tensor of a model's output by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor

from ...results import check_callable, first_names, is_whole, wrong, wrong_type

NOTHING = object()
MOST = 12  # names that a refusal lists


@dataclass(frozen=True)
class Named:
    """Picks a tensor by its name: keys, attributes and places, with dots between.

    ``"logits"`` of a mapping or an output object, ``"0"`` of a tuple, ``"0.boxes"`` of a list of
    mappings. Of keys with dots in them the longest that fits is taken.
    """

    name: str

    def __call__(self, output: Any) -> Tensor:
        """The floating tensor of that name.

        Raises:
            UsageError: There is none; the names there are are listed.
        """
        found = _found(output, self.name.split("."))
        if isinstance(found, Tensor) and found.is_floating_point():
            return found
        names = list(tensor_names(output))
        rule = "name a floating tensor of the model's output"
        if names == [""]:
            raise wrong("select", rule, f"{self.name!r} of one tensor", "leave it out")
        raise wrong("select", rule, repr(self.name), f"names there: {first_names(names, MOST)}")


def check_selection(select: object) -> Any:
    """A function of the output, from itself or from a name or a place; None stays None.

    Raises:
        UsageError: It is none of these.
    """
    if (isinstance(select, str) and select) or is_whole(select):
        return Named(str(select))
    if select is not None and not callable(select):
        rule, way_out = "be a name or a function of the output", "pass {select}='logits'"
        raise wrong_type("select", rule, repr(select), way_out)
    check_callable("select", select, "select(output)")
    return select


def tensor_names(output: Any) -> Iterator[str]:
    """Names of the floating tensors in an output, in their order; "" of one tensor."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield ""
        return
    for name, part in _parts(output):
        for rest in tensor_names(part):
            yield f"{name}.{rest}" if rest else name


def _parts(output: Any) -> list[tuple[str, Any]]:
    """What an output holds, by name."""
    if isinstance(output, Mapping):
        return [(str(key), part) for key, part in output.items()]
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return list(zip(output._fields, output, strict=True))
    if isinstance(output, (tuple, list)):
        return [(str(place), part) for place, part in enumerate(output)]
    if is_dataclass(output) and not isinstance(output, type):
        return [(f.name, getattr(output, f.name)) for f in fields(output)]
    own = getattr(output, "__dict__", {})
    return [(name, part) for name, part in own.items() if not name.startswith("_")]


def _found(output: Any, names: list[str]) -> Any:
    """The part of that name; ``NOTHING`` where there is none."""
    if not names:
        return output
    if isinstance(output, Tensor):
        return NOTHING
    parts = dict(_parts(output))
    for length in range(len(names), 0, -1):
        name = ".".join(names[:length])
        part = parts.get(name, _at(output, name))
        found = NOTHING if part is NOTHING else _found(part, names[length:])
        if found is not NOTHING:
            return found
    return NOTHING


def _at(output: Any, name: str) -> Any:
    """A place of a tuple, from the end where it is below 0; an attribute that is a property."""
    if isinstance(output, (tuple, list)) and name.lstrip("-").isdecimal():
        place = int(name)
        return output[place] if -len(output) <= place < len(output) else NOTHING
    if name.isidentifier() and not name.startswith("_"):
        return getattr(output, name, NOTHING)
    return NOTHING
