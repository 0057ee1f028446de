"""Which weights' gradients the formulas of layers give, tried against reverse mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..autodiff._strategies import FAILURES, reverse_product
from ..curvature._batches import Batch
from ..model._functional_model import named_parts
from ._layer_io import LayerIO, modules_of

TRIED = 2  # examples


@dataclass(frozen=True)
class Verified:
    """What may be left to the layers' own formulas.

    Attributes:
        own: Parameters whose gradients they give.
        cells: Numbers that the layers hold for each example.
        width: Numbers that they put out for each example.
        formed: Size of the largest gradient that has to be formed for products of rows.
    """

    own: frozenset[str]
    cells: int
    width: int
    formed: int


def verified(batch: Batch) -> Verified:
    """Tried on a few examples against reverse mode of each alone.

    A weight that is tied, used twice, or in a function as well, or a layer whose first axis is not
    the examples, is seen by that.
    """
    batch.check_derivative()
    n = min(TRIED, len(batch.z))
    sizes = dict(zip(batch.names, (w.numel() for w in batch.weights.values()), strict=True))
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(batch.z[:n].shape, generator=generator, dtype=torch.float64).to(batch.z)
    try:
        run = LayerIO(batch.network, batch.example.rows(0, n).tree, n, modules_of(batch.names))
        found = run.squares(run.slopes(draw))
    except FAILURES:
        return Verified(frozenset(), 0, 0, max(sizes.values()))
    wanted = {k: torch.zeros(n).to(batch.z) for k in batch.names}
    for i in range(n):
        (each,) = gradients_of_one(batch, i, batch.weights, [draw[i]])
        for name, g in zip(batch.names, each.values(), strict=True):
            wanted[name][i] = g.square().sum()
    most = float(max(w.max() for w in wanted.values()))
    near = torch.finfo(batch.z.dtype).eps ** 0.5

    def same(name: str) -> bool:
        gap = (found[name] - wanted[name]).abs()
        return bool((gap <= near * wanted[name] + near**2 * most).all())

    own = frozenset(k for k in batch.names if k in found and same(k))
    single = {k for k in own if run.layers[k.rpartition(".")[0]].single}
    formed = max((size for k, size in sizes.items() if k not in single), default=0)
    cells = sum(layer.cells for layer in run.layers.values())
    return Verified(own, cells, run.width, formed)


def gradients_of_one(
    batch: Batch, i: int, weights: Mapping[str, Tensor], cotangents: Iterable[Tensor]
) -> list[dict[str, Tensor]]:
    """Gradients of ``<cotangent, output>`` of example ``i`` alone, for each, by some weights."""
    tree = batch.example.rows(i, i + 1).tree

    def outputs(flat: Tensor) -> Tensor:
        return batch.network.run(tree, named_parts(flat, weights)).reshape(-1)

    point = torch.cat([w.reshape(-1) for w in weights.values()])
    pull = reverse_product(outputs, point, partial(batch.network.run_in_at, weights))[1]
    return [named_parts(pull(cotangent.reshape(-1)), weights) for cotangent in cotangents]
