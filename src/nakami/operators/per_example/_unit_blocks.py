"""The blocks of single units on the diagonal of a curvature matrix, formed."""

from __future__ import annotations

import torch
from torch import Tensor

from ...results import unknown, wrong
from ..model._parameters import Parameters
from ._examples import Rows
from ._layer_io import full_name, sweeps
from ._layer_rules import Product, known
from ._verification import Verified


def unit_parts(at: Parameters, checked: Verified, module: str) -> dict[str, int]:
    """Which parameters a unit of the module has, its row of the weight and its bias; their sizes.

    Raises:
        UsageError: No such module, not a linear layer or convolution, a weight that is frozen,
            tied, or used in another place as well.
    """
    modules = {s: m for s, m in at.network.model.named_modules() if known(m) is Product}
    if module not in modules:
        which = "linear layers and convolutions have units"
        raise unknown("module", str(module), sorted(modules), which)
    own = [(k, p) for k, p in modules[module]._parameters.items() if p is not None]
    moving = {k: p.numel() // len(p) for k, p in own if full_name(module, k) in at.names}
    lost = [k for k in moving if full_name(module, k) not in checked.own]
    if "weight" not in moving or lost:
        why = "a weight used elsewhere too" if lost else "a weight that is not among the parameters"
        way_out = "name a linear or convolution layer"
        raise wrong("module", "have weights of its own", f"{module!r} with {why}", way_out)
    return moving


def unit_blocks(rows: Rows, module: str, parts: dict[str, int]) -> Tensor:
    """Sums over rows of ``g g^T`` by the parameters of each unit, unscaled.

    Returns:
        ``(units, fan-in [+ 1], fan-in [+ 1])``.

    Cost: a backward pass for each column of an example, and ``rows units fan-in^2`` flops.
    """
    examples = rows[0]
    at, size = examples.at, sum(parts.values())
    units = len(at.weights[f"model.{full_name(module, 'weight')}"])
    total = at.flat.new_zeros(units, size, size)
    width = examples.budget // 4 // (examples.each + 2 * units * size * at.flat.itemsize)
    for _, run, _, slopes in sweeps(rows, {module}, width):
        if module in slopes:  # else the output does not depend on it
            with torch.no_grad():
                found = run.layers[module].gradients(slopes[module])
                each = torch.cat([found[k].reshape(run.n, units, -1) for k in parts], 2)
                total += torch.einsum("nua,nub->uab", each, each)
    return total
