"""Which curvature matrix of a loss a learning rate is read from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ...operators import CurvatureOperator, View, ggn, hessian

Loss = nn.Module | str | Callable[[Tensor, Any], Tensor] | None
MATRICES = {
    "ggn": "Gauss-Newton, the loss's own reduction",
    "hessian": "Hessian, the loss's own reduction",
}


def matrix_of(
    model: nn.Module | View, data: Any, loss: Loss, memory_budget: int | None
) -> CurvatureOperator:
    """The Gauss-Newton matrix of a loss; the Hessian of the loss that the model makes itself.

    That shows no outputs and targets, between which the Gauss-Newton matrix lies.
    """
    make = hessian if loss is None else ggn
    return make(model, data, loss, memory_budget=memory_budget)


def named_of(model: nn.Module, op: CurvatureOperator) -> dict[str, Tensor]:
    """The parameters that a matrix is of, by name."""
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    return {name: parameters[name] for name in op.names}
