"""How the optimizer of a setting is made again: where its class is, and with which arguments."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..rate._optimizers import rates

Held = tuple[Mapping[str, Any], "ParameterGroup"]  # a group of an optimizer, as the code has it
PLAIN = (bool, int, float, complex, str, type(None))
MORE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters of a setting that are trained alike.

    Attributes:
        names: As ``named_parameters()`` of the model has them.
        rate: Over that of the fastest group.
        arguments: Of the optimizer's class, those that differ from its own, and the weight decay.
    """

    names: tuple[str, ...]
    rate: float
    arguments: dict[str, object]


def held_in(optimizer: Optimizer, model: nn.Module) -> list[Held]:
    """The groups that hold parameters of a model, with what they are made of."""
    names, found = {id(p): name for name, p in model.named_parameters()}, list[Held]()
    every = rates(optimizer)
    for group, rate in zip(optimizer.param_groups, every, strict=True):
        own = tuple([names[id(p)] for p in group["params"] if id(p) in names])
        if own:
            made = ParameterGroup(own, rate / max(every), arguments(optimizer, group))
            found.append((group, made))
    return found


def covers(groups: Sequence[Held], model: nn.Module) -> bool:
    """Whether one group has all that is trained, so that ``model.parameters()`` stands for it."""
    return len(groups) == 1 and trained(model) <= set(groups[0][1].names)


def trained(model: nn.Module) -> set[str]:
    """Names of the parameters that require gradients."""
    return {name for name, p in model.named_parameters() if p.requires_grad}


def shared(groups: Sequence[Held]) -> dict[str, object]:
    """The arguments that all groups have alike."""
    first, *others = [each.arguments for _, each in groups]
    same = [key for key in first if all(first[key] == more.get(key, ...) for more in others)]
    return {key: first[key] for key in same}


def arguments(optimizer: Optimizer, group: Mapping[str, Any]) -> dict[str, object]:
    """Arguments of its class for a group that differ from the class's own, and the weight decay.

    The class is not called: some, as Muon, take no parameters but those they are for.
    """
    held, own = {**vars(optimizer), **group}, _own(type(optimizer))
    found = {name: _plain(held[name]) for name in own if name in held}
    return {
        name: value
        for name, value in found.items()
        if _is_plain(value) and (value != _plain(own[name]) or (name == "weight_decay" and value))
    }


def home(optimizer: Optimizer) -> str:
    """The module that shows its class; empty where none does, as of a class in a notebook."""
    name, inner = type(optimizer).__name__, type(optimizer).__module__
    if getattr(torch.optim, name, None) is type(optimizer):
        return "torch.optim"
    if inner.startswith("nakami."):
        return "nakami.optim"
    shown = inner != "__main__" and type(optimizer).__qualname__ == name
    return inner if shown else ""


def _own(kind: type[Optimizer]) -> dict[str, object]:
    """Arguments of a class beside parameters and rate, with defaults; through ``**`` of parents."""
    found = dict[str, object]()
    for parent in kind.__mro__:
        if parent is Optimizer:
            break
        if "__init__" not in vars(parent):
            continue
        given = inspect.signature(vars(parent)["__init__"]).parameters
        _, *names = given  # self
        for name in names:
            if given[name].kind not in MORE and name not in ("params", "lr"):
                found.setdefault(name, given[name].default)
        if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in given.values()):
            break
    return found


def _plain(value: Any) -> Any:
    """Numbers in tensors as numbers."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, (tuple, list)) else value


def _is_plain(value: Any) -> bool:
    """Whether its ``repr`` is code."""
    return all(map(_is_plain, value)) if isinstance(value, tuple) else isinstance(value, PLAIN)
