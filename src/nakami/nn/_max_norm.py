"""A bound on the length of each unit's incoming weights."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..results import is_number, unknown, wrong


def max_norm(weight: Tensor, limit: float) -> Tensor:
    """The weights with each unit's incoming ones shortened to ``limit`` where they are longer.

    Args:
        weight: ``(units, ...)``: a linear layer's rows, a convolution's filters.
        limit: Largest Euclidean length, above 0.

    Returns:
        A new tensor of the same shape; units within the limit are the same to the last bit.
    """
    if not is_number(limit) or not limit > 0:
        raise wrong("limit", "be a number above 0", limit, "use 3")
    size = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    factor = torch.where(size > limit, limit / size, torch.ones_like(size))
    return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))


class MaxNorm:
    """Keeps the incoming weights of each unit at most ``limit`` long, after each step.

    ``MaxNorm(model, 3.0).attach(optimizer)``: from then on each ``optimizer.step()`` ends with the
    projection. Called by itself it projects once. Replicas that train together stay alike, for the
    same weights are projected in each.

    Args:
        model: Any module. limit: largest Euclidean length of a unit's incoming weights, above 0.
        params: A shell pattern of parameter names; those with two axes or more are bounded.

    Raises:
        UsageError: A limit that is not above 0, or no parameter that fits.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, JMLR 15 (2014), section 5.1.
    """

    def __init__(self, model: nn.Module, limit: float, params: str = "*weight"):
        matrices = {name: p for name, p in model.named_parameters() if p.ndim > 1}
        self.names = [name for name in matrices if fnmatchcase(name, params)]
        if not self.names:
            raise unknown("params", params, list(matrices), "'*' takes all")
        self.weights, self.limit = [matrices[name] for name in self.names], limit
        max_norm(torch.zeros(1, 1), limit)  # refuses a wrong limit

    @torch.no_grad()
    def __call__(self) -> None:
        """Project the weights as they are."""
        for weight in self.weights:
            weight.copy_(max_norm(weight, self.limit))

    def attach(self, optimizer: torch.optim.Optimizer) -> RemovableHandle:
        """Project after each step; ``remove()`` of the result ends it."""

        def project(*_: Any) -> None:
            self()

        return optimizer.register_step_post_hook(project)
