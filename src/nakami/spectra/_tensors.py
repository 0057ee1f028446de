"""Tensors that are handed in: of which kinds the library computes with."""

from __future__ import annotations

import torch
from torch import Tensor

from ..results import wrong, wrong_type

FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def check_entries(argument: str, value: Tensor) -> None:
    """Refuse tensors without numbers, sparse ones, and floating types of less than 16 bits."""
    if value.is_meta:
        raise wrong(
            argument,
            "hold numbers",
            "a tensor on the meta device",
            "pass a tensor that holds them",
        )
    if value.layout != torch.strided:
        layout = str(value.layout).removeprefix("torch.")
        raise wrong_type(argument, "be dense", layout, "convert it with .to_dense()")
    if value.is_floating_point() and value.dtype not in FLOATING:
        raise wrong_type(argument, "have 16 bits or more", value.dtype, "convert it with .float()")
