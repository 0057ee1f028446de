"""Losses of the caller's own: a function of outputs and targets, or what the model returns."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...results import wrong, wrong_type
from ..model._composites import Composites
from ..model._example import mapped
from ..model._functional_model import FunctionalModel, Reader
from ..model._parameters import Parameters
from ._criterion import Criterion, every_example
from ._outputs import Formed, own_loss, whole
from ._weights import Part, between, weights


class OwnLoss(Criterion):
    """A function of the caller's own: a sum, or a mean whose weights are measured.

    Attributes:
        counts: What its value counts in the mean over the data; default the number of examples.
    """

    sample = "an example"
    counts: float | None = None

    def __init__(self, loss: Callable[[Any, Any], Tensor]):
        super().__init__(loss)
        self.name = getattr(loss, "__name__", type(loss).__name__)
        self._before = self._versions()

    @property
    def _is_of_torch(self) -> bool:
        home = getattr(getattr(self.given, "func", self.given), "__module__", None) or ""
        return home.startswith("torch.")

    def reader(self, network: FunctionalModel) -> Reader | None:
        return None if self._is_of_torch or network.select is not None else whole

    def current(self) -> OwnLoss:
        other = copy.copy(self)
        other._before = other._versions()
        return other

    def of_batches(self, batches: Sequence[Part], counts: Sequence[int]) -> Sequence[OwnLoss]:
        sums, shares = between(self._value, batches, counts)
        return [self._weighing(1.0 if sums else share, sums) for share in shares]

    def of_parts(self, whole: Part, parts: Sequence[Part]) -> Sequence[OwnLoss] | None:
        assert self.counts is not None  # its batch was weighed
        found = weights(self._value, whole, parts)
        if found is None:
            return None
        return [self._weighing(self.counts * w, self.sums) for w in found]

    def _weighing(self, counts: float, sums: bool) -> OwnLoss:
        other = copy.copy(self)
        other.counts, other.sums = counts, sums
        return other

    def check(self, z: Tensor, y: Any) -> None:
        with torch.enable_grad():
            value = self._value(z.detach().requires_grad_(), y)
        if not value.requires_grad:
            rule, got = "follow the outputs by a gradient", "a value that has none"
            raise wrong("loss", rule, got, "take detach(), .data and no_grad out of the loss")

    def check_reads(self, at: Parameters, x: Any, z: Tensor, y: Any) -> None:
        """As for every loss: the products here differentiate the outputs, and nothing beside them.

        Looked at while the model holds its weights, right after a run, which may leave on the model
        what the loss reads. Cost: a run of the network.
        """
        if self._is_of_torch:
            return
        held = {name: w.detach().clone().requires_grad_() for name, w in at.weights.items()}
        own = {f"model.{name}": p for name, p in at.network.model.named_parameters()}

        def act() -> Tensor:
            at.network.caller(mapped(x, torch.clone))  # which the network may write to
            return self._value(z.detach(), y)

        with torch.enable_grad():
            value = at.network.run_in(act, held)
        if not value.requires_grad:
            return
        read = [
            name
            for weights in (held, {n: p for n, p in own.items() if p.requires_grad})
            for name, found in zip(weights, _slopes(value, weights.values()), strict=True)
            if found is not None and found.any()
        ]
        if read:
            rule = "read the parameters by the model's outputs alone"
            got = f"one that reads {read[0].removeprefix('model.')!r} itself"
            way_out = "let forward return that term beside its outputs: the loss gets all of them"
            raise wrong("loss", rule, got, way_out)

    def total(self, z: Tensor, y: Any) -> Tensor:
        total: Tensor = self._value(z, y) * self.divisor(z, y)
        return total

    def _value(self, z: Tensor, y: Any) -> Tensor:
        if isinstance(y, Formed):
            z, y = y.form.outputs(z), y.y
        if self._versions() != self._before:
            rule = "keep its own parameters and buffers while an operator of it is in use"
            raise wrong("loss", rule, "others", "take op.at_current_weights()")
        with Composites():
            value: Any = self.given(z, y)
        if not isinstance(value, Tensor):
            got = type(value).__name__
            raise wrong_type("loss", "return a tensor", got, "compute it with torch, not .item()")
        if value.ndim:
            got = f"shape {tuple(value.shape)}"
            raise wrong("loss", "return a scalar", got, "return its mean, loss.mean()")
        return value

    def divisor(self, z: Tensor, y: Any) -> float:
        return float(len(z)) if self.counts is None else self.counts

    def samples(self, z: Tensor, y: Any) -> Tensor:
        return every_example(z)

    def root(self, z: Tensor, y: Any) -> None:
        return None

    def drawn(self, z: Tensor, y: Any, u: Tensor) -> Tensor:
        raise AssertionError("a function is no likelihood")

    def _versions(self) -> list[tuple[int, int]]:
        if not isinstance(self.given, nn.Module):
            return []
        own = (*self.given.parameters(), *self.given.buffers())
        return [(p.data_ptr(), p._version) for p in own]


class ModelsLoss(OwnLoss):
    """The loss that a model returns when its targets are among its inputs."""

    def __init__(self) -> None:
        super().__init__(lambda z, y: z)
        self.name = "the model's own loss"

    def reader(self, network: FunctionalModel) -> Reader:
        return own_loss

    def check_reads(self, at: Parameters, x: Any, z: Tensor, y: Any) -> None:
        """Nothing stands beside the output, which is the loss."""


def _slopes(value: Tensor, weights: Iterable[Tensor]) -> tuple[Tensor | None, ...]:
    """Gradients by some weights; the graph stays, for part of it may be the caller's."""
    return torch.autograd.grad(value, list(weights), retain_graph=True, allow_unused=True)
