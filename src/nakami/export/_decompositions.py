"""Functions that mobile runtimes lack or do otherwise, written by others that they have.

Each takes the place of an operator of torch's in ``ExportedProgram.run_decompositions``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def table() -> dict[Any, Callable[..., Any]]:
    """Our decompositions, by the operator of torch's that each stands for."""
    aten = torch.ops.aten
    return {
        aten.avg_pool3d.default: avg_pool3d,
        aten.remainder.Scalar: remainder,
        aten.remainder.Tensor: remainder,
    }


def avg_pool3d(
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Means over one axis alone, as local response normalisation takes them over channels."""
    steps = [*(stride or kernel_size)]
    if [*kernel_size[1:]] != [1, 1] or steps[1:] != [1, 1] or any(padding[1:]):
        return NotImplemented
    flat = torch.ops.aten.avg_pool2d(
        x.flatten(-2), [kernel_size[0], 1], [steps[0], 1], [padding[0], 0],
        ceil_mode, count_include_pad, divisor_override,
    )  # fmt: skip
    return flat.unflatten(-1, x.shape[-2:])


def remainder(x: Tensor, by: Any) -> Any:
    """``x - floor(x / by) by`` of integers: ExecuTorch's has the sign of C, -7 % 3 = -1."""
    if x.is_floating_point():
        return NotImplemented
    return x - torch.ops.aten.div.Tensor_mode(x, by, rounding_mode="floor") * by


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Attention whose rows are 0 where nothing may be looked at, as in torch; others give NaN."""
    if enable_gqa or dropout_p:
        return NotImplemented
    share = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * share) @ key.transpose(-1, -2)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is None:
        return torch.softmax(scores, -1) @ value
    if attn_mask.dtype != torch.bool:
        scores, attn_mask = scores + attn_mask, attn_mask > -math.inf
    least = torch.finfo(scores.dtype).min
    scores = torch.where(attn_mask, scores, torch.full_like(scores, least))
    top = scores.amax(-1, keepdim=True)
    weights = torch.where(attn_mask, torch.exp(scores - top), torch.zeros_like(scores))
    total = weights.sum(-1, keepdim=True)
    return (weights / torch.where(total == 0, torch.ones_like(total), total)) @ value
