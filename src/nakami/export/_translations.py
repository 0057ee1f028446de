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
    return {
        aten.scaled_dot_product_attention.default: attention,
        aten.log_sigmoid.default: log_sigmoid,
        aten.logaddexp.default: logaddexp,
        aten.log1p.default: log1p,
        aten.expm1.default: expm1,
        aten.logcumsumexp.default: _refusing("logcumsumexp"),
        aten.special_log_ndtr.default: _refusing("special.log_ndtr"),
    }


def log_sigmoid(x: Any) -> Any:
    """``-softplus(-x)``; the plain formula is -16.2 at -17 and minus infinity from -50 on."""
    from onnxscript import opset20 as op

    return op.Neg(op.Softplus(op.Neg(x)))


def logaddexp(a: Any, b: Any) -> Any:
    """``max(a, b) + softplus(-|a - b|)``; the plain formula is infinite at (100, 0)."""
    from onnxscript import opset20 as op

    return op.Add(op.Max(a, b), op.Softplus(op.Neg(op.Abs(op.Sub(a, b)))))


def log1p(x: Any) -> Any:
    """``x log(u) / (u - 1)`` with ``u = 1 + x``, right for small x; the plain formula is 0 there.

    Source: Kahan, as in Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 1.14.1.
    """
    from onnxscript import opset20 as op

    one = op.CastLike(1.0, x)
    u = op.Add(one, x)
    rest = op.Sub(u, one)
    small = op.Where(op.Equal(u, one), x, op.Div(op.Mul(x, op.Log(u)), rest))
    return op.Where(op.Less(op.Abs(x), one), small, op.Log(u))


def expm1(x: Any) -> Any:
    """``(e^x + 1) tanh(x / 2)``, right for small x; the plain formula is 0 there."""
    from onnxscript import opset20 as op

    one = op.CastLike(1.0, x)
    whole = op.Exp(x)
    small = op.Mul(op.Add(whole, one), op.Tanh(op.Mul(x, op.CastLike(0.5, x))))
    return op.Where(op.Less(op.Abs(x), one), small, op.Sub(whole, one))


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{name} would be written as a formula that overflows")

    return refuse


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
