"""The linearised product, with its constants kept as they were folded."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def linearised(function: Callable[[Tensor], Tensor], point: Tensor) -> Callable[[Tensor], Tensor]:
    """``v -> J v`` from a graph of tangents whose constants are folded.

    In-place steps of the network (``out += identity``, ``relu_``) write to these constants, so that
    each product would start from what the last one left; they are put back before each product.
    """
    with warnings.catch_warnings():
        # torch's constant folding warns about its own bookkeeping
        warnings.filterwarnings("ignore", "Attempted to insert a get_attr Node", UserWarning)
        push: Callable[[Tensor], Tensor] = torch.func.linearize(function, point)[1]
        with torch.no_grad(), _Writes() as folding:
            push(torch.zeros_like(point))
    with torch.no_grad(), _Writes() as again:
        push(torch.zeros_like(point))
    lasting = {_storage(tensor) for tensor, _ in again.written}
    kept = [(tensor, was) for tensor, was in folding.written if _storage(tensor) in lasting]
    del folding, again
    if not kept:
        return push

    def product(v: Tensor) -> Tensor:
        with torch.no_grad():
            for tensor, was in reversed(kept):  # views overlap: the first state is put back last
                tensor.copy_(was)
        return push(v)

    return product


class _Writes(TorchDispatchMode):
    """Notes the tensors that are written to, with what they held; fresh memory reads as NaN.

    NaN, so that a constant folded from memory not yet written to fails the check of products every
    time, not by chance.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for spec, value in zip(func._schema.arguments, args, strict=False):
            writes = spec.alias_info is not None and spec.alias_info.is_write
            if writes and isinstance(value, Tensor):
                self.written.append((value, value.clone()))
        out = func(*args, **kwargs)
        if "empty" in func._schema.name and isinstance(out, Tensor) and out.is_floating_point():
            out.fill_(torch.nan)
        return out


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
