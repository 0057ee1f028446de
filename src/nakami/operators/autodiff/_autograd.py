"""Products by ``torch.autograd.grad``, for what ``torch.func`` cannot transform."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from ...results import UsageError
from ._vmap import silence

PLAIN = "plain autograd"
_ONCE = "its gradient cannot be differentiated again"
_LOST = (
    "None of the inputs have requires_grad"  # a reentrant checkpoint drops its weights' gradient
)


class Held(Protocol):
    """Runs something while the network is still and holds the weights that belong to a point."""

    def __call__(self, point: Tensor, act: Callable[[], Tensor]) -> Tensor:
        """What ``act`` returns."""


class PlainProduct:
    """``u -> A^T u`` by reverse mode through a graph that is kept, from ``start`` to ``end``.

    One column at a time, or a block at once where torch batches every step and the two agree. The
    network is held still meanwhile, at ``point``, for a custom ``backward`` may run parts of it
    again (checkpoints do): otherwise in training mode, with other weights, writing to its buffers.

    Attributes:
        together: Whether blocks go at once.
    """

    def __init__(self, point: Tensor, start: Tensor, end: Tensor, held: Held):
        if not end.requires_grad:
            raise RuntimeError("no gradient passes")
        self.point, self.start, self.end, self.held = point, start, end, held
        self._leaves = _leaves(end)
        generator = torch.Generator().manual_seed(0)
        pair = torch.randn(2, end.numel(), generator=generator, dtype=torch.float64).to(end)
        each = torch.stack([self(u) for u in pair])
        self.together = self._agrees(pair, each)

    def __call__(self, u: Tensor) -> Tensor:
        """``A^T u`` for one vector."""
        return self._run(self._accumulated if self.start is self.point else self._grad, u)

    def columns(self, block: Tensor, chunk: int | None = None) -> Tensor:
        """``A^T`` times the columns of ``block``, ``chunk`` of them at a time where it can."""
        rows = block.T
        if self.together:
            return torch.cat([self._several(part) for part in rows.split(chunk or len(rows))]).T
        return torch.stack([self(u) for u in rows]).T

    def again(self) -> PlainProduct:
        """``v -> A v``, the reverse derivative of ``u -> A^T u``, which is linear in ``u``."""
        u = torch.zeros_like(self.end).requires_grad_()
        pulled = self._run(partial(self._grad, create_graph=True), u)
        if not pulled.requires_grad:
            raise RuntimeError(_ONCE)
        return PlainProduct(self.point, u, pulled, self.held)

    def _several(self, rows: Tensor) -> Tensor:
        silence()
        return self._run(partial(self._grad, is_grads_batched=True), rows)

    def _run(self, way: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
        try:
            return self.held(self.point, lambda: way(u))
        except UsageError:
            raise
        except Exception as error:  # a backward of the user's may raise anything
            raise _as_torch_would(error) from error

    def _grad(self, u: Tensor, **options: bool) -> Tensor:
        found: tuple[Tensor | None, ...] = torch.autograd.grad(
            self.end, self.start, u, retain_graph=True, allow_unused=True, **options
        )
        if found[0] is not None:
            return found[0]
        if self.start is not self.point:
            raise RuntimeError(_ONCE)
        return self.start.new_zeros((*u.shape[:-1], *self.start.shape))

    def _accumulated(self, u: Tensor) -> Tensor:
        """By ``backward()``: seen is what a backward adds to weights by a backward of its own.

        Also the only way through a reentrant checkpoint.
        """
        leaves = (*self._leaves, self.point)
        before = [leaf.grad for leaf in leaves]
        try:
            for leaf in leaves:
                leaf.grad = None
            torch.autograd.backward(self.end, u, retain_graph=True)
            found = self.point.grad
        finally:
            for leaf, was in zip(leaves, before, strict=True):
                leaf.grad = was
        return torch.zeros_like(self.point) if found is None else found

    def _agrees(self, pair: Tensor, each: Tensor) -> bool:
        """Whether a block at once gives the same; torch warns where it would not pay."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                both = self._several(pair)
        except RuntimeError:
            return False
        near = 1e4 * torch.finfo(each.dtype).eps * each.norm()
        return bool((both - each).norm() <= near)


def plain_product(
    function: Callable[[Tensor], Tensor], point: Tensor, held: Held
) -> tuple[Tensor, PlainProduct]:
    """The value at ``point`` and ``u -> J^T u``."""
    start = point.detach().clone().requires_grad_()
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.filterwarnings("error", _LOST, UserWarning)
            end = function(start.clone())  # a network may write to its input
    except UserWarning as lost:
        raise _as_torch_would(lost) from lost
    return end.detach(), PlainProduct(start, start, end, held)


def _leaves(end: Tensor) -> list[Tensor]:
    """The leaves of a graph, where gradients accumulate."""
    seen: set[Any] = set()
    waiting: list[Any] = [end.grad_fn]
    found: list[Tensor] = []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [before for before, _ in node.next_functions]
        if node.name() == "torch::autograd::AccumulateGrad":
            found.append(node.variable)
    return found


def _as_torch_would(error: Exception) -> Exception:
    """The error of a user's own code as one of the kinds that torch raises."""
    if isinstance(error, RuntimeError):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
