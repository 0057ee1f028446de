"""Tensor networks: does it pay that only the symmetric part of each slice matters?

    OMP_NUM_THREADS=1 python benchmarks/tensor_merges.py

``u^T V u`` with ``u`` of 50 values is a product with the symmetric part of ``V`` alone. Four ways
to compute it for 25 units, at the 17 heights of 25 sentences of the sentiment treebank (458 merges,
118 at the first height, 1 at the last), with gradients of ``u`` and ``V``:

* ``slopes``: ``V u`` and its product with ``u``, as ``zoo.recursive`` does, three products of
  ``4 d^2`` a unit;
* ``packed``: the 1,275 products ``u_i u_j`` of ``i <= j`` in one product with the packed
  ``V + V^T``, ``d (2 d + 1)`` a unit;
* ``symmetric slopes``: as the first, with ``V + V^T``, whose slopes are the gradient, so that one
  of three products is saved;
* ``blocks``: the first with both blocks between the children added up, ``3 d^2`` a unit.

Each way in processes of its own, in turns; the median counts. All are compared with the first in
float64, values and gradients, to 1e-10.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from _side_by_side import apart, cpu_seconds, keep, middle, table
from torch import Tensor
from torch.nn import functional as F

D, ROUNDS, REPEATS = 25, 5, 40
HEIGHTS = (118, 78, 51, 43, 35, 28, 24, 20, 18, 15, 12, 7, 3, 2, 2, 1, 1)
ROW, COLUMN = torch.triu_indices(2 * D, 2 * D)
PLACE = torch.zeros(2 * D, 2 * D, dtype=torch.long)
PLACE[ROW, COLUMN] = PLACE[COLUMN, ROW] = torch.arange(len(ROW))
Merge = Callable[[Tensor], Tensor]


def slopes(v: Tensor) -> Merge:
    rows = v.flatten(0, 1)

    def merge(u: Tensor) -> Tensor:
        return (F.linear(u, rows).unflatten(1, (D, 2 * D)) * u[:, None]).sum(2)

    return merge


class _Pack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        packed = (v + v.transpose(1, 2)).flatten(1)[:, ROW * 2 * D + COLUMN]
        packed[:, ROW == COLUMN] /= 2
        return packed

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.index_select(1, PLACE.flatten()).view(D, 2 * D, 2 * D)


class _Packed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, packed: Tensor) -> Tensor:
        outer = u.index_select(1, ROW) * u.index_select(1, COLUMN)
        ctx.save_for_backward(u, packed, outer)
        return outer @ packed.T

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        u, packed, outer = ctx.saved_tensors
        whole = (grad @ packed).index_select(1, PLACE.flatten()).view(len(u), 2 * D, 2 * D)
        twice = whole.diagonal(dim1=1, dim2=2) * u
        return (whole @ u[:, :, None])[:, :, 0] + twice, grad.T @ outer


def packed(v: Tensor) -> Merge:
    once = _Pack.apply(v)
    return lambda u: _Packed.apply(u, once)


class _Symmetric(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, rows: Tensor) -> Tensor:
        slope = F.linear(u, rows).unflatten(1, (D, 2 * D))
        ctx.save_for_backward(u, slope)
        return (slope * u[:, None]).sum(2) / 2

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        u, slope = ctx.saved_tensors
        outer = ((grad / 2)[:, :, None] * u[:, None]).flatten(1)
        return (slope * grad[:, :, None]).sum(1), outer.T @ u


def symmetric_slopes(v: Tensor) -> Merge:
    rows = (v + v.transpose(1, 2)).flatten(0, 1)
    return lambda u: _Symmetric.apply(u, rows)


def blocks(v: Tensor) -> Merge:
    between = v[:, :D, D:] + v[:, D:, :D].transpose(1, 2)
    left, right = torch.cat([v[:, :D, :D], between], 2).flatten(0, 1), v[:, D:, D:].flatten(0, 1)

    def merge(u: Tensor) -> Tensor:
        b, c = u[:, :D], u[:, D:]
        one = (F.linear(u, left).unflatten(1, (D, D)) * b[:, None]).sum(2)
        return one + (F.linear(c, right).unflatten(1, (D, D)) * c[:, None]).sum(2)

    return merge


WAYS = {
    "slopes": slopes, "packed": packed, "symmetric slopes": symmetric_slopes, "blocks": blocks,
}  # fmt: skip


def parts(dtype: torch.dtype) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    g = torch.Generator().manual_seed(0)
    v = 0.01 * torch.randn(D, 2 * D, 2 * D, generator=g, dtype=dtype)
    us = [torch.randn(n, 2 * D, generator=g, dtype=dtype) for n in HEIGHTS]
    return v, us, [torch.randn(n, D, generator=g, dtype=dtype) for n in HEIGHTS]


def work(way: str, v: Tensor, us: list[Tensor], grads: list[Tensor]) -> list[Tensor]:
    """Values of all heights, then the gradients."""
    leaves = [v.requires_grad_(), *(u.requires_grad_() for u in us)]
    merge = WAYS[way](v)
    values = [merge(u) for u in us]
    return [*values, *torch.autograd.grad(values, leaves, grads)]


def child(way: str) -> dict[str, float]:
    torch.set_num_threads(1)
    exact = parts(torch.float64)
    for ours, theirs in zip(work(way, *exact), work("slopes", *exact), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    given = parts(torch.float32)
    work(way, *given)
    runs = [cpu_seconds(lambda: work(way, *given))[0] for _ in range(REPEATS)]
    return {"cpu_s": round(statistics.median(runs), 6)}


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(child(**json.loads(sys.argv[2]))))
        return
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way in WAYS:
            runs[way].append(apart(__file__, way=way))
    rows = [middle(of, "cpu_s") for of in runs.values()]
    shown = [
        [r["way"], f"{1000 * r['cpu_s']:.1f}",
         f"{1000 * min(r['all_cpu_s']):.1f} to {1000 * max(r['all_cpu_s']):.1f}"]
        for r in rows
    ]  # fmt: skip
    keep(
        "tensor_merges",
        rows,
        table(["458 tensor merges with gradients", "ms", "all rounds"], shown),
    )


if __name__ == "__main__":
    main()
