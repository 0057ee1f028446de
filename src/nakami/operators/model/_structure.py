"""What a model's code reads besides weights and buffers, to notice when it changes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ...results import wrong
from ._put_back import Attributes

Key = tuple[str, str]  # a module's name, an attribute's name

# Set by torch itself; ``training`` is set for every run, weights and buffers are swapped in.
_TORCH = {*nn.Module().__dict__, "_compiled_call_impl"}
_TORCH |= {"_flat_weights", "_flat_weight_refs", "_flat_weights_names", "_all_weights"}
_PLAIN = (bool, int, float, complex, str, type(None), torch.dtype, torch.device)
_OBJECT = "object"
_RUNS = 3  # of the model, by which it has written the attributes that it writes at every run


class Structure(AbstractContextManager[None]):
    """The modules of a model, their classes and plain attributes, as they were.

    An attribute counts if a run of the model does not change it itself (a counter, a cache).
    Numbers, strings and tuples are compared by value, other objects by identity, so that a change
    inside a dictionary or a closure is not seen; nor are hooks. Every run of the model is one
    ``with`` block, after which all attributes are what they were before it.
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self._alive: list[Any] = []  # so that identities stay unique
        self._was = _read(model, self._alive)
        self._own: set[Key] = set()  # what the model's own runs write
        self._runs = 0
        self._before: list[Attributes] = []
        self.writes_to_input: bool | None = None  # whether a run does; None until one was tried
        self.autocasts = False  # whether a run switched autocast on

    def __reduce__(self) -> tuple[type[Structure], tuple[nn.Module], dict[str, Any]]:
        """In another process all objects are others, so the model is read anew.

        What was learnt of its runs goes along: by it a run copies its input, or does not.
        """
        learnt = {"writes_to_input": self.writes_to_input, "autocasts": self.autocasts}
        return Structure, (self.model,), learnt

    def change(self) -> str:
        """The first thing that a run would read otherwise than before, in words; empty if none."""
        now = _read(self.model)
        if now == self._was:
            return ""
        for key in (*self._was, *(key for key in now if key not in self._was)):
            was, has = self._was.get(key, "nothing"), now.get(key, "nothing")
            if was != has and key not in self._own:
                name = ".".join(part for part in key if part)
                return f"{name!r} changed from {_worded(was)} to {_worded(has)}"
        return ""

    def __enter__(self) -> None:
        """Refuse to run the model where its code would read something else than before."""
        if change := self.change():
            rule = "keep its modules and their plain attributes while an operator of it is in use"
            way_out = "change it back, or take op.at_current_weights()"
            raise wrong("model", rule, change, way_out)
        self._before.append(Attributes(self.model))

    def __exit__(self, *error: object) -> None:
        """Note what the run that just ended wrote, and put back what was there before it."""
        if self._runs < _RUNS:
            self._runs += 1
            now = _read(self.model, self._alive)
            self._own |= {k for k in {*now, *self._was} if now.get(k) != self._was.get(k)}
        self._before.pop().put_back()


def _read(model: nn.Module, alive: list[Any] | None = None) -> dict[Key, Any]:
    found: dict[Key, Any] = {
        ("", "parameters"): tuple(name for name, _ in model.named_parameters()),
        ("", "buffers"): tuple(name for name, _ in model.named_buffers()),
    }
    for name, module in model.named_modules():
        found[name, "class"] = type(module)
        for attribute, value in module.__dict__.items():
            if attribute not in _TORCH:
                found[name, attribute] = _compared(value)
                if alive is not None and not isinstance(value, _PLAIN):
                    alive.append(value)
    return found


def _compared(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (tuple, list)) and len(value) < 100:
        return tuple(_compared(item) for item in value)
    version = value._version if isinstance(value, Tensor) and not value.is_inference() else 0
    return _OBJECT, id(value), version, type(value).__name__


def _worded(value: Any) -> str:
    if isinstance(value, tuple) and value[:1] == (_OBJECT,):
        return f"an object of type {value[-1]}"
    return str(value)
