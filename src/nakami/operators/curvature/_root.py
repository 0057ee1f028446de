"""The root ``A`` of a curvature matrix ``A^T A``, and its dual ``A A^T``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from ...spectra import Gram, LinearOperator
from ..autodiff._memory import give_back_memory
from ..autodiff._vmap import vmap
from ..per_example._examples import OutputRoot, Rows, slices
from ..per_example._gram import dense_gram, dense_passes
from ..per_example._independence import rows_of
from ..per_example._layer_io import modules_of
from ..per_example._layerwise_gram import LayerwiseGram
from ..per_example._norms import RowNorms, row_norms
from ..per_example._signed import SignedRoot
from ..per_example._verification import Verified, at_one_position, verified
from ._batches import Batch, current

T = TypeVar("T")


class CurvatureRoot(LinearOperator):
    """``A`` with ``F = A^T A``, ``(rows, P)``: a row for each column of the output's root.

    Rows go example by example. Positions without a target give rows of zeros.

    Args:
        parts: The batches; their matrix has a root.
        scale: What the sum of their matrices is multiplied by.

    Attributes:
        columns: The most rows of an example.
    """

    def __init__(self, parts: Sequence[Batch], scale: float):
        self.parts, self.scale = parts, scale
        at = parts[0].at
        self.dtype, self.device = at.flat.dtype, at.flat.device
        sizes = [(root.zero.numel(), root.columns) for _, root in self.pairs()]
        self.sizes, self.columns = [n for n, _ in sizes], max(c for _, c in sizes)
        self.alike = all(c == self.columns for _, c in sizes)
        self.shape = (sum(self.sizes), at.flat.numel())

    def at_current_weights(self) -> CurvatureRoot:
        """The root for the same data, and the model and the loss as they are now."""
        return CurvatureRoot(current(self.parts), self.scale)

    def rows(self) -> Iterator[Rows]:
        """What the gradients of single examples are taken by, batch by batch."""
        return ((part.examples, root) for part, root in self.pairs())

    @cached_property
    def checked(self) -> Verified | None:
        """What the layers' own formulas give; None where examples mix."""
        modules, most = modules_of(self.parts[0].at.names), self.parts[0]
        for part in self.parts:
            apart = rows_of(part.examples, modules)
            if apart is None:
                return None
            modules &= apart
            most = max(most, part, key=lambda part: part.examples.count)
        most.tried.check_gradients()
        return verified(most.examples, modules)

    @cached_property
    def single(self) -> bool:
        """Whether layers that act at one position have all parameters, before it is checked."""
        part = self.parts[0]
        return part.examples.separable and at_one_position(part.examples, modules_of(part.at.names))

    def norms(self) -> list[RowNorms] | None:
        """Squared norms of rows, batch by batch; None where examples mix.

        Of as few rows as a root of the same matrix has, one less for each softmax.
        """
        if (known := self.gram().known) is not None:
            return known.norms
        if self.checked is None:
            return None
        thin = ((examples, root.thin or root) for examples, root in self.rows())
        return self.swept([row_norms(rows, self.checked) for rows in thin])

    def swept(self, found: T) -> T:
        """What sweeps over all rows have found, once the memory they took is given back."""
        passed = self.columns * sum(part.graphs(keep=True) for part in self.parts)
        give_back_memory(self.device, passed)
        return found

    @property
    def examples(self) -> int:
        """How many there are in all batches."""
        return sum(len(part.z) for part in self.parts)

    def signed_squares(self, places: Tensor, seed: int) -> Tensor:
        """Squared norms of sums of each example's rows with signs, as ``places``, float64.

        ``places``: of each example, ``(examples, probes)``. Examples do not mix. Before the scale,
        as ``norms``. Cost: a forward pass, and a backward pass for each probe.
        """
        assert self.checked is not None
        found, generator = [], torch.Generator().manual_seed(seed)
        own = iter(places.split([len(part.z) for part in self.parts]))
        for (examples, root), here in zip(self.rows(), own, strict=True):
            signed = SignedRoot(root, generator, here)
            found.append(row_norms((examples, signed), self.checked).rows)
        return torch.cat(found)

    def pairs(self) -> Iterator[tuple[Batch, OutputRoot]]:
        """The batches, each with the root by its outputs."""
        for part in self.parts:
            root = part.root()
            assert root is not None  # it is asked for where there is one
            yield part, root

    @property
    def route(self) -> str:  # type: ignore[override]
        """How the products are made."""
        return f"root of {self.parts[0].kind}, {self.parts[0].derivative().route}"

    def _matmat(self, block: Tensor) -> Tensor:
        out = block.new_empty(self.shape[0], block.shape[1])
        for (part, root), rows in zip(self.pairs(), out.split(self.sizes), strict=True):
            if (moved := part.alone(block)) is not None:
                rows[:, 0] = root.down(moved.reshape(part.z.shape)).reshape(-1)
                continue
            op = part.jacobian()
            for here in slices(block.shape[1], op.chunk):
                moves = (op @ block[:, here]).T.reshape(-1, *part.z.shape)
                rows[:, here] = vmap(root.down)(moves).flatten(1).T
        return out.mul_(self.scale**0.5)

    def _rmatmat(self, block: Tensor) -> Tensor:
        out = block.new_zeros(self.shape[1], block.shape[1])
        for (part, root), rows in zip(self.pairs(), block.split(self.sizes), strict=True):
            op = part.jacobian()
            for here in slices(block.shape[1], op.chunk):
                units = rows[:, here].T.reshape(-1, *root.zero.shape)
                out[:, here] += op.T @ vmap(root.up)(units).flatten(1).T
        return out.mul_(self.scale**0.5)

    def gram(self) -> RootGram:
        """``A A^T``, whose entries are cheap; the same object each time."""
        return self._gram

    @cached_property
    def _gram(self) -> RootGram:
        return RootGram(self)


class RootGram(Gram):
    """``A A^T`` for the root ``A`` of a curvature matrix; made by ``op.kernel``.

    ``dense()`` takes a backward pass over the data for each column of an example, and then, layer
    by layer, ``(delta_s . delta_t)(a_s . a_t + 1)``; gradients of a sample are formed, a block of
    rows at a time, only where a layer acts at many positions or has no formula. Where the budget
    does not hold the layers' gradients for all rows, or examples mix, it takes a product for each.
    Products of a network of linear layers at one position go without the network, see
    ``LayerwiseGram``.

    Source: Karakida, Akaho & Amari, AISTATS 2019, the matrix F*.
    """

    base: CurvatureRoot

    def at_current_weights(self) -> RootGram:
        """The same matrix of the same data, for the model and the loss as they are now."""
        return self.base.at_current_weights().gram()

    @property
    def stored(self) -> bool:  # type: ignore[override]
        """Whether ``dense`` costs no products."""
        return self._checked is not None

    @property
    def entries_cost(self) -> int:  # type: ignore[override]
        """Two backward passes take about a product's time."""
        if self._checked is None:
            return 0
        return dense_passes(list(self.base.rows()), self._checked) // 2

    def dense(self) -> Tensor:
        """The whole matrix, ``(rows, rows)``."""
        if self._checked is None:
            return super().dense()
        return dense_gram(list(self.base.rows()), self._checked).mul_(self.base.scale)

    @cached_property
    def layerwise(self) -> LayerwiseGram | None:
        """Products without the network, where every layer acts at one position; held from then on.

        None where some layer does not, and where the budget does not hold what it takes.
        """
        if not self.base.single or self._checked is None or self._checked.formed:
            return None
        return self.base.swept(LayerwiseGram(self.base.rows(), self._checked))

    @property
    def known(self) -> LayerwiseGram | None:
        """``layerwise`` where products have been made with it."""
        return self.layerwise if "layerwise" in self.__dict__ else None

    @property
    def by_halves(self) -> bool:  # type: ignore[override]
        """Whether a product goes through the network, down and up again."""
        return self.layerwise is None

    @property
    def root(self) -> LinearOperator:
        """``A^T``, from what the products are made of."""
        return self.base.T if self.layerwise is None else _Lift(self.base, self.layerwise)

    def _matmat(self, block: Tensor) -> Tensor:
        if self.layerwise is None:
            return super()._matmat(block)
        return (self.layerwise @ block).mul_(self.base.scale)

    _rmatmat = _matmat

    @cached_property
    def _checked(self) -> Verified | None:
        """What the layers' formulas give, None where products are the only way."""
        checked = self.base.checked if self.base.alike else None
        if checked is None:
            return None
        held = self.shape[0] * checked.width * self.dtype.itemsize
        return checked if held <= self.base.parts[0].examples.budget else None


class _Lift(LinearOperator):
    """``A^T``, ``(P, rows)``, without the network."""

    def __init__(self, base: CurvatureRoot, layers: LayerwiseGram):
        self.base, self.layers = base, layers
        self.shape = base.shape[::-1]
        self.dtype, self.device, self.route = base.dtype, base.device, "layer by layer"

    def _matmat(self, block: Tensor) -> Tensor:
        names = self.base.parts[0].at.names
        return self.layers.lifted(block, names).mul_(self.base.scale**0.5)

    def _rmatmat(self, block: Tensor) -> Tensor:
        return self.base @ block
