"""Products of the dual ``A A^T`` from what layers' gradients are made of, without the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ._examples import Rows
from ._layer_io import full_name
from ._layer_rules import Product
from ._norms import RowNorms, no_norms, norm_sweeps
from ._verification import Verified


class LayerwiseGram:
    """The dual of a network whose layers act at one position each, before any scale.

    A gradient of such a layer is ``delta a^T``, so that ``A A^T`` is ``(delta_s . delta_t)(a_s .
    a_t + 1)``, summed over layers: a product is one by the layer's inputs between two by the
    slopes, with neither a pass through the network nor a gradient formed.

    Args:
        batches: The rows of each batch; all of as many columns.
        checked: The layers' formulas, which cover all parameters.

    Attributes:
        norms: Of the rows of each batch, which the same passes give.

    Cost: one forward pass, a backward pass for each column; a product, about one forward pass
    where the network's own way takes four. Memory: the outputs of all layers for each row.
    """

    def __init__(self, batches: Iterable[Rows], checked: Verified):
        self.norms: list[RowNorms] = []
        self._inputs: dict[str, list[Tensor]] = {}
        self._slopes: dict[str, list[Tensor]] = {}
        for rows in batches:
            self._add(rows, checked)
        self.layers: dict[str, _Single] = {}
        for name, slopes in self._slopes.items():
            if has := [k for k in ("weight", "bias") if full_name(name, k) in checked.own]:
                self.layers[name] = _Single(_joined(self._inputs[name]), _joined(slopes), has)
        del self._inputs, self._slopes

    def _add(self, rows: Rows, checked: Verified) -> None:
        norms, whole = no_norms(rows, checked), dict[str, Tensor]()
        for here, run, c, slopes in norm_sweeps(rows, checked, norms):
            for name, slope in slopes.items():
                flat, layer = slope.flatten(1), run.layers[name]
                assert isinstance(layer, Product)  # at one position
                if name not in whole:
                    whole[name] = flat.new_zeros(*norms.rows.shape, flat.shape[1])
                whole[name][here, c] = flat
                if c == 0:
                    self._inputs.setdefault(name, []).append(layer.inputs[:, 0, 0])
        for name, each in whole.items():
            self._slopes.setdefault(name, []).append(each)
        self.norms.append(norms)

    def __matmul__(self, block: Tensor) -> Tensor:
        """``(rows, k) -> (rows, k)``."""
        layers = self.layers.values()
        columns = [torch.stack([each.product(u) for each in layers]).sum(0) for u in block.T]
        return torch.stack(columns, 1)

    def lifted(self, block: Tensor, names: Sequence[str]) -> Tensor:
        """``A^T block``, ``(rows, k) -> (P, k)``, by the parameters in this order."""
        columns = []
        for u in block.T:
            found = {
                full_name(name, part): gradient
                for name, layer in self.layers.items()
                for part, gradient in layer.gradients(u).items()
            }
            columns.append(torch.cat([found[name].reshape(-1) for name in names]))
        return torch.stack(columns, 1)


class _Single:
    """One layer: inputs ``(n, fan-in)``, slopes ``(n, columns, outputs)``, which weights it has."""

    def __init__(self, inputs: Tensor, slopes: Tensor, has: list[str]):
        self.inputs, self.delta = inputs, slopes
        self.weighted, self.shift = "weight" in has, float("bias" in has)
        n, fan_in = inputs.shape
        self.alike: Tensor | None = None
        if self.weighted and n <= 2 * fan_in:  # then cheaper than to go by the weights
            self.alike = inputs @ inputs.T + self.shift

    def product(self, u: Tensor) -> Tensor:
        """The layer's share, ``(n columns,) -> (n columns,)``."""
        mixed = self._mixed(u)
        if self.alike is not None:
            mixed = self.alike @ mixed
        else:
            total = self.shift * mixed.sum(0)
            mixed = self.inputs @ (self.inputs.T @ mixed) if self.weighted else 0 * mixed
            mixed += total
        return torch.bmm(self.delta, mixed[:, :, None]).reshape(-1)

    def gradients(self, u: Tensor) -> dict[str, Tensor]:
        """Those of the sum of all rows times ``u``, by weight."""
        mixed = self._mixed(u)
        out = {"bias": mixed.sum(0)} if self.shift else {}
        if self.weighted:
            out["weight"] = mixed.T @ self.inputs
        return out

    def _mixed(self, u: Tensor) -> Tensor:
        """Slopes of each example, summed over columns with these factors, ``(n, outputs)``."""
        n, columns, _ = self.delta.shape
        return torch.bmm(u.reshape(n, 1, columns), self.delta)[:, 0]


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
