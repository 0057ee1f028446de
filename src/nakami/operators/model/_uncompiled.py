"""Torch's transforms and modes without an import of its compiler, which takes 3 seconds.

The pullback of ``torch.func.vjp`` asks first whether compiled autograd is on, and a dispatch mode
keeps the compiler away from itself; both import ``torch._dynamo`` for that (torch 2.13). Nothing is
compiled while it is not loaded, so neither is asked then; all else is torch's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.graph import _engine_run_backward
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

T = TypeVar("T")
ARITHMETIC = ("add", "sub", "mul", "div", "neg")
NOTED = "__dynamo_disable"  # where torch keeps a function as the compiler leaves it alone
NEEDED = ("flat_diff_primals", "flat_primals_out", "primals_out_spec", "primals_spec")


def compiler_loaded() -> bool:
    """Whether anything can be compiled in this process so far."""
    return "torch._dynamo" in sys.modules


@contextmanager
def zeros_uncompiled() -> Iterator[None]:
    """Within it arithmetic with a tangent of zeros does not import the compiler.

    Forward mode of a division by a number makes one, and goes through torch's Python forms, whose
    parts are kept from the compiler by asking it, once each, for what is noted here beforehand.
    """
    chain = [] if compiler_loaded() else _python_forms()
    for each in chain:
        each.__dict__.setdefault(NOTED, each)
    try:
        yield
    finally:
        for each in chain:
            if each.__dict__.get(NOTED) is each:
                del each.__dict__[NOTED]


@cache
def _python_forms() -> list[Any]:
    chain: list[Any] = []
    for name in ARITHMETIC:
        part = getattr(torch._refs, name, None)
        while part is not None and hasattr(part, "__code__"):  # each wrapper, then what it calls
            chain.append(part)
            inside = zip(part.__code__.co_freevars, part.__closure__ or (), strict=True)
            part = next((cell.cell_contents for key, cell in inside if key == "fn"), None)
    return chain


class DispatchMode(TorchDispatchMode):
    """A mode that calls in the compiler, to be left alone by it, only where it is loaded."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Wrap the subclass's own ``__torch_dispatch__``."""
        super().__init_subclass__(**options)
        raw: Any = cls.__dict__["__torch_dispatch__"]
        apart = torch._disable_dynamo(raw, recursive=True)

        def dispatch(self: Any, *args: Any, **kwargs: Any) -> Any:
            return (apart if compiler_loaded() else raw)(self, *args, **kwargs)

        cls.__torch_dispatch__ = dispatch  # type: ignore[method-assign]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # see ``dispatch``


def vjp(function: Callable[..., Tensor], point: T) -> tuple[Tensor, Callable[[Tensor], T]]:
    """The value at ``point`` and ``u -> J^T u``, as ``torch.func.vjp`` of one argument."""
    return _vjp(function, point)


def gradient(function: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
    """The gradient of a function with one number as its value, as ``torch.func.grad``."""
    value, pull = _vjp(function, point, create_graph=True)
    if value.ndim:
        raise RuntimeError(f"the value must be one number, got {tuple(value.shape)}")
    return pull(torch.ones_like(value))


def pulled_back(end: Tensor, start: Tensor, u: Tensor) -> Tensor:
    """``J^T u`` through the graph from ``start`` to ``end``, which stays."""
    if not end.requires_grad:
        return torch.zeros_like(start)
    if compiler_loaded():
        (found,) = torch.autograd.grad(end, start, u, retain_graph=True, allow_unused=True)
    else:
        (found,) = _engine_run_backward(
            (end,), (u,), True, False, (start,), True, accumulate_grad=False
        )
    return torch.zeros_like(start) if found is None else found


def _vjp(
    function: Callable[..., Tensor], point: T, create_graph: bool | None = None
) -> tuple[Tensor, Callable[[Tensor], T]]:
    output, pull = torch.func.vjp(function, point)[:2]
    inside = dict(zip(pull.__code__.co_freevars, pull.__closure__ or (), strict=True))
    if not all(name in inside for name in NEEDED):  # of another torch
        return output, lambda u: pull(u, create_graph=create_graph)[0]
    starts, ends, form, shape = (inside[name].cell_contents for name in NEEDED)

    def pulled(u: Tensor) -> T:
        flat, given = tree_flatten(u)
        pairs = [(end, c) for end, c in zip(ends, flat, strict=True) if end.requires_grad]
        plain = given == form and all(
            end.shape == c.shape and end.dtype.is_complex == c.dtype.is_complex for end, c in pairs
        )
        if compiler_loaded() or torch.is_inference_mode_enabled() or not plain:
            found: T = pull(u, create_graph=create_graph)[0]
            return found
        parts: Any = [None] * len(starts)
        if pairs:  # as torch.autograd.grad, which would import sympy to compare the shapes
            parts = _engine_run_backward(
                tuple([end for end, _ in pairs]),
                tuple([c for _, c in pairs]),
                True,
                torch.is_grad_enabled() if create_graph is None else create_graph,
                tuple(starts),
                True,
                accumulate_grad=False,
            )
        both = zip(starts, parts, strict=True)
        whole = [torch.zeros_like(start) if part is None else part for start, part in both]
        (of_all,) = tree_unflatten(whole, shape)
        made: T = of_all
        return made

    return output, pulled
