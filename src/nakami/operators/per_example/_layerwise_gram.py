"""Products of the dual ``A A^T`` from what layers' gradients are made of, without the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor

from ..curvature._batches import Batch
from ..curvature._loss_hessian_sqrt import LossHessianSqrt
from ._layer_io import LayerIO, full_name
from ._layer_rules import Product
from ._norms import RowNorms, row_norms
from ._verification import Verified


class LayerwiseGram:
    """The dual of a network whose layers act at one position each, before any scale.

    A gradient of such a layer is ``delta a^T``, so that ``A A^T`` is ``(delta_s . delta_t)(a_s .
    a_t + 1)``, summed over layers: a product is one by the layer's inputs between two by the
    slopes, with neither a pass through the network nor a gradient formed.

    Args:
        pairs: The batches, each with the root by its outputs; all of as many columns.
        checked: The layers' formulas, which cover all parameters.

    Attributes:
        norms: Of the rows of each batch, which the same passes give.

    Cost: one forward pass, a backward pass for each column; a product, about one forward pass
    where the network's own way takes four. Memory: the outputs of all layers for each row.
    """

    def __init__(self, pairs: Iterable[tuple[Batch, LossHessianSqrt]], checked: Verified):
        inputs: dict[str, list[Tensor]] = {}
        slopes: dict[str, list[Tensor]] = {}
        self.norms: list[RowNorms] = []
        for part, root in pairs:
            whole: dict[str, Tensor] = {}
            keep = partial(_keep, (len(part.z), root.columns), inputs, whole)
            self.norms.append(row_norms(part, root, checked, keep))
            for name, each in whole.items():
                slopes.setdefault(name, []).append(each)
        self.layers: dict[str, _Single] = {}
        for name, parts in slopes.items():
            if has := [k for k in ("weight", "bias") if full_name(name, k) in checked.own]:
                self.layers[name] = _Single(_joined(inputs[name]), _joined(parts), has)

    def __matmul__(self, block: Tensor) -> Tensor:
        """``(rows, k) -> (rows, k)``."""
        columns = [self._column(u) for u in block.T]
        return torch.stack(columns, 1)

    def _column(self, u: Tensor) -> Tensor:
        return torch.stack([layer.product(u) for layer in self.layers.values()]).sum(0)

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


def _keep(
    shape: tuple[int, int],
    inputs: dict[str, list[Tensor]],
    whole: dict[str, Tensor],
    here: slice,
    run: LayerIO,
    c: int,
    slopes: dict[str, Tensor],
) -> None:
    """Take down one column of some examples: ``whole`` holds ``(n, columns, outputs)`` by layer."""
    for name, slope in slopes.items():
        flat, layer = slope.flatten(1), run.layers[name]
        assert isinstance(layer, Product)  # at one position
        if name not in whole:
            whole[name] = flat.new_zeros(*shape, flat.shape[1])
        whole[name][here, c] = flat
        if c == 0:
            inputs.setdefault(name, []).append(layer.inputs[:, 0, 0])
