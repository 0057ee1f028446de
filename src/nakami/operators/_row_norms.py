"""Squared norms of the rows of a curvature matrix's root, without the rows: its exact trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._batches import Batch
from ._captured import Captured
from ._root import OutputRoot
from ._routes import FAILURES

TRIED = 2  # examples on which the layers' own formulas are held against reverse mode


@dataclass(frozen=True)
class RowNorms:
    """Squared norms of the rows, before any scale.

    Attributes:
        rows: ``(n, columns)`` float64 of the batch, summed over parameters.
        by_parameter: Sums over all rows, by parameter.
        captured: Parameters whose gradients were never formed.
    """

    rows: Tensor
    by_parameter: dict[str, float]
    captured: tuple[str, ...]


def row_norms(batch: Batch, root: OutputRoot, own: frozenset[str], cells: int) -> RowNorms:
    """All rows of a batch whose examples do not mix; ``own`` and ``cells`` from ``trusted``.

    Cost: one backward pass over the batch for each column of an example.
    """
    rest = {k: w for k, w in batch.weights.items() if k.removeprefix("model.") not in own}
    n, columns = len(batch.z), root.columns
    rows = torch.zeros(n, columns, dtype=torch.float64, device=batch.device)
    sums = dict.fromkeys(batch.names, 0.0)
    at_once = max(1, batch.budget // 2 // (batch.each + cells * batch.point.itemsize))
    modules = {name.rpartition(".")[0] for name in own}
    for at in range(0, n, at_once) if own else ():
        here = slice(at, min(n, at + at_once))
        count = here.stop - at
        run = Captured(batch.network, batch.example.rows(at, here.stop).tree, count, modules)
        for c, cotangent in enumerate(root.each()):
            for name, squares in run.squares(cotangent[here]).items():
                if name in own:
                    rows[here, c] += squares
                    sums[name] += float(squares.double().sum())
    if rest:
        _add_rest(batch, root, rest, rows, sums)
    return RowNorms(rows, sums, tuple(name for name in batch.names if name in own))


def trusted(batch: Batch) -> tuple[frozenset[str], int]:
    """Parameters whose gradients the layers' own formulas give, and cells held for each example.

    Tried on a few examples against reverse mode of each alone: a weight that is tied, used twice or
    in a function as well, or a layer whose first axis is not the examples, is seen by that.
    """
    n = min(TRIED, len(batch.z))
    modules = {name.rpartition(".")[0] for name in batch.names}
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(batch.z[:n].shape, generator=generator, dtype=torch.float64).to(batch.z)
    try:
        run = Captured(batch.network, batch.example.rows(0, n).tree, n, modules)
        found = run.squares(draw)
    except FAILURES:
        return frozenset(), 0
    wanted = {k: torch.zeros(n).to(batch.z) for k in batch.names}
    for i in range(n):
        for name, g in zip(batch.names, _gradients(batch, i, draw[i : i + 1]), strict=True):
            wanted[name][i] = g.square().sum() if g is not None else 0.0
    most = float(max(w.max() for w in wanted.values()))
    near = torch.finfo(batch.z.dtype).eps ** 0.5

    def same(name: str) -> bool:
        gap = (found[name] - wanted[name]).abs()
        return bool((gap <= near * wanted[name] + near**2 * most).all())

    own = frozenset(k for k in batch.names if k in found and same(k))
    return own, sum(layer.cells for layer in run.layers.values())


def _gradients(batch: Batch, i: int, cotangent: Tensor) -> Sequence[Tensor | None]:
    """Gradients of ``<cotangent, output>`` of one example by all parameters."""
    with torch.enable_grad():
        moving = {k: w.detach().requires_grad_() for k, w in batch.weights.items()}
        out = batch.network.run(batch.example.rows(i, i + 1).tree, moving)
        if not out.requires_grad:
            return [None] * len(moving)
        return torch.autograd.grad(out, list(moving.values()), cotangent, allow_unused=True)


def _add_rest(
    batch: Batch, root: OutputRoot, rest: dict[str, Tensor], rows: Tensor, sums: dict[str, float]
) -> None:
    """The share of parameters that no formula covers: gradients of each example, formed."""
    cells = batch.each + 4 * sum(w.numel() for w in rest.values()) * batch.point.itemsize
    cells += root.columns * batch.z[0].numel() * batch.z.itemsize
    at_once = max(1, batch.budget // 2 // cells)
    n = len(batch.z)
    for at in range(0, n, at_once):
        here = slice(at, min(n, at + at_once))
        cotangents = torch.stack([c[here] for c in root.each()], 1)  # (examples, columns, ...)
        for name, squares in _squares(batch, here, cotangents, rest).items():
            rows[here] += squares
            sums[name.removeprefix("model.")] += float(squares.double().sum())


def _squares(
    batch: Batch, here: slice, cotangents: Tensor, rest: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Squared norms of some examples' gradients by some weights, ``(examples, columns)``."""

    def one(leaves: tuple[Tensor, ...], across: Tensor) -> dict[str, Tensor]:
        tree = batch.example.filled([leaf[None] for leaf in leaves])
        pull = torch.func.vjp(lambda w: batch.network.run(tree, w), rest)[1]
        each = [{k: g.square().sum() for k, g in pull(c[None])[0].items()} for c in across]
        return {k: torch.stack([row[k] for row in each]) for k in rest}

    leaves = tuple(leaf[here] for leaf in batch.example.leaves)
    try:
        found: dict[str, Tensor] = torch.vmap(one)(leaves, cotangents)
    except FAILURES:  # what torch cannot batch goes example by example
        single = [
            one(tuple(leaf[i] for leaf in leaves), cotangents[i]) for i in range(len(cotangents))
        ]
        found = {k: torch.stack([row[k] for row in single]) for k in rest}
    return found
