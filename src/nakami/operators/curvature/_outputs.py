"""What a loss gets of a network: a tensor, all that the network returns, or its own loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from ...results import wrong
from ..model._functional_model import FunctionalModel

TENSOR = object()  # in the place of one


class Form:
    """How the outputs of a network are put together from one tensor.

    Args:
        leaves, spec: The outputs, flat. rows: Whether each tensor has a row for each example.
    """

    def __init__(self, leaves: list[Any], spec: TreeSpec, rows: bool):
        self.spec, self.rows = spec, rows
        self.rest = [TENSOR if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        self.kinds = [leaf.dtype for leaf in tensors]
        self.shapes = [leaf.shape[1:] if rows else leaf.shape for leaf in tensors]

    def outputs(self, z: Tensor) -> Any:
        """What the network returned."""
        cells = [shape.numel() for shape in self.shapes]
        parts = z.split(cells, 1 if self.rows else 0)
        lead = (len(z),) if self.rows else ()
        found = iter(
            part.reshape((*lead, *shape)).to(kind)
            for part, shape, kind in zip(parts, self.shapes, self.kinds, strict=True)
        )
        leaves = [next(found) if leaf is TENSOR else leaf for leaf in self.rest]
        return tree_unflatten(leaves, self.spec)


class Formed(NamedTuple):
    """Targets, beside the form of the outputs that go with them."""

    form: Form
    y: Any


def whole(network: FunctionalModel, out: Any, count: int) -> tuple[Tensor, Form | None]:
    """All tensors of a network's output in one, a row for each example where all have one."""
    if isinstance(out, Tensor):
        return network.selected(out), None
    network.selected(out)  # which refuses outputs without a tensor
    leaves, spec = tree_flatten(out)
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    like = next((leaf for leaf in tensors if leaf.is_floating_point()), None)
    if like is None:  # what torch does not know as a tree
        return network.selected(out), None
    rows = all(leaf.ndim and len(leaf) == count for leaf in tensors)
    flat = [leaf.reshape((count, -1) if rows else -1).to(like.dtype) for leaf in tensors]
    return torch.cat(flat, -1), Form(leaves, spec, rows)


def classes_last(network: FunctionalModel, out: Any, count: int) -> tuple[Tensor, None]:
    """Logits of sequences, ``(n, ..., classes)`` or flattened, with the classes on axis 1."""
    z = network.selected(out)
    if z.ndim == 2:
        z = z.reshape(count, -1, z.shape[-1])
    return z.movedim(-1, 1), None


def own_loss(network: FunctionalModel, out: Any, count: int) -> tuple[Tensor, None]:
    """The loss that a model returned, by the name ``loss``."""
    if network.select is not None:
        return network.selected(out), None
    found = out.get("loss") if isinstance(out, Mapping) else getattr(out, "loss", None)
    if not isinstance(found, Tensor):
        got, way_out = "None for a model that returns none", "pass a loss of (outputs, targets)"
        raise wrong("loss", "be given, or returned by the model as its 'loss'", got, way_out)
    return found, None


def of_sequences(z: Tensor, y: Any, count: int) -> bool:
    """Whether logits have their classes last, or tokens flattened, and ``y`` one class a token.

    Torch's own order, classes on axis 1, comes first. ``z`` is of some examples; ``y`` is of all
    ``count``.
    """
    if not isinstance(y, Tensor) or y.is_floating_point() or z.ndim < 2 or y.ndim == 0:
        return False
    each = y.numel() // count
    if y.numel() != count * each or (len(y) == count and y.shape[1:] == z.shape[2:]):
        return False
    flat = y.ndim == 1 and each > 1
    if z.ndim == 2:
        return each > 1
    return (flat and each == z.shape[1:-1].numel()) or y.shape[1:] == z.shape[1:-1]
