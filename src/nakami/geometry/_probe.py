"""Some steps of an optimizer on copies of the parameters, to learn its denominators."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..operators import Fisher
from ..results import RunError
from ._settings import Named, twin


def probed(
    optimizer: Optimizer, named: Named, op: Fisher, steps: int
) -> tuple[Optimizer, dict[str, Tensor], Fisher]:
    """The optimizer's twin after some steps, its parameters, and the matrix where they ended.

    The batches of the data are taken in turn. The model and the optimizer stay as they are.

    Raises:
        RunError: The steps led to weights that are not finite.
    """
    batches = op.by_batch()
    point = torch.cat([weight.reshape(-1) for weight in op.weights.values()])
    copies = {name: part.clone() for name, part in op.split(point).items()}
    moving = twin(optimizer, named, copies)
    for step in range(steps):
        flat = torch.cat([copy.reshape(-1) for copy in copies.values()])
        gradient = batches[step % len(batches)].gradient(flat)
        for name, part in op.split(gradient).items():
            copies[name].grad = part
        moving.step()
    flat = torch.cat([copy.reshape(-1) for copy in copies.values()])
    if not bool(torch.isfinite(flat).all()):
        raise RunError(
            f"the probe of {steps} steps led to weights that are not finite; lower the optimizer's "
            "learning rate."
        )
    return moving, copies, op.moved(flat)
