"""The dual ``A A^T`` of a curvature matrix's root, dense, layer by layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..model._parameters import Parameters
from ._examples import Examples, Rows, slices
from ._layer_io import full_name, modules_of, sweeps
from ._layer_rules import Layer, Product
from ._norms import formed, uncaptured
from ._verification import Verified

BLOCKS = 10  # of rows, so that the half below the diagonal is hardly computed


def dense_gram(batches: list[Rows], checked: Verified) -> Tensor:
    """``A A^T`` before any scale, ``(rows, rows)``; rows go example by example."""
    found = _Dense(batches, checked)
    for name, read in found.layers.items():
        wanted = [k for k in ("weight", "bias") if full_name(name, k) in checked.own]
        if read[0].single:
            found.add_products(name, wanted)
        else:
            for part in wanted:
                found.add_formed(name, part)
    rest = uncaptured(batches[0][0], checked.own)
    if rest is not None:
        for full in rest.weights:
            found.add_rest(Parameters(rest.network, [full]))
    return found.mirrored()


def dense_passes(batches: list[Rows], checked: Verified) -> int:
    """Backward passes over the data that ``dense_gram`` takes, about.

    One for each column of an example; where no layer's formula covers a parameter as many for it
    alone, and half as many again for each further piece whose gradients are held at a time.
    """
    examples, root = batches[0]
    width = max(1, _room(examples) // max(1, root.columns * checked.formed))
    pieces = sum(-(-rows[0].count // width) for rows in batches)
    formed = len(examples.at.names) - len(checked.own)
    return root.columns * (2 + formed * (pieces + 1)) // 2


def _room(examples: Examples) -> int:
    """Cells of a block."""
    return max(1, examples.budget // 4 // examples.z.itemsize)


class _Dense:
    """The matrix as it grows, above its diagonal.

    Attributes:
        layers: What was captured of each layer, chunk by chunk of examples.
        slopes: Gradients by its outputs, ``(n, columns, ...)``, likewise.
        chunks: Which examples of which batch. rows: The rows that are theirs.
    """

    def __init__(self, batches: list[Rows], checked: Verified):
        examples, root = batches[0]
        self.columns = root.columns
        self.room = _room(examples)
        size = sum(root.zero.numel() for _, root in batches)
        self.matrix = root.zero.new_zeros(size, size)
        self.layers: dict[str, list[Layer]] = {}
        self.slopes: dict[str, list[Tensor]] = {}
        self.chunks: list[tuple[Rows, slice]] = []
        self.rows: list[slice] = []
        width = self.room // max(1, self.columns * checked.formed)
        for rows in batches:
            self._capture(rows, modules_of(checked.own), width)

    def _capture(self, rows: Rows, modules: set[str], width: int) -> None:
        for here, run, c, slopes in sweeps(rows, modules, width):
            if c == 0:
                done = self.rows[-1].stop if self.rows else 0
                self.chunks.append((rows, here))
                self.rows.append(slice(done, done + run.n * self.columns))
            for name, slope in slopes.items():
                if c == 0:
                    whole = slope.new_empty(run.n, self.columns, *slope.shape[1:])
                    self.slopes.setdefault(name, []).append(whole)
                    self.layers.setdefault(name, []).append(run.layers[name])
                self.slopes[name][-1][:, c] = slope

    def add_products(self, name: str, wanted: list[str]) -> None:
        """A linear layer at one position: products of slopes times products of inputs."""
        inputs = [
            layer.inputs[:, 0, 0] for layer in self.layers[name] if isinstance(layer, Product)
        ]
        a = torch.cat(inputs)
        delta = torch.cat([slopes.flatten(2) for slopes in self.slopes[name]])
        n, c = delta.shape[:2]
        width = max(1, min(self.room // (c * n * c), -(-n // BLOCKS)))
        for here in slices(n, width):
            at, count = here.start, here.stop - here.start
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

    def add_rest(self, by: Parameters) -> None:
        """A parameter that no layer's formula covers."""

        def rows(i: int) -> Tensor:
            (gradients,) = formed(*self.chunks[i], by, torch.flatten).values()
            return gradients.flatten(0, 1)

        self._add(rows)

    def mirrored(self) -> Tensor:
        """The whole of it, in place."""
        width = max(1, self.room // len(self.matrix))
        for here in slices(len(self.matrix), width):
            below = slice(here.stop, None)
            corner = self.matrix[here, here].triu()
            self.matrix[here, here] = corner + corner.triu(1).T
            self.matrix[below, here] = self.matrix[here, below].T
        return self.matrix

    def _add(self, rows: Callable[[int], Tensor]) -> None:
        for i, here in enumerate(self.rows):
            one = rows(i)
            for j in range(i, len(self.rows)):
                self.matrix[here, self.rows[j]] += one @ (one if i == j else rows(j)).T
