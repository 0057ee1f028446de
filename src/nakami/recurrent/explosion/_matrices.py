"""The matrices from state to state of torch's recurrent layers, as an optimizer holds them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.optim import Optimizer

from ...operators import ends_of, sharded
from ...results import wrong, wrong_type

TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def recurrent_matrices(
    model: nn.Module, optimizer: Optimizer | None = None
) -> dict[str, nn.Parameter]:
    """``weight_hh`` of each layer and direction that an optimizer trains, by parameter name.

    Args:
        model: Any module; shared weights come once.
        optimizer: A torch optimizer without a wrapper; None for all of the model's.

    Raises:
        UsageError: No recurrent layer; none that the optimizer holds; weights that another module
            makes (parametrizations) or that are sharded.
    """
    given: object = model
    if not isinstance(given, nn.Module):
        way_out = "pass the module that holds the recurrent layers"
        raise wrong_type("model", "be a torch module", type(model).__name__, way_out)
    found = dict(_found(model))
    if not found:
        way_out = "pass the module that holds them"
        rule = "hold an nn.RNN, nn.GRU, nn.LSTM or a cell of these"
        raise wrong("model", rule, type(model).__name__, way_out)
    if optimizer is None:
        return found
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    held = {name: p for name, p in found.items() if id(p) in own}
    if not held:
        way_out = "build it on model.parameters() of this very model"
        got = f"none of {', '.join(found)}"
        raise wrong("optimizer", "hold a recurrent weight of the model", got, way_out)
    return held


def _found(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    seen, parts = set[int](), sharded(model)
    for prefix, unit in model.named_modules():
        if not isinstance(unit, nn.RNNBase | nn.RNNCellBase):
            continue
        for end in ends_of(unit):
            name = f"weight_hh{end}"
            path = f"{prefix}.{name}" if prefix else name
            weight = unit._parameters.get(name)
            if weight is None:
                way_out = "take the parametrization off"
                got = "a tensor made anew each time"
                raise wrong("model", f"hold {path} as a parameter", got, way_out)
            if id(weight) in parts or weight.dtype not in TYPES:
                way_out = "keep the recurrent layers whole on each process, in floating point"
                got = f"a {parts.get(id(weight), 'tensor')} of {weight.dtype}"
                raise wrong("model", f"hold {path} whole", got, way_out)
            if id(weight) not in seen:
                seen.add(id(weight))
                yield path, weight
