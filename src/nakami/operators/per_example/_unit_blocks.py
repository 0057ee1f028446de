"""The blocks of single units on the diagonal of a curvature matrix, formed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...results import unknown, wrong
from ..curvature._batches import Batch
from ..curvature._loss_hessian_sqrt import LossHessianSqrt
from ..model._functional_model import FunctionalModel
from ._layer_io import full_name, sweeps
from ._layer_rules import Product, known
from ._verification import verified


def unit_parts(batch: Batch, module: str) -> tuple[str, ...]:
    """Which parameters a unit of the module has: its row of the weight, and its bias.

    Raises:
        UsageError: No such module, not a linear layer or convolution, a weight that is frozen,
            tied, or used in another place as well.
    """
    modules = _layers(batch.network)
    if module not in modules:
        raise unknown(
            "module", module, sorted(modules), "linear layers and convolutions have units"
        )
    own = verified(batch).own
    parts = [k for k, p in modules[module]._parameters.items() if p is not None]
    moving = tuple(k for k in parts if full_name(module, k) in batch.names)
    lost = [k for k in moving if full_name(module, k) not in own]
    if "weight" not in moving or lost:
        why = "a weight used elsewhere too" if lost else "a weight that is not among the parameters"
        raise wrong(
            "module",
            "have weights of its own",
            f"{module!r} with {why}",
            "name a linear or convolution layer",
        )
    return moving


def unit_blocks(batch: Batch, root: LossHessianSqrt, module: str, parts: tuple[str, ...]) -> Tensor:
    """Sums over the rows of a batch of ``g g^T`` by the parameters of each unit, unscaled.

    Returns:
        ``(units, fan-in [+ 1], fan-in [+ 1])``.

    Cost: a backward pass for each column of an example, and ``rows units fan-in^2`` flops.
    """
    layer = _layers(batch.network)[module]
    units = len(layer.weight)
    wide = sum(batch.weights[f"model.{full_name(module, k)}"].numel() for k in parts)
    size = wide // units
    total = torch.zeros(units, size, size, dtype=batch.dtype, device=batch.device)
    chunk = batch.budget // 4 // (batch.each + 2 * wide * batch.dtype.itemsize)
    for _, run, columns in sweeps(batch, root.each, {module}, chunk):
        for slopes in columns:
            if module not in slopes:  # the output does not depend on it
                continue
            with torch.no_grad():
                found = run.layers[module].gradients(slopes[module])
                shape = (len(slopes[module]), units, -1)
                rows = torch.cat([found[k].reshape(shape) for k in parts], 2)
                total += torch.einsum("nua,nub->uab", rows, rows)
    return total


def _layers(network: FunctionalModel) -> dict[str, nn.Linear]:
    return {s: m for s, m in network.model.named_modules() if known(m) is Product}
