"""The type that autocast gives to products, on any kind of device."""

from __future__ import annotations

import torch
from torch import Tensor


def casts(kind: str) -> bool:
    """Whether autocast is on for this kind of device; some, as ``"meta"``, have none."""
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def result_type(x: Tensor) -> torch.dtype:
    """That of torch's own convolution of ``x``, which autocast decides."""
    kind = x.device.type
    if casts(kind) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return x.dtype
