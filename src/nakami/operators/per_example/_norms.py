"""Squared norms of the rows of a curvature matrix's root, without the rows: its exact trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..autodiff._strategies import FAILURES
from ..curvature._batches import Batch
from ..curvature._loss_hessian_sqrt import LossHessianSqrt
from ._layer_io import LayerIO, modules_of, sweeps
from ._verification import Verified, gradients_of_one

Keep = Callable[[slice, LayerIO, int, dict[str, Tensor]], None]  # examples, run, column, slopes


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


def row_norms(
    batch: Batch, root: LossHessianSqrt, checked: Verified, keep: Keep | None = None
) -> RowNorms:
    """All rows of a batch whose examples do not mix; ``keep`` sees the slopes as they come.

    Cost: one backward pass over the batch for each column of an example.
    """
    own = checked.own
    rest = {k: w for k, w in batch.weights.items() if k.removeprefix("model.") not in own}
    rows = torch.zeros(len(batch.z), root.columns, dtype=torch.float64, device=batch.device)
    sums = dict.fromkeys(batch.names, 0.0)
    chunk = batch.budget // 2 // (batch.each + checked.cells * batch.point.itemsize)
    for here, run, columns in sweeps(batch, root.each, modules_of(own), chunk) if own else ():
        for c, slopes in enumerate(columns):
            for name, squares in run.squares(slopes).items():
                if name in own:
                    rows[here, c] += squares
                    sums[name] += float(squares.double().sum())
            if keep is not None:
                keep(here, run, c, slopes)
    if rest:
        _add_rest(batch, root, rest, rows, sums)
    return RowNorms(rows, sums, tuple(name for name in batch.names if name in own))


def _add_rest(
    batch: Batch,
    root: LossHessianSqrt,
    rest: dict[str, Tensor],
    rows: Tensor,
    sums: dict[str, float],
) -> None:
    """The share of parameters that no formula covers: gradients of each example, formed."""
    cells = batch.each + 4 * sum(w.numel() for w in rest.values()) * batch.point.itemsize
    cells += root.columns * batch.z[0].numel() * batch.z.itemsize
    at_once = max(1, batch.budget // 2 // cells)
    n = len(batch.z)
    for at in range(0, n, at_once):
        here = slice(at, min(n, at + at_once))
        cotangents = torch.stack([c[here] for c in root.each()], 1)  # (examples, columns, ...)
        found = gradients_of_rest(batch, here, cotangents, rest, lambda g: g.square().sum())
        for name, squares in found.items():
            rows[here] += squares
            sums[name.removeprefix("model.")] += float(squares.double().sum())


def gradients_of_rest(
    batch: Batch,
    here: slice,
    cotangents: Tensor,
    rest: dict[str, Tensor],
    reduce: Callable[[Tensor], Tensor],
) -> dict[str, Tensor]:
    """``reduce`` of the gradients of some examples by some weights, ``(examples, columns, ...)``.

    ``cotangents`` are ``(examples, columns, ...)`` like the outputs.
    """

    def pulled(leaves: tuple[Tensor, ...]) -> Callable[[Tensor], dict[str, Tensor]]:
        tree = batch.example.filled([leaf[None] for leaf in leaves])
        pull = torch.func.vjp(lambda w: batch.network.run(tree, w), rest)[1]
        return lambda c: {k: reduce(g) for k, g in pull(c[None])[0].items()}

    def one(leaves: tuple[Tensor, ...], across: Tensor) -> dict[str, Tensor]:
        pull = pulled(leaves)
        each = [pull(c) for c in across]
        return {k: torch.stack([row[k] for row in each]) for k in rest}

    leaves = tuple(leaf[here] for leaf in batch.example.leaves)
    try:
        found: dict[str, Tensor] = torch.vmap(one)(leaves, cotangents)
    except FAILURES:  # what torch cannot batch goes example by example
        each = [
            _of_one(batch, here.start + i, across, rest, reduce, pulled)
            for i, across in enumerate(cotangents)
        ]
        found = {k: torch.stack([row[k] for row in each]) for k in rest}
    return found


def _of_one(
    batch: Batch,
    i: int,
    across: Tensor,
    rest: dict[str, Tensor],
    reduce: Callable[[Tensor], Tensor],
    pulled: Callable[[tuple[Tensor, ...]], Callable[[Tensor], dict[str, Tensor]]],
) -> dict[str, Tensor]:
    """The same for one example, ``(columns, ...)``: all columns at once, or each alone."""
    try:
        pull = pulled(tuple(leaf[i] for leaf in batch.example.leaves))
        found: dict[str, Tensor] = torch.vmap(pull)(across)
    except FAILURES:
        each = gradients_of_one(batch, i, rest, across)
        found = {k: torch.stack([reduce(g[k]) for g in each]) for k in rest}
    return found
