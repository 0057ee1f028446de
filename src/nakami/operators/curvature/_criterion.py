"""A loss of outputs and targets, taken apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from ...results import UsageError, wrong
from ..model._checks import FAILURES, first_line
from ..model._functional_model import FunctionalModel, Reader
from ..model._parameters import Parameters
from ..model._uncompiled import gradient, vjp
from ._outputs import one_row
from ._pieces import Part

TARGETS = "the targets of a batch"
FOR_CLASSES = ['take "cross_entropy" for classes', "pass functional.one_hot(y, classes).float()"]


class Criterion(ABC):
    """A loss of outputs ``z`` and targets ``y``, taken apart.

    Args:
        loss: What it is made from.

    Attributes:
        name: In words, as it stands in results.
        key: Name of the torch loss, ``"cross_entropy"``; empty for a function.
        sample: What one sample is, in words; the Fisher information is a mean over samples.
        nll: Factor that makes the total a negative log-likelihood; None where it is none.
        sums: Whether the loss's own reduction is the sum.
        joins: Whether over several batches it is what it would be of all data at once.
    """

    name: str
    key = ""
    sample = "a row of the outputs along axis 0 (an example)"
    nll: float | None = None
    joins = True

    def __init__(self, loss: Any):
        self.given, self.sums = loss, False
        if self.key:
            self.sums = loss.reduction == "sum"
            if loss.reduction == "none":
                way_out = "build the loss with reduction='mean'"
                raise wrong("loss", "have reduction 'mean' or 'sum'", "'none'", way_out)

    @abstractmethod
    def check(self, z: Tensor, y: Any) -> Tensor | None:
        """Refuse targets that the loss cannot take; its value, where it was taken to see that."""

    def check_reads(self, at: Parameters, x: Any, z: Tensor, y: Any) -> None:
        """Refuse a loss that reads the parameters in another way than by the outputs ``z``."""
        return  # the named ones know none

    @abstractmethod
    def total(self, z: Tensor, y: Any) -> Tensor:
        """Sum over samples and outputs, before any reduction."""

    @abstractmethod
    def divisor(self, z: Tensor, y: Any) -> float:
        """What a mean divides the total by."""

    @abstractmethod
    def samples(self, z: Tensor, y: Any) -> Tensor:
        """For each sample whether it has a target, of a shape that ``z`` can be multiplied by."""

    @abstractmethod
    def root(self, z: Tensor, y: Any) -> Callable[[Tensor], Tensor] | None:
        """``u -> B u`` for ``u`` of the shape of ``z``; None where no closed form is known.

        ``B B^T`` is the Hessian of the total by the outputs.
        """

    def turn(self, z: Tensor) -> Callable[[Tensor], Tensor] | None:
        """``v -> Q v``, for v without the first entry of axis 1, where ``B Q`` is a root like B.

        It is one where ``B`` takes a direction along axis 1 to zero.
        """
        return None

    @abstractmethod
    def drawn(self, z: Tensor, y: Any, u: Tensor) -> Tensor:
        """Gradient of the total at targets drawn from the model's own distribution.

        By uniform numbers ``u`` of the shape of ``z``. What ``y`` leaves out stays out.
        """

    def reader(self, network: FunctionalModel) -> Reader:
        """How the network's output is read for this loss."""
        return one_row

    def failed_on_outputs(self, error: UsageError) -> bool:
        """Whether a function of the caller's own failed on all that the network returns."""
        return False

    def current(self) -> Criterion:
        """The same loss with its weights as they are now."""
        return type(self)(self.given)

    def of_batches(self, batches: Sequence[Part], counts: Sequence[int]) -> Sequence[Criterion]:
        """The loss as it weighs each batch of the data; ``counts`` are their examples."""
        return [self] * len(batches)

    def of_parts(self, whole: Part, parts: Sequence[Part]) -> Sequence[Criterion] | None:
        """The loss as it weighs each part of a batch; None where it is no sum over them."""
        return [self] * len(parts)

    def slope(self, z: Tensor, y: Any) -> Tensor:
        """Gradient of the total by the outputs, of the shape of ``z``."""
        return gradient(lambda out: self.total(out, y), z)

    def curve(self, z: Tensor, y: Any, v: Tensor) -> Tensor:
        """Hessian of the total by the outputs, times ``v``, of the shape of ``z``.

        Raises:
            UsageError: Torch has no second derivative of a step in the loss.
        """

        def slope(out: Tensor) -> Tensor:
            return self.slope(out, y)

        product: Tensor
        try:
            product = torch.func.jvp(slope, (z,), (v,))[1]
        except FAILURES:
            try:
                product = vjp(slope, z)[1](v)
            except FAILURES as error:
                got = f"{self.name} ({first_line(error)})"
                way_out = "write it with plain arithmetic, as x.clamp_min(0) for a margin"
                raise wrong("loss", "have a second derivative", got, way_out) from error
        return product


def every_example(z: Tensor) -> Tensor:
    """That every example is a sample."""
    return torch.ones(z.shape[:1] + (1,) * (z.ndim - 1), dtype=torch.bool, device=z.device)


def check_repeats(first: float, second: float) -> None:
    """Refuse a loss of two values at the same outputs."""
    if isfinite(first) and abs(first - second) > 1e-4 * abs(first):
        got = f"{first:.6g} and {second:.6g} at the same outputs"
        raise wrong("loss", "be deterministic", got, "take what is random out of it")


def check_shapes(z: Tensor, y: Any) -> None:
    """Refuse targets of another shape than the outputs, which a loss of pairs would broadcast."""
    if isinstance(y, Tensor) and y.shape == z.shape:
        return
    rule, ways = f"have the shape of the outputs, {tuple(z.shape)}", list[str]()
    if of_classes(z, y):
        ways = FOR_CLASSES
    else:
        ways = ["reshape them as the outputs are", "reshape the outputs with {forward}="]
    raise wrong(TARGETS, rule, shape_of(y), ways)


def of_classes(z: Any, y: Any) -> bool:
    """Whether targets look like classes beside an output for each class."""
    if not isinstance(z, Tensor) or not isinstance(y, Tensor):
        return False
    whole = not y.is_floating_point() and y.dtype != torch.bool
    return whole and z.ndim == y.ndim + 1 and len(z) == len(y) and z.numel() > y.numel()


def shape_of(y: Any) -> object:
    """The shape of targets, or their type."""
    return tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
