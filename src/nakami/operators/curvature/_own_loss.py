"""Losses of the caller's own: a function of outputs and targets, or what the model returns."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...results import (
    PYTHON,
    UsageError,
    function_name,
    needed_arguments,
    raised,
    shown_call,
    takes_arguments,
    wrong,
    wrong_type,
)
from ..model._composites import Composites
from ..model._example import leaves_of, mapped, shapes_of
from ..model._functional_model import FunctionalModel, Reader
from ..model._parameters import Parameters
from ._criterion import FOR_CLASSES, Criterion, check_shapes, every_example, of_classes
from ._outputs import Formed, one_output, own_loss, whole
from ._pieces import Part, rows
from ._weights import between, slices_of, some_weights

OF_MODEL = (
    f"{PYTHON}pass loss=None for the loss that the model returns when its labels are in the batch"
)
OF_PAIRS = (  # torch's losses that broadcast outputs and targets of two shapes
    functional.l1_loss,
    functional.smooth_l1_loss,
    functional.huber_loss,
    functional.mse_loss,
    nn.L1Loss.forward,
    nn.SmoothL1Loss.forward,
    nn.HuberLoss.forward,
)


class OwnLoss(Criterion):
    """A function of the caller's own: a sum, or a mean whose weights are measured.

    Attributes:
        counts: What its value counts in the mean over the data; default the number of examples.
    """

    counts: float | None = None
    _writes: bool | None = None  # whether it writes to what it gets; None until it was called

    def __init__(self, loss: Callable[[Any, Any], Tensor]):
        super().__init__(loss)
        self.name = getattr(loss, "__name__", type(loss).__name__)
        if not takes_arguments(loss, 2):
            rule, way_out = "take two arguments, (outputs, targets)", f"wrap it: {_wrapped(loss)}"
            raise wrong_type("loss", rule, shown_call(loss), way_out)
        self._before = self._versions()

    def reader(self, network: FunctionalModel) -> Reader:
        return one_output if _of_torch(self.given) or network.select is not None else whole

    def failed_on_outputs(self, error: UsageError) -> bool:
        return error.argument == "loss" and isinstance(error.__cause__, Exception)

    def current(self) -> OwnLoss:
        other = copy.copy(self)
        other._before = other._versions()
        return other

    def of_batches(self, batches: Sequence[Part], counts: Sequence[int]) -> Sequence[OwnLoss]:
        sums, shares, measured = between(self._value, batches, counts)
        found = [self._weighing(1.0 if sums else share, sums) for share in shares]
        for loss in found:
            loss.joins = measured
        return found

    def of_parts(self, whole: Part, parts: Sequence[Part]) -> Sequence[OwnLoss] | None:
        assert self.counts is not None  # its batch was weighed
        here = slices_of([len(z) for z, _ in parts])
        pieces = [rows(at, y) for at, (_, y) in zip(here, parts, strict=True)]
        found = some_weights(self._value, whole, pieces)
        if found is None:
            return None
        return [self._weighing(self.counts * w, self.sums) for w in found]

    def _weighing(self, counts: float, sums: bool) -> OwnLoss:
        other = copy.copy(self)
        other.counts, other.sums = counts, sums
        return other

    def check(self, z: Tensor, y: Any) -> Tensor:
        bare = getattr(self.given, "func", self.given)  # of a partial function
        if bare in OF_PAIRS or getattr(type(bare), "forward", None) in OF_PAIRS:
            check_shapes(z, y)
        value: Tensor
        try:
            with torch.enable_grad():
                value = self._value(z.detach().requires_grad_(), y)
        except UsageError:
            raise
        except Exception as error:
            raise self._raised(error, z, y) from error
        if not value.requires_grad:
            rule, got = "follow the outputs by a gradient", "a value that has none"
            way_out = "take detach(), .data, no_grad and argmax (an accuracy) out of the loss"
            raise wrong("loss", rule, got, way_out)
        return value.detach()

    def check_reads(self, at: Parameters, x: Any, z: Tensor, y: Any) -> None:
        """As for every loss: the products here differentiate the outputs, and nothing beside them.

        Looked at while the model holds its weights, right after a run, which may leave on the model
        what the loss reads. Cost: a run of the network.
        """
        if _of_torch(self.given):
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
        if self._writes is not False:
            z, y = z.clone(), mapped(y, torch.clone)
        held = [z, *leaves_of(y)]
        if isinstance(y, Formed):
            z, y = y.form.outputs(z), y.y
        if self._versions() != self._before:
            rule = "keep its own parameters and buffers while an operator of it is in use"
            raise wrong("loss", rule, "others", "take op.at_current_weights()")
        before = [leaf._version for leaf in held]
        with Composites():
            value: Any = self.given(z, y)
        if self._writes is None:
            self._writes = before != [leaf._version for leaf in held]
        return returned(value)

    def _raised(self, error: Exception, z: Any, y: Any) -> UsageError:
        if isinstance(y, Formed):
            z, y = y.form.outputs(z), y.y
        where = f"{function_name(self.given)} of outputs {shapes_of(z)} and targets {shapes_of(y)}"
        ways = ["call loss(model(x), y) yourself to see where", "wrap it: lambda z, t: loss(z, t)"]
        if "loss" in (getattr(error, "name", None), *map(str, error.args)):
            ways = [OF_MODEL]
        if of_classes(z, y) and isinstance(error, (RuntimeError, ValueError)):
            ways = FOR_CLASSES
        if self.given is functional.binary_cross_entropy or isinstance(self.given, nn.BCELoss):
            ways = ['take "bce_with_logits" for outputs without a sigmoid', *ways]
        return raised("loss", error, where, ways)

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
        self.name, self.sample = "the model's own loss", "an example (a row of the batch)"

    def reader(self, network: FunctionalModel) -> Reader:
        return own_loss

    def failed_on_outputs(self, error: UsageError) -> bool:
        return False

    def check_reads(self, at: Parameters, x: Any, z: Tensor, y: Any) -> None:
        """Nothing stands beside the output, which is the loss."""

    def samples(self, z: Tensor, y: Any) -> Tensor:
        assert self.counts is not None  # its batch was weighed
        return torch.ones(int(self.counts), dtype=torch.bool)  # of the examples: z is one number


def returned(value: Any) -> Tensor:
    """What a loss returned, if that is a real number in a tensor."""
    if not isinstance(value, Tensor):
        ways = ["compute it with torch, not .item()"]
        if value is None:
            ways = ["end the function with return", OF_MODEL]
        elif hasattr(value, "loss"):
            ways = ["pass lambda z, t: loss(z, t).loss"]
        elif isinstance(value, (tuple, list, dict)):
            ways = ["return the loss alone"]
        raise wrong_type("loss", "return a tensor", type(value).__name__, ways)
    if value.ndim:
        got = f"shape {tuple(value.shape)}"
        raise wrong("loss", "return a scalar", got, "return its mean, loss.mean()")
    if value.is_complex():
        way_out = "return its .real, or the mean of .abs()"
        raise wrong_type("loss", "return a real number", value.dtype, way_out)
    return value


def _slopes(value: Tensor, weights: Iterable[Tensor]) -> tuple[Tensor | None, ...]:
    """Gradients by some weights; the graph stays, for part of it may be the caller's."""
    return torch.autograd.grad(value, list(weights), retain_graph=True, allow_unused=True)


def _of_torch(loss: Any) -> bool:
    """Whether it is torch's own, a function or a module."""
    home = getattr(getattr(loss, "func", loss), "__module__", None) or ""
    return home.startswith("torch.")


def _wrapped(loss: Any) -> str:
    """What to type for a loss of other arguments than outputs and targets."""
    names = needed_arguments(loss)
    if not _of_torch(loss) or len(names) < 2:
        inside = "z" if len(names) == 1 else "z[0], t, z[1]"
        return f"lambda z, t: loss({inside})"
    aims = [name for name in names if "target" in name or "length" in name]
    rest = [name for name in names if name not in aims]
    taken = {n: f"t[{i}]" if len(aims) > 1 else "t" for i, n in enumerate(aims)}
    taken |= {n: f"z[{i}]" if len(rest) > 1 else "z" for i, n in enumerate(rest)}
    return f"lambda z, t: loss({', '.join(taken[name] for name in names)})"
