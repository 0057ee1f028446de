"""What a traced run of a network shows: where it can be read, and the states there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...results import StageInfo, wrong
from ._example import Example
from ._positions import ALL
from ._stages import Place, Stages, is_weighted, weighted_inside
from ._tracer import Tracer
from ._ways import ways

if TYPE_CHECKING:
    from ._functional_model import FunctionalModel


class _Reached(Exception):
    pass


def found_stages(network: FunctionalModel, example: Example) -> Stages:
    """All stages at an example; checks that the model is deterministic there."""
    x = example.tree
    info = StageInfo("input", example.kind, example.shape)
    places = [Place(info, weighted=False, container=False, value=id(x))]
    alive: list[Tensor] = []  # identities stay unique while their tensors live

    def note(name: str, kind: str, value: Tensor, module: nn.Module | None) -> Tensor:
        place = _place(name, kind, value, module)
        if place.container and all(p.value != place.value for p in places):
            place = replace(place, joins=True)
        alive.append(value)
        places.append(place)
        return value

    with torch.no_grad(), network.explained(example):
        again = network.run(x, chance=1)  # before it is traced, for it may have to begin anew
        with Tracer(network.model, note) as tap:
            out = network.run(x)
    places = [
        replace(p, joins=p.joins or (p.container and p.info.name.split(":")[0] in tap.joining))
        for p in places
    ]
    _check_repeatable(out.detach(), again.detach())  # a network may switch gradients on itself
    names = [p.info.name for p in places]
    if "output" not in names or places[-1].value != id(out):  # a module may have that name
        free = (n for i in count(2) if (n := f"output:{i}") not in names)
        name = "output" if "output" not in names else next(free)
        last = _place(name, type(network.model).__name__.lower(), out, network.model)
        places.append(replace(last, container=False))  # no name for a stage before it
    if network.positions != ALL and all(len(p.info.shape) != 2 for p in places[1:]):
        rule = "come with a network whose stages have positions, (T, d)"
        raise wrong("positions", rule, repr(network.positions), "leave it out")
    return Stages(places, partial(ways, network, example))


def reached(
    network: FunctionalModel,
    x: Any,
    to: Sequence[str],
    changed: Mapping[str, Callable[[Tensor], Tensor]],
    weights: Mapping[str, Tensor] | None = None,
    seen: Callable[[Tensor], None] | None = None,
) -> tuple[Tensor, ...]:
    """The states at the stages ``to``, in the order asked, from one run that is cut short there.

    Args:
        network: What is run.
        x: The input, as the network takes it.
        to: Names of the stages.
        changed: By name of a stage what replaces its state, from that state.
        weights: In place of some of the network's.
        seen: Called with each state on the way.
    """
    found: dict[str, Tensor] = {}

    def watch(name: str, kind: str, value: Tensor, module: nn.Module | None) -> Tensor:
        if seen is not None:
            seen(value)
        if name in changed:
            value = changed[name](value)
        if name in to:
            found[name] = value
            if len(found) == len(to):
                raise _Reached
            found[name] = value.clone()  # what follows may write to it in place
        return value

    try:
        with Tracer(network.model, watch):
            out = network.run(x, weights)
    except _Reached:
        return tuple(found[name] for name in to)
    return tuple(found.get(name, out) for name in to)  # the output may be no place of its own


def _place(name: str, kind: str, value: Tensor, module: nn.Module | None) -> Place:
    shape = tuple(value.shape[1:]) if value.ndim and value.shape[0] == 1 else tuple(value.shape)
    container = module is not None and next(module.children(), None) is not None
    inside = weighted_inside(module) if module is not None and container else 0
    return Place(StageInfo(name, kind, shape), is_weighted(module), container, id(value), inside)


def _check_repeatable(first: Tensor, second: Tensor) -> None:
    scale = float(first.abs().max()) if first.numel() else 0.0
    gap = (
        float((first - second).abs().max())
        if first.shape == second.shape and first.numel()
        else 0.0
    )
    if not torch.isfinite(first).all():
        got = "NaN or infinite ones"
        raise wrong("model", "give finite outputs", got, "look for a log or a quotient of zero")
    if first.shape != second.shape or gap > 1e-4 * scale or gap != gap:
        raise wrong(
            "model",
            "be deterministic in evaluation mode",
            f"two outputs that differ by {gap:.3g} at the same input",
            "take what is random out of its forward, or make it follow model.training",
        )
