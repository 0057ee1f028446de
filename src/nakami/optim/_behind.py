"""The activation behind a layer, found in the graph of autograd."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from ._slope_moments import Activation

LINEAR = Activation("linear")
SCALED = ("MulBackward0", "MulBackward1", "DivBackward0", "DivBackward1")
MOVED = (  # of a layer's output on its way to the model's: the same numbers in another order
    "ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "TransposeBackward0",
    "PermuteBackward0", "TBackward0", "SqueezeBackward0", "SqueezeBackward1", "UnsqueezeBackward0",
    "CloneBackward0",
)  # fmt: skip
KNOWN: dict[str, Callable[[Any], Activation | None]] = {
    "ReluBackward0": lambda node: Activation("bounded"),
    "LeakyReluBackward0": lambda node: Activation("bounded", below=node._saved_negative_slope),
    "HardtanhBackward0": lambda node: Activation(
        "bounded", low=float(node._saved_min_val), high=float(node._saved_max_val)
    ),
    "ErfBackward0": lambda node: Activation("erf"),
    "TanhBackward0": lambda node: Activation("tanh"),
    "SigmoidBackward0": lambda node: Activation("sigmoid"),
    "GeluBackward0": lambda node: Activation(
        "gelu" if node._saved_approximate == "none" else "gelu-tanh"
    ),
    "SiluBackward0": lambda node: Activation("silu"),
    "MishBackward0": lambda node: Activation("mish"),
    "SoftplusBackward0": lambda node: Activation("softplus") if node._saved_beta == 1 else None,
    "SinBackward0": lambda node: Activation("sin"),
    "CosBackward0": lambda node: Activation("cos"),
}


class Behind(NamedTuple):
    """What follows a layer, and the place in the graph of what it makes."""

    activation: Activation
    place: GradientEdge


def behind(outputs: Tensor, places: list[GradientEdge]) -> list[Behind | None]:
    """The activation that the output of each layer goes through, and through nothing else.

    A factor before it is part of it (``erf(u / sqrt(2))``). A layer whose output is the
    model's, but for shape and factors, is linear.

    Args:
        outputs: Of the model, with their graph.
        places: Outputs of the layers in it.

    Returns:
        For each place; None where something else follows, or several things.
    """
    users, end = _users(outputs), get_gradient_edge(outputs)
    return [_behind(place, end, users) for place in places]


Users = dict[tuple[Any, int], list[Any]]


def _users(outputs: Tensor) -> Users:
    """By place in the graph the nodes that take it in."""
    users: Users = defaultdict(list)
    waiting, seen = [outputs.grad_fn], {outputs.grad_fn}
    while waiting:
        node = waiting.pop()
        assert node is not None
        for before, number in node.next_functions:
            if before is not None:
                users[before, number].append(node)
                if before not in seen:
                    seen.add(before)
                    waiting.append(before)
    return users


def _behind(place: GradientEdge, end: GradientEdge, users: Users) -> Behind | None:
    node, number, gain = place.node, place.output_nr, 1.0
    moved = False
    while True:
        if (node, number) == (end.node, end.output_nr):
            return Behind(LINEAR, place)
        following = users.get((node, number), [])
        if len(following) != 1:
            return None
        (user,) = following
        name = user.name()
        if name in KNOWN and not moved:
            found = KNOWN[name](user)
            if found is None:
                return None
            return Behind(found._replace(gain=gain), GradientEdge(user, 0))
        if name in MOVED:
            moved = True
        elif name in SCALED:
            factor = _factor(user)
            if factor is None:
                return None
            gain *= factor
        else:
            return None
        node, number = user, 0


def _factor(node: Any) -> float | None:
    """The constant that a node multiplies by; None where it is no number, or has a gradient."""
    others = [before for before, _ in node.next_functions[1:] if before is not None]
    other = node._saved_other
    if others or (isinstance(other, Tensor) and other.ndim):
        return None
    factor = float(other)
    if "Div" in node.name():
        factor = 1 / factor if factor else math.inf
    return factor if math.isfinite(factor) and factor else None
