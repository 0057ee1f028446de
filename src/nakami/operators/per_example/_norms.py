"""Squared norms of the rows of a curvature matrix's root, without the rows: its exact trace."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from ..autodiff._vmap import vmap
from ..model._checks import FAILURES
from ..model._parameters import Parameters, as_real
from ..model._uncompiled import vjp
from ._examples import Examples, Rows, slices
from ._layer_io import LayerIO, modules_of, sweeps
from ._verification import Verified, gradients_of_one

FORMED = 16  # times those with a formula that parameters have to be for all to be formed
SWEEP = 128 << 20  # bytes that a sweep holds at a time on a CPU, by an estimate from above


@dataclass(frozen=True)
class RowNorms:
    """Squared norms of the rows of some examples, before any scale.

    Attributes:
        rows: ``(n, columns)`` float64, summed over parameters.
        by_parameter: Sums over all rows, by parameter.
        captured: Parameters whose gradients were never formed.
    """

    rows: Tensor
    by_parameter: dict[str, float]
    captured: tuple[str, ...]

    def add(self, name: str, here: slice | tuple[slice, int], squares: Tensor) -> None:
        """Add the share of a parameter in some rows."""
        self.rows[here] += squares
        self.by_parameter[name] += float(squares.double().sum())


def at_once(examples: Examples, each: int) -> int:
    """How many examples a sweep takes together, each of so many bytes: half the budget's.

    On a CPU no more than ``SWEEP``, from where on parts take as long; these are alike.
    """
    room, count = examples.budget // 2, len(examples.z)
    if examples.z.device.type == "cpu":
        room = min(room, SWEEP)
    return ceil(count / ceil(count / max(1, room // each)))


def no_norms(rows: Rows, checked: Verified) -> RowNorms:
    """Zeros, to which ``norm_sweeps`` adds."""
    (examples, root), names = rows, rows[0].at.names
    zeros = torch.zeros(len(examples.z), root.columns, dtype=torch.float64, device=root.zero.device)
    captured = tuple(name for name in names if name in checked.own)
    each = zip(names, examples.at.weights.values(), strict=True)
    own = sum(weight.numel() for name, weight in each if name in checked.own)
    if own * FORMED < examples.at.flat.numel():
        captured = ()  # a backward pass for them alone would cost more than it spares
    return RowNorms(zeros, dict.fromkeys(names, 0.0), captured)


def norm_sweeps(
    rows: Rows, checked: Verified, norms: RowNorms
) -> Iterator[tuple[slice, LayerIO, int, dict[str, Tensor]]]:
    """``sweeps`` over the parameters that are captured; their squares are added to ``norms``."""
    examples = rows[0]
    width = at_once(examples, examples.each + checked.cells * examples.at.flat.itemsize)
    for here, run, c, slopes in sweeps(rows, modules_of(norms.captured), width):
        for name, squares in run.squares(slopes).items():
            if name in norms.captured:
                norms.add(name, (here, c), squares)
        yield here, run, c, slopes


def row_norms(rows: Rows, checked: Verified) -> RowNorms:
    """All rows of examples that do not mix.

    Cost: one backward pass for each column of an example; two where some parameters are formed.
    """
    norms, (examples, root) = no_norms(rows, checked), rows
    if norms.captured:
        for _ in norm_sweeps(rows, checked, norms):
            pass
    rest = uncaptured(examples, norms.captured)
    if rest is not None:  # no formula covers them: gradients of each example, formed
        cells = examples.each + 4 * rest.flat.numel() * rest.flat.itemsize
        cells += root.columns * examples.z[0].numel() * examples.z.itemsize
        for here in slices(len(examples.z), at_once(examples, cells)):
            found = formed(rows, here, rest, lambda g: g.square().sum())
            for name, squares in zip(rest.names, found.values(), strict=True):
                norms.add(name, here, squares)
    return norms


def uncaptured(examples: Examples, captured: Collection[str]) -> Parameters | None:
    """The parameters other than those that layers' formulas cover."""
    at = examples.at
    names = [w for w, name in zip(at.weights, at.names, strict=True) if name not in captured]
    return Parameters(at.network, names) if names else None


def formed(
    rows: Rows, here: slice, by: Parameters, reduce: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """``reduce`` of the gradients of some examples, ``(examples, columns, ...)`` by full name.

    By complex parameters they are pairs of real numbers.

    All examples at once; where torch cannot batch that, all columns of an example, or each alone.
    """
    examples, columns = rows[0], rows[1].of(here)
    network, example = by.network, examples.example

    def pulled(leaves: tuple[Tensor, ...]) -> Callable[[Tensor], dict[str, Tensor]]:
        tree = example.filled([leaf[None] for leaf in leaves])
        pull = vjp(lambda w: network.run(tree, w), by.weights)[1]
        return lambda c: {k: reduce(as_real(g)) for k, g in pull(c[None]).items()}

    def together(leaves: tuple[Tensor, ...], across: Tensor) -> dict[str, Tensor]:
        pull = pulled(leaves)
        return _stacked([pull(c) for c in across])

    def alone(i: int, across: Tensor) -> dict[str, Tensor]:
        try:
            pull = pulled(tuple(leaf[i] for leaf in example.leaves))
            found: dict[str, Tensor] = vmap(pull)(across)
        except FAILURES:
            each = gradients_of_one(examples, i, by, across)
            found = _stacked([{k: reduce(as_real(g)) for k, g in row.items()} for row in each])
        return found

    try:
        leaves = tuple(leaf[here] for leaf in example.leaves)
        found: dict[str, Tensor] = vmap(together)(leaves, columns)
    except FAILURES:
        found = _stacked([alone(here.start + i, across) for i, across in enumerate(columns)])
    return found


def _stacked(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {k: torch.stack([row[k] for row in rows]) for k in rows[0]}
