"""Why the first run of a network failed, and whose code it was: the model's or the view's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...results import UsageError, raised, wrong, wrong_type
from ._checks import first_line
from ._example import Example, shapes_of
from ._named_inputs import Inside, arguments_of, named_parts, rows_differ, shown
from ._view import LABELS

if TYPE_CHECKING:
    from ._functional_model import FunctionalModel

INPUT = "the input"


def failure(network: FunctionalModel, error: Exception, example: Example) -> UsageError:
    """What to say of an error in a run at ``example``; what is tried again for it leaves no trace.

    Args:
        network: What was run.
        error: What its run raised.
        example: What it was run on.
    """
    x = example.tree
    with torch.no_grad(), Inside(network.model) as inside:
        try:
            out = network.run_in(lambda: network.caller(x))
        except Exception as again:
            return _of_forward(network, again, example, inside)
    if network.select is None:
        return _refusal(network, error, example, None)
    way_out = f"it gets the {type(out).__name__} that the model returns"
    if isinstance(out, torch.Tensor):
        way_out = "leave it out for a model that returns one tensor"
    return raised("select", error, f"outputs of shape {shapes_of(out)}", way_out)


def _of_forward(
    network: FunctionalModel, error: Exception, example: Example, inside: Inside
) -> UsageError:
    if isinstance(error, UsageError):
        return error
    if network.forward is not None:
        way_out = "it is called as forward(model, x), with x as it was passed"
        return raised("forward", error, f"x of shape {shapes_of(example.tree)}", way_out)
    if _runs_without_targets(network, example.tree):
        got = f"one of shape {shapes_of(example.tree)}, of which the model takes the first alone"
        if isinstance(example.tree, Mapping):
            got = "one with " + ", ".join(map(repr, example.tree))
        ways = ["pass x alone, without its targets"]
        if callable(network.target):  # which leaves the batch whole
            ways = ["pass forward=lambda model, batch: model(batch[0]) beside target="]
        if len({leaf.shape for leaf in example.leaves}) == 1:
            ways.append("torch.stack examples that come in a list")
        return wrong(INPUT, "be without targets", got, ways)
    return _refusal(network, error, example, inside)


def _runs_without_targets(network: FunctionalModel, x: Any) -> bool:
    """Whether it runs on the first of a pair, or on a mapping without its labels."""
    if isinstance(x, Mapping):
        rest: Any = {key: value for key, value in x.items() if key not in LABELS}
        if len(rest) in (0, len(x)):
            return False
    elif isinstance(x, (tuple, list)) and len(x) == 2:
        rest = x[0]
    else:
        return False
    try:
        with torch.no_grad():
            network.run_in(lambda: network.caller(rest))
    except Exception:
        return False
    return True


def _refusal(
    network: FunctionalModel, error: Exception, example: Example, inside: Inside | None
) -> UsageError:
    """That the model cannot take its input, and what to do about it."""
    embeds, recast = network.embeds, network.recast
    parts = named_parts(network.model, example.tree)
    if not example.moving and not embeds:
        return wrong_type(
            "x",
            "be floating-point",
            example.leaves[0].dtype,
            "pass x.float(), or tokens to a network with an embedding",
        )
    first = first_line(error)
    way_out = "give the shape it was built for, or pass nakami.View(model, forward=...)"
    tokens = [x for x in example.leaves if not x.is_floating_point() and x.numel()]
    if embeds and tokens and isinstance(error, IndexError):
        largest = max(int(x.max()) for x in tokens)
        way_out = f"the largest token is {largest}, keep them below the size of the embedding"
    elif embeds and example.moving and "indices" in first:
        way_out = "pass tokens as integers, x.long()"
    elif isinstance(error, TypeError) and "argument" in first:
        way_out = _as_its_forward_takes_them(network.model, example, way_out)
    elif rows := rows_differ(example.leaves):
        way_out = f"give all inputs a row for each example, these have {rows}"
    elif len(parts) > 1:
        way_out = _as_its_forward_takes_them(network.model, example, way_out)
    elif recast is not None and "type" in first:
        way_out = f"its weights are computed in {recast}: take casts out of its forward"
    got, name = shown(network.model, example.tree), type(network.model).__name__
    of_layer = isinstance(error, (RuntimeError, ValueError))
    where = inside.where(parts) if inside is not None and of_layer else ""
    return UsageError(f"the model ({name}) cannot take {got}: {first}{where}; {way_out}.")


def _as_its_forward_takes_them(model: nn.Module, example: Example, way_out: str) -> str:
    """How several inputs are given; ``way_out`` where its forward takes one."""
    taken = arguments_of(model)
    if len(taken) == 1 and isinstance(example.tree, Mapping):
        key = next(iter(example.tree))
        return f"pass nakami.View(model, forward=lambda model, x: model(x[{key!r}]))"
    if len(taken) < 2:
        several = "several inputs are passed as model(*x): give those that its forward takes"
        return way_out if example.is_tensor else several
    return (
        f"its forward takes ({', '.join(taken)}): give a tuple in this order, a dict by these "
        "names, or nakami.View(model, forward=...) for another form"
    )
