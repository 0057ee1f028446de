"""Attention, normalisation and pooling whose multipliers are held as numbers, for ``Detached``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ._tracer import FUNCTIONS

Hold = Callable[[Callable[[], Tensor]], Tensor]  # the numbers that a function gives, held


def _whole(hold: Hold, func: Any, *args: Any, **kwargs: Any) -> Tensor:
    return hold(lambda: func(*args, **kwargs))


def _log_softmax(hold: Hold, func: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: A002
    return input - hold(lambda: input - func(input, *args, **kwargs))


def _max_pool(hold: Hold, func: Any, input: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
    name = FUNCTIONS[func]
    both = kwargs.pop("return_indices", False)
    apart = getattr(functional, f"{name}_with_indices")
    chosen = hold(lambda: apart(input.detach(), *args, **kwargs)[1])
    axes = int(name[-2])
    found = input.flatten(-axes).gather(-1, chosen.flatten(-axes)).reshape(chosen.shape)
    return (found, chosen) if both else found


def _glu(hold: Hold, func: Any, input: Tensor, dim: int = -1) -> Tensor:  # noqa: A002
    a, b = input.chunk(2, dim)
    return a * hold(lambda: b.sigmoid())


def _attention(
    hold: Hold, func: Any, query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None,
    dropout_p: float = 0.0, is_causal: bool = False, *, scale: Any = None,
    enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    def weights() -> Tensor:
        parts = (query.detach(), key.detach(), value.detach())
        both = torch.ops.aten._scaled_dot_product_attention_math(
            *parts, attn_mask, dropout_p, is_causal, None, scale=scale, enable_gqa=enable_gqa
        )
        found: Tensor = both[1]
        return found

    if enable_gqa and query.shape[-3] != value.shape[-3]:
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    return hold(weights) @ value


def _layer_norm(
    hold: Hold, func: Any, input: Tensor, normalized_shape: Any, weight: Any = None,  # noqa: A002
    bias: Any = None, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    axes = tuple(range(-len(normalized_shape), 0))
    out = _scaled(hold, input - input.mean(axes, keepdim=True), input, axes, eps)
    return _affine(out, weight, bias)


def _rms_norm(
    hold: Hold, func: Any, input: Tensor, normalized_shape: Any, weight: Any = None,  # noqa: A002
    eps: float | None = None,
) -> Tensor:  # fmt: skip
    axes = tuple(range(-len(normalized_shape), 0))
    least = torch.finfo(input.dtype).eps if eps is None else eps
    scale = hold(lambda: (input.square().mean(axes, keepdim=True) + least).rsqrt())
    return _affine(input * scale, weight, None)


def _group_norm(
    hold: Hold, func: Any, input: Tensor, num_groups: int, weight: Any = None,  # noqa: A002
    bias: Any = None, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    grouped = input.reshape(len(input), num_groups, -1)
    out = _scaled(hold, grouped - grouped.mean(-1, keepdim=True), grouped, (-1,), eps)
    return _affine(out.reshape(input.shape), *_by_channel(input, weight, bias))


def _batch_norm(
    hold: Hold, func: Any, input: Tensor, running_mean: Any, running_var: Any,  # noqa: A002
    weight: Any = None, bias: Any = None, training: bool = False, momentum: float = 0.1,
    eps: float = 1e-5, **more: Any,
) -> Tensor:  # fmt: skip
    parts = (running_mean, running_var, weight, bias, training, momentum, eps)
    by_batch = more.get("use_input_stats", training)
    if not by_batch:
        plain: Tensor = func(input, *parts, **more)
        return plain
    apart = FUNCTIONS[func] == "instance_norm"
    axes = tuple(range(2, input.ndim)) if apart else (0, *range(2, input.ndim))
    out = _scaled(hold, input - input.mean(axes, keepdim=True), input, axes, eps)
    return _affine(out, *_by_channel(input, weight, bias))


def _scaled(hold: Hold, centred: Tensor, x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    def scale() -> Tensor:
        return (x.detach().var(axes, correction=0, keepdim=True) + eps).rsqrt()

    return centred * hold(scale)


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _by_channel(x: Tensor, *parts: Tensor | None) -> list[Tensor | None]:
    shape = (-1, *[1] * (x.ndim - 2))
    return [None if part is None else part.reshape(shape) for part in parts]


def _homes(*names: str) -> list[Any]:
    """The functions of these names, wherever torch has them."""
    homes: tuple[Any, ...] = (functional, torch, Tensor, torch.special, torch.linalg)
    spelt = [part for name in names for part in (name, name + "_")]
    return [getattr(home, name) for home in homes for name in spelt if hasattr(home, name)]


RULES: dict[Any, Any] = {
    **dict.fromkeys(_homes("softmax"), _whole),
    **dict.fromkeys(_homes("log_softmax"), _log_softmax),
    **dict.fromkeys(_homes("rsqrt", "sqrt", "reciprocal", "norm", "vector_norm", "std"), _whole),
    **dict.fromkeys(_homes("layer_norm"), _layer_norm),
    **dict.fromkeys(_homes("rms_norm"), _rms_norm),
    **dict.fromkeys(_homes("group_norm"), _group_norm),
    functional.batch_norm: _batch_norm,
    functional.instance_norm: _batch_norm,
    **{
        func: _max_pool
        for func, name in FUNCTIONS.items()
        if "max_pool" in name and getattr(func, "__module__", "") != "torch._C"
    },
    functional.glu: _glu,
    functional.scaled_dot_product_attention: _attention,
}
