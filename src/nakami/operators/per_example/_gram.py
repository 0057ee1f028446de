"""The root ``A`` of a curvature matrix ``A^T A``, and its dual ``A A^T``, dense layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

import torch
from torch import Tensor

from ...spectra import Gram, LinearOperator
from ..curvature._batches import Batch
from ..curvature._loss_hessian_sqrt import LossHessianSqrt
from ._layer_io import LayerIO, full_name, modules_of, sweeps
from ._layer_rules import Layer, Product
from ._layerwise_gram import LayerwiseGram
from ._norms import gradients_of_rest
from ._verification import Verified, verified

BLOCKS = 10  # of rows, so that the half below the diagonal is hardly computed


class CurvatureRoot(LinearOperator):
    """``A`` with ``F = A^T A``, ``(rows, P)``: a row for each column of the output's root.

    Rows go example by example. Positions without a target give rows of zeros.
    """

    def __init__(self, parts: Sequence[Batch], kind: str, scale: float, name: str):
        self.parts, self.kind, self.scale, self.name = parts, kind, scale**0.5, name
        first = parts[0]
        self.dtype, self.device = first.dtype, first.device
        self.sizes = [root.zero.numel() for _, root in self.pairs()]
        self.shape = (sum(self.sizes), first.n_parameters)

    def at_current_weights(self) -> CurvatureRoot:
        """The root for the same data, and the model and the loss as they are now."""
        now, judged = self.parts[0].at.current(), self.parts[0].judged.current()
        parts = [part.moved(now, judged) for part in self.parts]
        return CurvatureRoot(parts, self.kind, self.scale**2, self.name)

    def pairs(self) -> Iterator[tuple[Batch, LossHessianSqrt]]:
        """The batches, each with the root by its outputs."""
        return ((part, _root(part, self.kind)) for part in self.parts)

    @property
    def route(self) -> str:  # type: ignore[override]
        """How the products are made."""
        return f"root of {self.name}, {self.parts[0].route(self.kind)}"

    def _matmat(self, block: Tensor) -> Tensor:
        out = block.new_empty(self.shape[0], block.shape[1])
        for (part, root), rows in zip(self.pairs(), out.split(self.sizes), strict=True):
            op = part.jacobian()
            for at in range(0, block.shape[1], op.chunk):
                here = slice(at, at + op.chunk)
                moves = (op @ block[:, here]).T.reshape(-1, *part.z.shape)
                rows[:, here] = torch.vmap(root.down)(moves).flatten(1).T
        return out.mul_(self.scale)

    def _rmatmat(self, block: Tensor) -> Tensor:
        out = block.new_zeros(self.shape[1], block.shape[1])
        for (part, root), rows in zip(self.pairs(), block.split(self.sizes), strict=True):
            op = part.jacobian()
            for at in range(0, block.shape[1], op.chunk):
                here = slice(at, at + op.chunk)
                units = rows[:, here].T.reshape(-1, *root.zero.shape)
                out[:, here] += op.T @ torch.vmap(root.up)(units).flatten(1).T
        return out.mul_(self.scale)

    def gram(self) -> RootGram:
        """``A A^T``, whose entries are cheap; the same object each time."""
        return self._kernel

    @cached_property
    def _kernel(self) -> RootGram:
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

    def dense(self) -> Tensor:
        """The whole matrix, ``(rows, rows)``."""
        if self._checked is None:
            return super().dense()
        found, own = _Dense(self.base, self._checked), self._checked.own
        for name, read in found.layers.items():
            wanted = [k for k in ("weight", "bias") if full_name(name, k) in own]
            if read[0].single:
                found.add_products(name, wanted)
            else:
                for part in wanted:
                    found.add_formed(name, part)
        for name in self.base.parts[0].names:
            if name not in own:
                found.add_rest(name)
        return found.mirrored().mul_(self.base.scale**2)

    @cached_property
    def layerwise(self) -> LayerwiseGram | None:
        """Products without the network, where every layer acts at one position; held from then on.

        None where some layer does not, and where the budget does not hold what it takes.
        """
        checked = self._checked
        if checked is None or checked.formed:
            return None
        return LayerwiseGram(self.base.pairs(), checked)

    def _matmat(self, block: Tensor) -> Tensor:
        if self.layerwise is None:
            return super()._matmat(block)
        return (self.layerwise @ block).mul_(self.base.scale**2)

    _rmatmat = _matmat

    @property
    def known(self) -> LayerwiseGram | None:
        """``layerwise`` where products have been made with it."""
        return self.layerwise if "layerwise" in self.__dict__ else None

    @property
    def root(self) -> LinearOperator:
        """``A^T``, from what the products are made of."""
        return self.base.T if self.layerwise is None else _Lift(self.base, self.layerwise)

    @cached_property
    def _checked(self) -> Verified | None:
        """What the layers' formulas give, None where products are the only way."""
        first, columns = self.base.parts[0], {root.columns for _, root in self.base.pairs()}
        if len(columns) > 1 or first.mixes():
            return None
        checked = verified(first)
        held = self.shape[0] * checked.width * self.dtype.itemsize
        return checked if held <= first.budget else None


class _Lift(LinearOperator):
    """``A^T``, ``(P, rows)``, without the network."""

    def __init__(self, base: CurvatureRoot, layers: LayerwiseGram):
        self.base, self.layers = base, layers
        self.shape = base.shape[::-1]
        self.dtype, self.device, self.route = base.dtype, base.device, "layer by layer"

    def _matmat(self, block: Tensor) -> Tensor:
        return self.layers.lifted(block, self.base.parts[0].names).mul_(self.base.scale)

    def _rmatmat(self, block: Tensor) -> Tensor:
        return self.base @ block


class _Dense:
    """The matrix as it grows, above its diagonal; rows go example by example.

    Attributes:
        layers: What was captured of each layer, chunk by chunk of examples.
        slopes: Gradients by its outputs, ``(n, columns, ...)``, likewise.
    """

    def __init__(self, base: CurvatureRoot, checked: Verified):
        self.checked, first = checked, base.parts[0]
        self.columns = next(root.columns for _, root in base.pairs())
        self.room = max(1, first.budget // 4 // first.point.itemsize)  # cells of a block
        self.matrix = first.point.new_zeros(base.shape[0], base.shape[0])
        self.layers: dict[str, list[Layer]] = {}
        self.slopes: dict[str, list[Tensor]] = {}
        self.chunks: list[tuple[Batch, slice, Tensor]] = []  # with the root's columns
        self.rows: list[slice] = []
        width = max(1, self.room // max(1, self.columns * self.checked.formed))
        for part, root in base.pairs():
            every = torch.stack(list(root.each()), 1)  # (n, columns, ...)
            every_column = partial(every.unbind, 1)
            for here, run, columns in sweeps(part, every_column, modules_of(checked.own), width):
                self._keep(part, here, run, list(columns), every[here])

    def _keep(
        self, part: Batch, here: slice, run: LayerIO, each: list[dict[str, Tensor]], every: Tensor
    ) -> None:
        done = self.rows[-1].stop if self.rows else 0
        for name in each[0]:
            self.layers.setdefault(name, []).append(run.layers[name])
            self.slopes.setdefault(name, []).append(torch.stack([s[name] for s in each], 1))
        self.chunks.append((part, here, every))
        self.rows.append(slice(done, done + run.n * self.columns))

    def add_products(self, name: str, wanted: list[str]) -> None:
        """A linear layer at one position: products of slopes times products of inputs."""
        inputs = [
            layer.inputs[:, 0, 0] for layer in self.layers[name] if isinstance(layer, Product)
        ]
        a = torch.cat(inputs)
        delta = torch.cat([slopes.flatten(2) for slopes in self.slopes[name]])
        n, c = delta.shape[:2]
        width = max(1, min(self.room // (c * n * c), -(-n // BLOCKS)))
        for at in range(0, n, width):
            here = slice(at, min(n, at + width))
            count = here.stop - at
            alike = a.new_full((count, n - at), float("bias" in wanted))
            if "weight" in wanted:
                alike += a[here] @ a[at:].T
            block = delta[here].flatten(0, 1) @ delta[at:].flatten(0, 1).T
            block.view(count, c, n - at, c).mul_(alike[:, None, :, None])
            self.matrix[at * c : here.stop * c, at * c :] += block

    def add_formed(self, name: str, part: str) -> None:
        """Another layer: the gradients of each example by one weight, formed."""

        def rows(i: int) -> Tensor:
            layer, slopes = self.layers[name][i], self.slopes[name][i]
            each = [layer.gradients(slope)[part].flatten(1) for slope in slopes.unbind(1)]
            return torch.stack(each, 1).flatten(0, 1)

        self._add(rows)

    def add_rest(self, name: str) -> None:
        """A parameter that no layer's formula covers."""
        full = f"model.{name}"

        def rows(i: int) -> Tensor:
            part, here, every = self.chunks[i]
            rest = {full: part.weights[full]}
            return gradients_of_rest(part, here, every, rest, torch.flatten)[full].flatten(0, 1)

        self._add(rows)

    def mirrored(self) -> Tensor:
        """The whole of it, in place."""
        width = max(1, self.room // len(self.matrix))
        for at in range(0, len(self.matrix), width):
            here, below = slice(at, at + width), slice(at + width, None)
            corner = self.matrix[here, here].triu()
            self.matrix[here, here] = corner + corner.triu(1).T
            self.matrix[below, here] = self.matrix[here, below].T
        return self.matrix

    def _add(self, rows: Callable[[int], Tensor]) -> None:
        for i, here in enumerate(self.rows):
            one = rows(i)
            for j in range(i, len(self.rows)):
                self.matrix[here, self.rows[j]] += one @ (one if i == j else rows(j)).T


def _root(part: Batch, kind: str) -> LossHessianSqrt:
    root = part.root(kind)
    assert root is not None  # it is asked for where there is one
    return root
