"""Where the readings of an input start, and where it is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...results import PYTHON, UsageError, wrong
from ._checks import FAILURES, first_line
from ._example import Example

if TYPE_CHECKING:
    from ._functional_model import FunctionalModel
    from ._stages import Stages


def natural_start(network: FunctionalModel, example: Example, places: Stages) -> str:
    """The input, or the first embedding of the tokens where there are tokens alone."""
    if example.moving:
        return "input"
    found = tuple(s.name for s in places if "embedding" in s.kind)
    if not found:
        rule = "be floating-point where the network has no embedding"
        ways = ["pass x.float()", PYTHON + "name the stage to start from with start="]
        raise wrong("x", rule, "integers alone", ways)
    if len(found) == 1:
        return found[0]
    with torch.no_grad():  # an embedding of positions does not follow the tokens
        here = network.activations(example.tree, found)
        there = network.activations(example.shaken(), found)
    following = (n for n, a, b in zip(found, here, there, strict=True) if not torch.equal(a, b))
    return next(following, found[0])


def check_cut(
    network: FunctionalModel,
    example: Example,
    start: str,
    to: tuple[str, ...],
    argument: str = "start",
) -> Tensor:
    """The state at ``start``, which must be a cut: hold it, move the input, and no ``to`` moves.

    ``argument`` is the caller's, that named it.

    Raises:
        UsageError: Some ``to`` moves (it is named), or the network fails with that state held.
    """
    with torch.no_grad():
        state = network.activations(example.tree, (start,))[0].detach()
        shaken = example.shaken(_beside(network, example, start, state))
        try:
            still = network.activations(example.tree, to, start, state)
            moved = network.activations(shaken, to, start, state)
        except FAILURES as error:
            raise UsageError(
                f"{argument} must be a stage that can be held, got {start!r}, without which the "
                f"network does not run: {first_line(error)}; start elsewhere, or from the input."
            ) from error
    for name, a, b in zip(to, still, moved, strict=True):
        if not torch.equal(a, b):
            way_out = "start from the input, or from a stage that everything passes"
            if not example.moving:
                way_out = (
                    "start from a stage that everything passes, or fix what else reads the tokens "
                    "(a mask, say) with nakami.View(model, forward=...)"
                )
            raise UsageError(
                f"{argument} must be a cut, got {start!r}: {name!r} also depends on the input past "
                f"it; {way_out}."
            )
    return state


def leaf_of(state: Tensor) -> Tensor:
    """The state with a gradient, which may still be written to."""
    return state.detach().requires_grad_().clone()


def _beside(network: FunctionalModel, example: Example, start: str, state: Tensor) -> set[int]:
    """Integer tensors held fixed: masks of 0 and 1, and what ``start`` does not depend on."""
    count = len(example.leaves)
    held = [i for i, leaf in enumerate(example.leaves) if not leaf.is_floating_point()]
    masks = {i for i in held if bool(((example.leaves[i] == 0) | (example.leaves[i] == 1)).all())}
    found = masks if len(masks) < count else set[int]()
    for i in set(held) - found if count > 1 else ():
        try:
            shaken = example.shaken({j for j in range(count) if j != i})
            other = network.activations(shaken, (start,))[0]
        except FAILURES:
            continue
        if torch.equal(other, state):
            found.add(i)
    return found
