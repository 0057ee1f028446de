"""The type that autocast gives to products, on any kind of device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

LOW = (torch.float16, torch.bfloat16)


def casts(kind: str) -> bool:
    """Whether autocast is on for this kind of device; some, as ``"meta"``, have none."""
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def result_type(x: Tensor) -> torch.dtype:
    """That of torch's own convolution of ``x``, which autocast decides."""
    kind = x.device.type
    if casts(kind) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return x.dtype


def uncast(x: Tensor) -> AbstractContextManager[object]:
    """Autocast off on the device of ``x``, where there is any."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if casts(kind) else nullcontext()


def widened(x: Tensor) -> Tensor:
    """Numbers of 16 bits in float32, others as they are."""
    return x.float() if x.dtype in LOW else x
