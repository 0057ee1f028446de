"""How far a GRU is from where its state of rest loses its stability."""

from __future__ import annotations

import torch
from torch import nn

from ..results import Margin
from ._blocks import candidate_blocks


def margins(model: nn.Module) -> list[Margin]:
    """The margin of every GRU layer and direction of a model.

    Args:
        model: As ``candidate_blocks`` takes it.

    Raises:
        UsageError: What ``candidate_blocks`` refuses.

    Cost: a singular value decomposition and eigenvalues, dense in float64, O(H^3) each.
    """
    found = []
    for block in candidate_blocks(model):
        matrix = block.matrix.double().cpu()
        sigma = float(torch.linalg.matrix_norm(matrix, 2))
        values = 0.5 + torch.linalg.eigvals(matrix) / 4
        leading = values[values.abs().argmax()]
        found.append(Margin(block.name, sigma, float(leading.abs()), complex(leading)))
    return found
