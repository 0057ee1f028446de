"""Functions that torch's exporter writes as unstable formulas, written so that they stay right.

Each is a function of onnxscript's ``op``, given to ``torch.onnx.export`` by its
``custom_translation_table``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch


def table() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Our translations, by the operator of torch's that each stands for."""
    aten = torch.ops.aten
    return {aten.scaled_dot_product_attention.default: attention}


def attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Attention whose rows are 0 where nothing may be looked at, as in torch.

    torch's exporter gives such a row the mean of all values (opset 20), or a node whose mask may
    not be broadcast in onnxruntime 1.32 (opset 23).
    """
    from onnxscript import opset20 as op

    del dropout_p  # 0 in evaluation mode
    if enable_gqa:
        raise NotImplementedError("attention with grouped heads")
    share = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    turned = op.Transpose(
        key, perm=[*range(len(key.shape) - 2), -1 % len(key.shape), -2 % len(key.shape)]
    )
    scores = op.MatMul(op.Mul(query, op.CastLike(share, query)), turned)
    nothing = op.CastLike(float("-inf"), scores)
    if is_causal:
        ones = op.Expand(op.CastLike(1, op.Shape(query)), op.Shape(scores, start=-2))
        scores = op.Where(op.Cast(op.Trilu(ones, upper=0), to=9), scores, nothing)
    if attn_mask is not None:
        whole = attn_mask.dtype is not None and attn_mask.dtype.name == "BOOL"
        scores = op.Where(attn_mask, scores, nothing) if whole else op.Add(scores, attn_mask)
    top = op.ReduceMax(scores, op.Constant(value_ints=[-1]), keepdims=1)
    zero = op.CastLike(0, scores)
    weights = op.Exp(op.Sub(scores, op.Where(op.Equal(top, nothing), zero, top)))
    total = op.ReduceSum(weights, op.Constant(value_ints=[-1]), keepdims=1)
    shared = op.Div(weights, op.Where(op.Equal(total, zero), op.CastLike(1, total), total))
    return op.MatMul(shared, value)
