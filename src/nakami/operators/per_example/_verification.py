"""Which weights' gradients the formulas of layers give, tried against reverse mode."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..autodiff._strategies import reverse_product
from ..model._checks import FAILURES
from ..model._parameters import Parameters, as_real
from ._examples import Examples
from ._layer_io import LayerIO

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


def verified(examples: Examples, modules: Collection[str]) -> Verified:
    """Tried on a few examples against reverse mode of each alone.

    A weight that is tied, used twice, or in a function as well is seen by that; ``modules`` are
    those whose rows are the examples, see ``rows_of``.
    """
    at, z, n = examples.at, examples.z, min(TRIED, len(examples.z))
    counts = (as_real(w).numel() for w in at.weights.values())
    sizes = dict(zip(at.names, counts, strict=True))
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(z[:n].shape, generator=generator, dtype=torch.float64).to(z)
    try:
        run = LayerIO(at.network, examples.example.rows(0, n).tree, n, modules)
        found = run.squares(run.slopes(draw))
    except FAILURES:
        return Verified(frozenset(), 0, 0, max(sizes.values()))
    wanted = {k: z.new_zeros(n) for k in at.names}
    for i in range(n):
        (each,) = gradients_of_one(examples, i, at, [draw[i]])
        for name, g in zip(at.names, each.values(), strict=True):
            wanted[name][i] = as_real(g).square().sum()
    most = float(max(w.max() for w in wanted.values()))
    near = torch.finfo(z.dtype).eps ** 0.5

    def same(name: str) -> bool:
        gap = (found[name] - wanted[name]).abs()
        return bool((gap <= near * wanted[name] + near**2 * most).all())

    own = frozenset(k for k in at.names if k in found and same(k))
    single = own & run.single
    formed = max((size for k, size in sizes.items() if k not in single), default=0)
    cells = sum(layer.cells for layer in run.layers.values())
    return Verified(own, cells, run.width, formed)


def at_one_position(examples: Examples, modules: Collection[str]) -> bool:
    """Whether all parameters are those of layers that act at one position, by their looks.

    Cost: a forward pass of a few examples.
    """
    at, n = examples.at, min(TRIED, len(examples.z))
    try:
        run = LayerIO(at.network, examples.example.rows(0, n).tree, n, modules)
    except FAILURES:
        return False
    return set(at.names) <= run.single


def gradients_of_one(
    examples: Examples, i: int, by: Parameters, cotangents: Iterable[Tensor]
) -> list[dict[str, Tensor]]:
    """Gradients of ``<cotangent, output>`` of example ``i`` alone, for each, by full name."""
    tree = examples.example.rows(i, i + 1).tree
    pull = reverse_product(lambda flat: by.outputs(tree, flat).reshape(-1), by.flat, by.held)[1]
    return [by.split(pull(cotangent.reshape(-1))) for cotangent in cotangents]
