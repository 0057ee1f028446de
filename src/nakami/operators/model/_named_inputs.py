"""What a model's forward calls its inputs, and the layer in which a run of it failed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from ._example import shapes_of

PLACES = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
MOST = 6  # names that are listed


def arguments_of(model: nn.Module) -> list[str]:
    """The inputs that its forward must be given; where none must, the first that it may be."""
    try:
        found = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    named = [each for each in found if each.kind in PLACES]
    needed = [each.name for each in named if each.default is each.empty]
    return needed or [each.name for each in named][:MOST]


def named_parts(model: nn.Module, x: Any) -> dict[str, Any]:
    """The parts of an input by name: its keys, or the arguments that a tuple is passed to."""
    if isinstance(x, Mapping):
        return dict(x)
    if not isinstance(x, (tuple, list)) or hasattr(x, "batch_sizes"):
        return {}
    try:
        bound = inspect.signature(model.forward).bind(*x)
    except (TypeError, ValueError):
        return {f"input {i + 1}": part for i, part in enumerate(x)}
    parts = dict(bound.arguments)
    return {} if any(isinstance(part, (tuple, list)) for part in parts.values()) else parts


def shown(model: nn.Module, x: Any) -> str:
    """``an input of shape (2, 3)``; of several all with their names."""
    parts = named_parts(model, x)
    if len(parts) < 2:
        return f"an input of shape {shapes_of(x)}"
    each = [f"{name!r} of shape {shapes_of(part)}" for name, part in list(parts.items())[:MOST]]
    more = " and others" if len(parts) > MOST else ""
    return f"inputs {', '.join(each)}{more}"


class Inside:
    """While it is entered, which modules of a model are being run, and what they got.

    Hooks of all modules are torch's own registry, so that nothing is written to the model.
    """

    def __init__(self, model: nn.Module):
        self.names = {id(module): name for name, module in model.named_modules() if name}
        self.running: list[tuple[nn.Module, tuple[Any, ...]]] = []

    def __enter__(self) -> Inside:
        def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self.running.append((module, inputs))

        def end(module: nn.Module, *_: Any) -> None:
            while self.running and self.running.pop()[0] is not module:
                pass

        self._hooks = [register_module_forward_pre_hook(begin), register_module_forward_hook(end)]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def where(self, parts: Mapping[str, Any]) -> str:
        """``, in its layer 'a', which got 'left'``; empty where it was in none.

        Args:
            parts: The parts of the input by name.
        """
        inner = [each for each in self.running if id(each[0]) in self.names]
        if not inner:
            return ""
        module, inputs = inner[-1]
        said = f", in its layer {self.names[id(module)]!r}"
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        for name, part in parts.items():
            if len(parts) > 1 and any(_same(x, part) for x in tensors):
                return f"{said}, which got {name!r}"
        return f"{said}, which got shape {tuple(tensors[0].shape)}" if tensors else said


def _same(x: Tensor, part: Any) -> bool:
    """Whether a tensor is a part of the input, or a view of all of it."""
    with suppress(RuntimeError, NotImplementedError):  # of tensors without storage
        alike = isinstance(part, Tensor) and x.numel() == part.numel() > 0
        return alike and x.data_ptr() == part.data_ptr()
    return False


def rows_differ(leaves: list[Tensor]) -> str:
    """``6 and 5 rows`` where inputs have other numbers of rows; else empty."""
    counts = list(dict.fromkeys(len(leaf) for leaf in leaves if leaf.ndim))
    return " and ".join(map(str, counts)) + " rows" if len(counts) > 1 else ""
