"""What optimizers share whose step treats each number of a weight alone.

A class says its running averages, its moves and the correction for averages that began empty; the
rest, options as torch's optimizers have them, is here. Complex weights are pairs of real numbers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..results import wrong
from ._arithmetic import Arithmetic, Lists, Number, Pieces, Values
from ._settings import check_shared

Group = Mapping[str, Any]
Tensors = list[Tensor]


class Elementwise(Optimizer):
    """``w <- w - lr correction(t) moves``, moves by the gradient and its running averages.

    Attributes:
        averages: Keys of the state that have the weight's shape and start at 0; beside them
            ``step``, the number of steps made, a tensor without dimensions.
    """

    averages: ClassVar[tuple[str, ...]]

    @staticmethod
    @abstractmethod
    def check(group: Group) -> None:
        """Refuse settings of its own that are out of range."""

    @staticmethod
    @abstractmethod
    def moves(with_: Arithmetic, grads: Values, averages: list[Values], group: Group) -> Values:
        """Update the averages in place; in new memory what is subtracted at rate 1."""

    @staticmethod
    @abstractmethod
    def correction(step: Any, group: Group) -> Any:
        """The factor of the rate in a step, counted from 1; a number or a tensor as ``step`` is."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; settings it leaves out are the optimizer's.

        Raises:
            UsageError: A setting out of range.
        """
        if isinstance(param_group, dict):
            settings = {**self.defaults, **param_group}
            check_shared(settings)
            self.check(settings)
        super().add_param_group(param_group)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Make one step by the gradients that stand in ``.grad``; weights without one stay.

        Args:
            closure: Evaluates the loss and its gradients again before the step.

        Returns:
            What the closure returned, or None.

        Raises:
            UsageError: A gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights: Tensors = []
            grads: Tensors = []
            steps: Tensors = []
            averages: list[Tensors] = [[] for _ in self.averages]
            self._init_group(group, weights, grads, steps, *averages)
            if weights:
                self._step_group(group, [weights, grads, *averages], steps)
        return loss

    def _init_group(
        self,
        group: dict[str, Any],
        weights: Tensors,
        grads: Tensors,
        steps: Tensors,
        *rest: Tensors,
    ) -> None:
        """Fill the lists with what has a gradient; torch.compile runs it beforehand."""
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.is_sparse:
                got = f"a sparse one for a weight of shape {tuple(p.shape)}"
                way_out = "build the embedding with sparse=False or use torch.optim.SparseAdam"
                raise wrong("gradients", "be dense", got, way_out)
            state = self.state[p]
            if not state:
                place = p.device if group["capturable"] else None
                state["step"] = torch.zeros((), dtype=_count_type(), device=place)
                for key in self.averages:
                    state[key] = torch.zeros_like(p, memory_format=torch.preserve_format)
            weights.append(p)
            grads.append(p.grad)
            steps.append(state["step"])
            for found, key in zip(rest, self.averages, strict=True):
                found.append(state[key])

    def _step_group(self, group: Group, roles: list[Tensors], steps: Tensors) -> None:
        torch._foreach_add_(steps, 1)
        on_device = group["capturable"] or torch.compiler.is_compiling()
        lr = group["lr"].squeeze() if isinstance(group["lr"], Tensor) else group["lr"]
        # A count in the main memory is read without waiting for a device.
        counts = [None if on_device else float(step) for step in steps]
        for places in _alike(roles[0], counts):
            own = [[_real(role[i]) for i in places] for role in roles]
            rate: Number
            if on_device:
                wide = torch.promote_types(own[0][0].dtype, torch.float32)
                rate = [lr * self.correction(steps[i].to(wide), group) for i in places]
            else:
                rate = lr * self.correction(counts[places[0]], group)
            for with_, row in _rows(own, group["foreach"], on_device):
                self._update(with_, group, row, lr, rate)

    def _update(
        self, with_: Arithmetic, group: Group, row: list[Values], lr: Any, rate: Number
    ) -> None:
        weights, grads, *averages = row
        decay = group["weight_decay"]
        if group["maximize"]:
            grads = with_.neg(grads)
        if decay and group["decoupled_weight_decay"]:
            with_.mul_(weights, 1 - lr * decay)
        elif decay:
            grads = with_.add(grads, weights, decay)
        moves = self.moves(with_, grads, averages, group)
        if isinstance(rate, float):
            with_.add_(weights, moves, -rate)
        else:
            with_.mul_(moves, rate)
            with_.add_(weights, moves, -1)


def _rows(
    roles: list[Tensors], foreach: bool | None, on_device: bool
) -> Iterator[tuple[Arithmetic, list[Values]]]:
    """The tensors as they are updated, and with what; the numbers that come out are the same."""
    first = roles[0][0]
    own = all(type(tensor) in (Tensor, torch.nn.Parameter) for tensor in roles[0])
    cut = own and first.is_cpu and not on_device
    lists, pieces = Lists(), Pieces(first.dtype)
    if on_device or (not cut and (foreach or (foreach is None and own and first.is_cuda))):
        yield lists, roles
        return
    for column in zip(*roles, strict=True):
        if cut and all(tensor.is_contiguous() for tensor in column):
            yield from ((pieces, piece) for piece in pieces.of(column))
        else:
            yield lists, [[tensor] for tensor in column]


def _alike(weights: Tensors, counts: Sequence[float | None]) -> Iterable[list[int]]:
    """Places of weights with one type, device and count of steps."""
    found: dict[Hashable, list[int]] = {}
    for i, (weight, count) in enumerate(zip(weights, counts, strict=True)):
        found.setdefault((weight.dtype, weight.device, count), []).append(i)
    return found.values()


def _real(values: Tensor) -> Tensor:
    return torch.view_as_real(values) if values.is_complex() else values


def _count_type() -> torch.dtype:
    """Of torch's own counters."""
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32
