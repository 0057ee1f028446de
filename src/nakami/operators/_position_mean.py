"""Jacobians between stages, averaged over positions of one and summed over those of the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from ..results import product, wrong
from ..spectra import check_budget
from ._jacobian import columns_at_once
from .autodiff._strategies import batched, reverse_product
from .model._example import Example
from .model._functional_model import FunctionalModel

Counted = Callable[[int], Tensor]  # of how many positions which count, (positions,) bool


@dataclass(frozen=True)
class Form:
    """How a flat state is read as vectors at positions.

    Attributes:
        shape: Of the state of one example, without the batch axis.
        axis: Where the entries of one vector lie, from 0.
    """

    shape: tuple[int, ...]
    axis: int

    @classmethod
    def of(cls, state: Tensor, axis: int, name: str) -> Form:
        """That of a state, with its batch axis; ``axis`` may count from the end."""
        shape = tuple(state.shape)
        shape = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
        if not -len(shape) <= axis < len(shape):
            rule = f"be an axis of the state at {name!r}, {shape}"
            raise wrong("axis", rule, axis, "use -1, or 0 for states with channels first")
        return cls(shape, axis % len(shape))

    @property
    def width(self) -> int:
        """Entries of one vector."""
        return self.shape[self.axis]

    @property
    def positions(self) -> int:
        """Number of vectors."""
        return prod(self.shape) // self.width

    def spread(self, vectors: Tensor, weights: Tensor) -> Tensor:
        """Columns with a vector at each position times its weight, ``(width, k) -> (size, k)``."""
        rest = [n for i, n in enumerate(self.shape) if i != self.axis]
        outer = weights[:, None, None] * vectors
        return outer.reshape(*rest, *vectors.shape).movedim(-2, self.axis).flatten(0, -2)

    def pooled(self, columns: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum over positions of each column, ``(size, k) -> (width, k)``."""
        moved = columns.reshape(*self.shape, -1).movedim(self.axis, -2)
        return torch.einsum("p,pwk->wk", weights, moved.reshape(-1, self.width, columns.shape[1]))


@dataclass(frozen=True)
class PositionMean:
    """What one input gives.

    Attributes:
        matrices: By stage, ``(width of to, width of the stage)``; empty where no position counts.
        forms: How the states were read, those of the stages and of ``to``.
        here: Which positions of the stages count. there: of ``to``.
    """

    matrices: Mapping[str, Tensor]
    forms: Mapping[str, Form]
    here: Tensor
    there: Tensor


class PositionMeans:
    """``A[i, j] = mean over t of sum over t' of d to[t', i] / d stage[t, j]``, at one input a call.

    t runs over the positions of the stage that count, t' over those of ``to``: the same where there
    are as many, else all. Rows are made by reverse products, for all ``stages`` from one sweep.

    Args:
        network: The network at its weights.
        stages: Where the Jacobians start. to: where they end.
        axis: Of the entries of a vector, in a state without the batch axis.
        memory_budget: Bytes; a block of columns is sized for a quarter of it.

    Cost of a call: a forward pass, one more where shapes are new, and for each entry of a vector of
    ``to`` one reverse pass down to the first stage.
    """

    def __init__(
        self,
        network: FunctionalModel,
        stages: Sequence[str],
        to: str,
        axis: int = -1,
        memory_budget: int | None = None,
    ):
        self.network, self.stages, self.to, self.axis = network, tuple(stages), to, axis
        self.room = check_budget(memory_budget) // 4
        self._known: dict[Any, dict[str, Form]] = {}

    def __call__(self, x: Example, counted: Counted) -> PositionMean:
        """The matrices at ``x``; ``counted`` says which of so many positions count.

        Raises:
            UsageError: Stages with different numbers of positions, ``axis`` is none of a state.
        """
        key = tuple(leaf.shape for leaf in x.leaves)
        known = key in self._known
        forms = self._known.setdefault(key, self._known.get(key) or self._forms(x))
        here, end = counted(forms[self.stages[0]].positions), forms[self.to]
        there = here if end.positions == len(here) else torch.ones(end.positions, dtype=torch.bool)
        if not here.any():
            return PositionMean({}, forms, here, there)
        return PositionMean(self._matrices(x, forms, here, there, known), forms, here, there)

    def _forms(self, x: Example) -> dict[str, Form]:
        names = [name for name in dict.fromkeys((*self.stages, self.to)) if name != "input"]
        with torch.no_grad():
            states = dict(zip(names, self.network.activations(x.tree, names), strict=True))
        if "input" in self.stages:
            states["input"] = x.vector.reshape(x.shape)[None]
        forms = {name: Form.of(state, self.axis, name) for name, state in states.items()}
        if len({forms[name].positions for name in self.stages}) > 1:
            got = ", ".join(f"{forms[name].positions} at {name!r}" for name in self.stages)
            rule = "name stages with equally many positions"
            raise wrong("stage", rule, got, "read them one by one")
        return forms

    def _matrices(
        self, x: Example, forms: Mapping[str, Form], here: Tensor, there: Tensor, checked: bool
    ) -> dict[str, Tensor]:
        """By stage; the gradients of a block of rows are averaged before the next is made."""
        sizes, largest = [prod(forms[name].shape) for name in self.stages], 1

        def function(flat: Tensor) -> Tensor:
            nonlocal largest
            nudges = dict(zip(self.stages, flat.split(sizes), strict=True))
            inside = nudges.pop("input", None)
            tree = x.tree if inside is None else x.at(x.vector + inside)
            state, largest = self.network.nudged(tree, self.to, nudges)
            return state.reshape(-1).to(flat.dtype)

        point = torch.zeros(sum(sizes), dtype=self._dtype(x), device=self.network.device)
        output, pull = reverse_product(
            function, point, lambda _, act: self.network.run_in(act), not checked
        )
        chunk = columns_at_once(output, largest, point.numel() + output.numel(), self.room)
        form, kept = forms[self.to], there.to(output)
        share = here.to(output) / here.sum().to(output)
        rows: dict[str, list[Tensor]] = {name: [] for name in self.stages}
        units = torch.eye(form.width, dtype=output.dtype, device=output.device)
        for columns in units.split(chunk, 1):
            with product(columns.shape[1]), torch.no_grad():
                pulled = batched(pull, form.spread(columns, kept)).split(sizes)
            for name, part in zip(self.stages, pulled, strict=True):
                rows[name].append(forms[name].pooled(part, share).T)
        return {name: torch.cat(parts) for name, parts in rows.items()}

    def _dtype(self, x: Example) -> torch.dtype:
        if self.network.dtype is not None:
            return self.network.dtype
        return x.vector.dtype if x.moving else torch.get_default_dtype()
