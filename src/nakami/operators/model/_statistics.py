"""By which statistics a network's batch normalisation is read."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ...results import NakamiWarning, warn

OF_BATCH = "statistics of the batch"
RUNNING = "running statistics"
UNTOUCHED = "running statistics as made, mean 0 and variance 1"


def statistics(model: nn.Module, by_batch: bool | None) -> str:
    """By which statistics the normalisation layers that keep some are read; empty without any."""
    layers = [m for m in model.modules() if isinstance(m, _NormBase)]
    if by_batch and layers:
        return OF_BATCH
    kept = [m for m in layers if m.running_mean is not None]
    if not kept:
        return ""
    return UNTOUCHED if all(map(_untouched, kept)) else RUNNING


def warn_of_untouched() -> None:
    """Say that no training step has been made with these statistics, and what to type."""
    warn(
        NakamiWarning(
            "batch normalisation is read by its running statistics, which are untouched (mean 0, "
            "variance 1), so that it normalises nothing here, as it will in training; {way_out}.",
            way_out=[
                "{python}pass nakami.View(model, batch_statistics=True)",
                "read it by those of the batch with {batch_statistics}",
                "load trained weights",
            ],
        )
    )


def _untouched(layer: _NormBase) -> bool:
    seen = layer.num_batches_tracked
    if seen is not None and int(seen) > 0:
        return False
    assert layer.running_mean is not None
    assert layer.running_var is not None
    fresh = not layer.running_mean.any()
    return fresh and bool(torch.all(layer.running_var == 1))
