"""What a loss gets of a network: a tensor, all that the network returns, or its own loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from ...results import COMMAND_LINE, PYTHON, first_names, wrong
from ..model._example import is_number
from ..model._functional_model import FunctionalModel
from ..model._selection import Named, tensor_names

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

    def tensors(self, z: Tensor) -> list[Tensor]:
        """The tensors among the outputs."""
        cells = [shape.numel() for shape in self.shapes]
        parts = z.split(cells, 1 if self.rows else 0)
        lead = (len(z),) if self.rows else ()
        return [
            part.reshape((*lead, *shape)).to(kind)
            for part, shape, kind in zip(parts, self.shapes, self.kinds, strict=True)
        ]

    def outputs(self, z: Tensor) -> Any:
        """What the network returned."""
        return self._unflattened(self.tensors(z))

    def cut(self, z: Tensor, cut: Callable[[int, Tensor], Tensor]) -> tuple[Tensor, Form]:
        """The outputs with tensor ``i`` replaced by ``cut(i, tensor)``, in one as they were."""
        tensors = [cut(i, tensor) for i, tensor in enumerate(self.tensors(z))]
        found = flattened(self._unflattened(tensors), len(z))
        assert found is not None  # as it was before
        return found

    def _unflattened(self, tensors: list[Tensor]) -> Any:
        found = iter(tensors)
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
    return flattened(out, count) or (network.selected(out), None)


def flattened(out: Any, count: int) -> tuple[Tensor, Form] | None:
    """The tensors of an output in one, with its form; None for what torch knows as no tree."""
    leaves, spec = tree_flatten(out)
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    like = next((leaf for leaf in tensors if leaf.is_floating_point()), None)
    if like is None:
        return None
    rows = all(leaf.ndim and len(leaf) == count for leaf in tensors)
    flat = [leaf.reshape((count, -1) if rows else -1).to(like.dtype) for leaf in tensors]
    return torch.cat(flat, -1), Form(leaves, spec, rows)


def one_output(network: FunctionalModel, out: Any, count: int) -> tuple[Tensor, None]:
    """The tensor for a loss of one: the selected, the only floating one, or the logits.

    Raises:
        UsageError: A network of several outputs, none of them named ``logits``, without a choice.
    """
    if network.select is not None or isinstance(out, Tensor):
        return network.selected(out), None
    logits = out.get("logits") if isinstance(out, Mapping) else getattr(out, "logits", None)
    if isinstance(logits, Tensor) and logits.is_floating_point():
        return logits, None
    names = list(tensor_names(out))
    if len(names) > 1:
        shown = first_names(
            (f"{name!r} of shape {tuple(Named(name)(out).shape)}" for name in names), 4
        )
        ways = [f"{PYTHON}pass nakami.View(model, select={names[0]!r})"]
        ways.append(f"{COMMAND_LINE}pass {{select}} {names[0]}")
        ways.append(f"{PYTHON}pass a function of all outputs and the targets as the loss")
        raise wrong("the model's output", "be one tensor for this loss", shown, ways)
    return network.selected(out), None


def one_row(network: FunctionalModel, out: Any, count: int) -> tuple[Tensor, None]:
    """The same; a single number as one row."""
    z, _ = one_output(network, out, count)
    return (z if z.ndim else z[None]), None


def classes_last(network: FunctionalModel, out: Any, count: int) -> tuple[Tensor, None]:
    """Logits of sequences, ``(n, ..., classes)`` or flattened, with the classes on axis 1."""
    z, _ = one_output(network, out, count)
    if z.ndim == 2:
        z = z.reshape(count, -1, z.shape[-1])
    return z.movedim(-1, 1), None


def own_loss(network: FunctionalModel, out: Any, count: int) -> tuple[Tensor, None]:
    """The loss that a model returned: by the name ``loss``, alone, or the one number of a tuple."""
    if network.select is not None:
        return network.selected(out), None
    found = out.get("loss") if isinstance(out, Mapping) else getattr(out, "loss", None)
    if isinstance(out, (Tensor, tuple, list)) and not isinstance(found, Tensor):
        items = [out] if isinstance(out, Tensor) else out
        single = [z for z in items if isinstance(z, Tensor) and not z.ndim and is_number(z)]
        found = single[0] if len(single) == 1 else None
    if not isinstance(found, Tensor):
        got, way_out = "None for a model that returns none", "pass a loss of (outputs, targets)"
        raise wrong("loss", "be given, or returned by the model as its 'loss'", got, way_out)
    return found, None


def of_sequences(z: Tensor, y: Any, rows: int, count: int) -> bool:
    """Whether logits have their classes last, or tokens flattened, and ``y`` one class a token.

    Torch's own order, classes on axis 1, comes first. ``z`` is of some examples, ``rows`` of them;
    ``y`` is of all ``count``.
    """
    if not isinstance(y, Tensor) or y.is_floating_point() or z.ndim < 2 or y.ndim == 0:
        return False
    each = y.numel() // count
    if y.numel() != count * each or (len(y) == count and y.shape[1:] == z.shape[2:]):
        return False
    flat = y.ndim == 1 and each > 1
    if z.ndim == 2:
        return each > 1 and len(z) == rows * each
    return (flat and each == z.shape[1:-1].numel()) or y.shape[1:] == z.shape[1:-1]
