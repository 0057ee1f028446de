"""Layers whose gradient in a training is no derivative, by a convention of torch's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...results import counted, warn


def follow_conventions(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Clip the tables of ``max_norm`` in ``weights``, as a run would do, and warn of conventions.

    Args:
        model: The model.
        weights: Copies of its own, by name behind ``model.``.

    Warns:
        NakamiWarning: Rows are clipped, or ``scale_grad_by_freq`` changes gradients of a training.
    """
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            continue
        if module.scale_grad_by_freq:
            warn(
                f"embedding {name!r}: a training divides its gradient by how often a token occurs "
                "(scale_grad_by_freq); what is read here is the derivative, which is not divided."
            )
        full, most = f"model.{name}.weight" if name else "model.weight", module.max_norm
        table = weights.get(full)
        if most is None or table is None:
            continue
        norms = torch.linalg.vector_norm(table, module.norm_type, 1, keepdim=True)
        longer = norms > most
        if longer.any():
            weights[full] = torch.where(longer, table * (most / (norms + 1e-7)), table)
            excess = norms > most * (1 + 1e-5)
            if excess.any():
                warn(
                    f"embedding {name!r}: {counted(int(excess.sum()), 'row is', 'rows are')} "
                    "longer than {max_norm} = "
                    f"{most:g}, and are read as a run leaves them, clipped to it; call the model "
                    "on its tokens once to clip its own."
                )
