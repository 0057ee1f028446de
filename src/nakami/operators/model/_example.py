"""One example in whatever form a model takes it: a tensor, or tuples, lists, dicts of tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...results import wrong, wrong_type
from ...spectra import check_entries

ARRAYS = (Tensor, np.ndarray)


class Example:
    """One example, or a batch; its floating tensors, flattened and joined, are the input vector.

    Integer and boolean tensors (tokens, masks) are held fixed; so are floating ones beside others
    that hold minus infinity, which are masks.

    Args:
        tree: A tensor with its batch axis, ``(1, ...)``, or a tuple, list, mapping, dataclass or
            batch object (with ``to()``) of such.
        batch: Whether more than one row along axis 0 is welcome.

    Tensors without axes, a time step beside a picture, belong to all examples.

    Raises:
        UsageError: Not exactly one example, nothing to read, or NaN in it.
    """

    def __init__(self, tree: Any, batch: bool = False):
        self.tree, self.batch = as_tensors(tree), batch
        self.leaves = leaves_of(self.tree)
        if not self.leaves:
            rule, got = "be a torch.Tensor or hold some", f"{type(tree).__name__} without any"
            raise wrong_type("x", rule, got, as_typed(tree))
        alone = len(self.leaves) == 1 or all(leaf.ndim == 0 for leaf in self.leaves)
        for leaf in self.leaves:
            _check(leaf, batch, alone, self.which(leaf))
        self._moves = [_moves(leaf) for leaf in self.leaves]
        self.moving = [leaf for leaf, moves in zip(self.leaves, self._moves, strict=True) if moves]
        if not any(leaf.numel() for leaf in self.moving or self.leaves):
            shapes = ", ".join(str(tuple(leaf.shape)) for leaf in self.leaves)
            raise wrong(
                "x",
                "hold at least one number",
                f"shape {shapes}",
                "pass a tensor that is not empty",
            )

    @property
    def vector(self) -> Tensor:
        """The floating tensors, flattened and joined, ``(n,)``; empty for tokens alone."""
        flat = [leaf.reshape(-1) for leaf in self.moving]
        return torch.cat(flat) if flat else torch.zeros(0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input without a batch axis of 1; ``(n,)`` where it has several parts."""
        if len(self.leaves) == 1:
            shape = tuple(self.leaves[0].shape)
            return shape[1:] if shape[0] == 1 else shape
        return (sum(leaf.numel() for leaf in self.moving),)

    @property
    def kind(self) -> str:
        """``input``, or ``tokens`` where nothing in it is floating."""
        return "input" if self.moving else "tokens"

    def at(self, vector: Tensor) -> Any:
        """The same tree with the floating tensors taken from ``vector``."""
        parts = iter(vector.split([leaf.numel() for leaf in self.moving]) if self.moving else ())
        moves = iter(self._moves)

        def put(leaf: Tensor) -> Tensor:
            return next(parts).reshape(leaf.shape) if next(moves) else leaf

        return mapped(self.tree, put)

    def filled(self, leaves: Sequence[Tensor]) -> Any:
        """The same tree with all tensors replaced, in the order of ``leaves``."""
        parts = iter(leaves)
        return mapped(self.tree, lambda leaf: next(parts))

    def moved(self, change: Callable[[Tensor], Tensor]) -> Example:
        """The example with ``change`` applied to every tensor."""
        return Example(mapped(self.tree, change), self.batch)

    @property
    def count(self) -> int:
        """How many rows the first tensor has: the examples of a batch, where rows are examples."""
        return count_of(self.leaves)

    def which(self, leaf: Tensor) -> str:
        """`` (tensor 2 of 3)`` behind the shape of one of its tensors; empty where it is alone."""
        at = next((i for i, each in enumerate(self.leaves) if each is leaf), 0)
        return f" (tensor {at + 1} of {len(self.leaves)})" if len(self.leaves) > 1 else ""

    @property
    def is_tensor(self) -> bool:
        """Whether it is one tensor, and not a tree of some."""
        return isinstance(self.tree, Tensor)

    @property
    def sliceable(self) -> bool:
        """Whether every tensor has a row for each example."""
        return all(len(leaf) == self.count for leaf in self.leaves if leaf.ndim)

    def rows(self, start: int, stop: int) -> Example:
        """Some of the examples of a batch."""
        return self.pick(slice(start, stop))

    def pick(self, some: slice | Tensor, count: int | None = None) -> Example:
        """The examples at those places, of tensors with ``count`` rows; others stay whole."""
        return Example(some_rows(self.tree, some, count or self.count), self.batch)

    def shaken(self, fixed: Collection[int] = ()) -> Any:
        """Another example of the same form: noise on floating tensors, tokens changed.

        Zeros, which fill up rows, stay: a mask that the model makes of them is held as any mask is.

        ``fixed``: Which of the leaves stay as they are.
        """
        generator = torch.Generator().manual_seed(0)
        places = iter(range(len(self.leaves)))

        def shake(leaf: Tensor) -> Tensor:
            i = next(places)
            if i in fixed or (leaf.is_floating_point() and not self._moves[i]):
                return leaf
            if leaf.is_floating_point():
                noise = torch.randn(leaf.shape, generator=generator, dtype=torch.float64).to(leaf)
                return leaf + 0.1 * leaf.abs().amax().clamp_min(1.0) * noise
            return leaf if leaf.dtype == torch.bool or leaf.numel() < 2 else _rotated(leaf)

        return mapped(self.tree, shake)


def _rotated(tokens: Tensor) -> Tensor:
    """Other tokens than these, in other places, from 1 on; zeros stay where that is possible."""
    own = tokens != 0
    other = tokens.masked_scatter(own, (tokens[own].roll(1) - 1).clamp_min(1))
    if not torch.equal(other, tokens):
        return other
    rolled = tokens.reshape(-1).roll(1)
    return (rolled if not torch.equal(rolled, tokens.reshape(-1)) else rolled * 0).view_as(tokens)


def _moves(leaf: Tensor) -> bool:
    return leaf.is_floating_point() and not leaf.isneginf().any()


def _check(leaf: Tensor, batch: bool, alone: bool, which: str) -> None:
    check_entries("x", leaf)
    if leaf.dtype.is_complex:
        raise wrong_type("x", "be real", leaf.dtype, "pass real and imaginary part as channels")
    if batch and leaf.ndim and len(leaf) == 0:
        raise wrong(
            "x",
            "hold at least one example",
            f"shape {tuple(leaf.shape)}{which}",
            "pass at least one example",
        )
    if (leaf.ndim == 0 and alone) or (leaf.ndim and leaf.shape[0] != 1 and not batch):
        raise wrong(
            "x",
            "hold one example, batch axis included",
            f"shape {tuple(leaf.shape)}{which}",
            "pass x[i:i+1]",
        )
    sound = torch.isfinite(leaf) if alone or _moves(leaf) else ~(leaf.isnan() | leaf.isposinf())
    if leaf.is_floating_point() and not sound.all():
        bad = int((~sound).sum())
        raise wrong(
            "x",
            "be finite",
            f"{bad} NaN or infinite components{which}",
            "pass finite numbers, as tensor.nan_to_num() gives",
        )


def is_number(value: Tensor) -> bool:
    """Whether a tensor is of real or complex numbers, which have derivatives."""
    return value.is_floating_point() or value.is_complex()


def as_tensors(tree: Any, argument: str = "x") -> Any:
    """The same tree with NumPy's arrays, in mappings, tuples and lists too, as tensors (copies)."""
    if isinstance(tree, Mapping):
        return {key: as_tensors(value, argument) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        items = [as_tensors(value, argument) for value in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if not isinstance(tree, np.ndarray):
        return tree
    try:
        return torch.from_numpy(np.array(tree, order="C"))  # which may be written to
    except (TypeError, ValueError) as error:
        got = f"an array of {tree.dtype}"
        raise wrong_type(argument, "hold numbers", got, "convert it with .astype") from error


def as_typed(tree: Any) -> str:
    """What to type for an input that holds no tensor."""
    if any(isinstance(value, ARRAYS) for value in getattr(tree, "__dict__", {}).values()):
        return "pass its tensors as a dict, vars(x), or make it a dataclass"
    if isinstance(tree, (Mapping, tuple, list, str)) or not isinstance(tree, Iterable):
        return "convert numbers with torch.as_tensor"
    return "pass the inputs of one batch, next(iter(data))[0]"


def leaves_of(tree: Any) -> list[Tensor]:
    """All tensors of a tree, in the order in which ``mapped`` passes them."""
    found: list[Tensor] = []

    def note(leaf: Tensor) -> Tensor:
        found.append(leaf)
        return leaf

    mapped(tree, note)
    return found


def shapes_of(tree: Any) -> str:
    """The shapes of all tensors of a tree, in words."""
    return ", ".join(str(tuple(leaf.shape)) for leaf in leaves_of(tree)) or type(tree).__name__


def mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same tree with ``change`` applied to every tensor."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, Mapping):
        return {key: mapped(value, change) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        items = [mapped(value, change) for value in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if not hasattr(tree, "to") and not is_dataclass(tree):
        return tree
    other = copy.copy(tree)  # a batch object, as of torch_geometric
    if hasattr(other, "apply"):
        return other.apply(change)
    for name, value in vars(other).items():
        object.__setattr__(other, name, mapped(value, change))
    return other


def count_of(leaves: Sequence[Tensor]) -> int:
    """How many rows the first tensor with axes has."""
    return next(len(leaf) for leaf in leaves if leaf.ndim)


def some_rows(tree: Any, here: slice | Tensor, count: int) -> Any:
    """The same tree with some rows of the tensors that have ``count``; the others stay whole."""
    return mapped(tree, lambda leaf: leaf[here] if leaf.ndim and len(leaf) == count else leaf)
