"""Whether a function is made of nothing but steps whose derivative is known to be right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..model._put_back import leaves
from ..model._uncompiled import DispatchMode

_SMOOTH = """
    add sub rsub mul div neg reciprocal exp log sqrt rsqrt pow sin cos
    mm addmm bmm baddbmm mv addmv dot convolution sum mean
    relu leaky_relu elu gelu silu hardtanh clamp clamp_min tanh sigmoid softplus
    _softmax _safe_softmax _log_softmax native_layer_norm native_group_norm native_batch_norm
    _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm
    max_pool2d_with_indices avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d
"""
_MOVED = """
    view _unsafe_view _reshape_alias alias clone copy _to_copy contiguous
    t transpose permute expand squeeze unsqueeze select slice split split_with_sizes unsafe_split
    unsafe_split_with_sizes unbind unfold flip roll repeat cat stack constant_pad_nd
    embedding index_select gather
"""
_KNOWN = {f"aten::{name}" for name in (*_SMOOTH.split(), *_MOVED.split())}
_READ = {"shape", "ndim", "dtype", "device", "layout", "itemsize", "is_cuda", "T", "mT"}


class Steps:
    """Watches a function while ``torch.func`` runs it, at a flat point.

    Attributes:
        known: Whether all that it did to floating numbers are torch's own operations of a list, in
            no coarser arithmetic than the point's, with nothing between them that takes a gradient
            away or changes it: no detach, no block without gradients, no custom function, no hook.
            What is not on the list says nothing.
        still: Entries of the point that embed padding, which torch gives no gradient on purpose.
        coarsest: The coarsest floating type that came out of an operation, or the point's.
    """

    def __init__(self, point: Tensor):
        self.known, self.coarsest, self._dtype = True, point.dtype, point.dtype
        self.still, self._bytes = set[int](), point.numel() * point.itemsize
        self._trusted, self._called = False, False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within it every step counts; that gradients are off outside of it does not."""
        with torch.enable_grad(), _Operations(self), _Calls(self):
            yield

    @contextmanager
    def trusted(self) -> Iterator[None]:
        """Within it no step counts: a custom function of ours."""
        self._trusted = True
        try:
            yield
        finally:
            self._trusted = False

    def operation(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """Take note of an operation."""
        made = [value for value in leaves(out) if isinstance(value, Tensor)]
        floating = [value for value in made if value.is_floating_point()]
        for value in floating:
            if value.dtype != self._dtype:
                self.coarsest = max(self.coarsest, value.dtype, key=_eps)
        name = func._schema.name
        if name == "aten::embedding":
            self._embedded(*args)
        if not self.known or self._trusted or not any(map(_is_number, leaves((args, kwargs)))):
            return
        self.known = (
            self._called
            and name.removesuffix("_") in _KNOWN
            and torch.is_grad_enabled()
            and made[:1] == floating[:1]
            and self.coarsest == self._dtype
            and not (name == "aten::embedding" and any(args[3:]))  # scaled, or sparse
            and not kwargs.get("rounding_mode")
        )

    def _embedded(self, weight: Tensor, indices: Tensor, padding: int = -1, *_: Any) -> None:
        """Note the row of padding, where the weight is a part of the point."""
        part = weight.untyped_storage().nbytes() == self._bytes and weight.is_contiguous()
        if padding >= 0 and part:
            width = weight[0].numel()
            begin = weight.storage_offset() + padding * width
            self.still |= set(range(begin, begin + width))

    @contextmanager
    def call(self, func: Any, args: Any) -> Iterator[None]:
        """Take note of a call in Python, which need not lead to an operation.

        Operations outside any call come from a script or an extension, which may hide others.
        """
        if func is Tensor.register_hook or any(map(_is_made_anew, args)):
            self.known = False
        elif getattr(func, "__name__", "") == "__get__":
            self.known &= func.__self__.__name__ in _READ
        before, self._called = self._called, True
        try:
            yield
        finally:
            self._called = before


class _Operations(DispatchMode):
    def __init__(self, steps: Steps):
        super().__init__()
        self.steps = steps

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.steps.operation(func, args, kwargs or {}, out)
        return out


class _Calls(TorchFunctionMode):
    def __init__(self, steps: Steps):
        super().__init__()
        self.steps = steps

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with self.steps.call(func, args):
            return func(*args, **(kwargs or {}))


def _eps(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).eps


def _is_made_anew(value: Any) -> bool:
    """Whether a state is a tensor of another class, whose making may have taken the gradient."""
    anew = isinstance(value, Tensor) and type(value) is not Tensor
    return anew and torch._C._functorch.is_functorch_wrapped_tensor(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())
