"""Running a network in float64, whatever it casts to on its way."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..model._example import mapped
from ..model._functional_model import FunctionalModel
from ..model._put_back import aliased
from ..model._uncompiled import DispatchMode

LARGE = 1 << 20  # entries of a matrix beyond which it is converted a block at a time
WIDER = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}


@contextmanager
def in_double(
    network: FunctionalModel, moving: Container[str] = (), blocks: bool = False
) -> Iterator[None]:
    """Within it the network computes in float64, whatever it casts to on its way.

    Args:
        network: The network.
        moving: Names of weights that whoever runs it hands over, in float64.
        blocks: Whether large matrices are converted where they are used, a part at a time. Fails
            where code compares the types of its weights and inputs.
    """
    weights, caller = network.weights, network.caller
    later = {name for name, weight in weights.items() if blocks and _is_large(weight)}
    try:
        network.weights = {
            name: value if name in moving or name in later else _wide(value)
            for name, value in weights.items()
        }
        network.caller = lambda x: caller(mapped(x, _wide))  # convolutions compare the types
        with _Doubles():
            yield
    finally:
        network.weights, network.caller = weights, caller


class _Doubles(DispatchMode):
    """Every operation takes and returns float64 in place of narrower numbers."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _MATRIX_PRODUCTS and not kwargs and _is_large(args[-1]):
            return _product_in_blocks(*args)
        for place, name, is_written in aliased(func):
            value = args[place] if place < len(args) else kwargs.get(name)
            if not isinstance(value, Tensor):
                continue
            if not is_written:  # a view stays one; what is detached begins anew
                if func is torch.ops.aten.detach.default:
                    break
                return func(*args, **kwargs)
            if value.dtype in WIDER:
                raise NotImplementedError(f"{func} writes to {value.dtype}")
        kwargs = {name: _wide(value) for name, value in kwargs.items()}
        return _wide(func(*_wide(args), **kwargs))


_MATRIX_PRODUCTS = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)


def _is_large(weight: Tensor) -> bool:
    narrow = weight.dtype in WIDER and weight.is_floating_point()
    return narrow and weight.ndim == 2 and weight.numel() > LARGE


def _product_in_blocks(*args: Tensor) -> Tensor:
    """``x @ matrix`` in float64, plus what comes before them; one block of columns at a time."""
    x, matrix = _wide(args[-2]), args[-1]
    height, width = len(matrix), max(1, LARGE // len(matrix))
    out = x.new_empty(len(x), matrix.shape[1])
    scratch = x.new_empty(width, height)  # one for all: freed ones would not be used again
    for block, part in zip(out.split(width, 1), matrix.split(width, 1), strict=True):
        block.copy_(x @ scratch[: part.shape[1]].T.copy_(part))
    return out if len(args) == 2 else out.add_(args[0])


def _wide(value: Any) -> Any:
    if isinstance(value, torch.dtype):
        return WIDER.get(value, value)
    if isinstance(value, Tensor) and value.dtype in WIDER:
        return value.to(WIDER[value.dtype])
    if type(value) in (list, tuple):
        return type(value)([_wide(item) for item in value])
    return value
