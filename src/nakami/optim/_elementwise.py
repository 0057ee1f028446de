"""What optimizers share whose step treats each number of a weight alone.

A class says its running averages, its moves and the correction for averages that began empty; the
rest, options as torch's optimizers have them, is here. Complex weights are pairs of real numbers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from ._arithmetic import SMALL, Arithmetic, Lists, Number, Pieces, Values
from ._dense import check_dense
from ._settings import check_shared

Group = Mapping[str, Any]
Tensors = list[Tensor]
Part = tuple[Group, list[Tensors], Tensors]  # a group, its weights, gradients, averages, and counts


class Pace(NamedTuple):
    """Weights of one type, device and count of steps, and how far they go.

    Attributes:
        places: In the lists of their group.
        rate: Of their moves. shrink: What decoupled weight decay multiplies them by.
    """

    places: list[int]
    rate: Number
    shrink: Number


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
        parts: list[Part] = []
        for group in self.param_groups:
            weights: Tensors = []
            grads: Tensors = []
            steps: Tensors = []
            averages: list[Tensors] = [[] for _ in self.averages]
            self._init_group(group, weights, grads, steps, *averages)
            if weights:
                parts.append((group, [weights, grads, *averages], steps))
        compiling = torch.compiler.is_compiling()
        known = (self._known_apart if compiling else self._known)(parts, compiling)
        for (settings, roles, steps), paces in zip(parts, known, strict=True):
            for pace in self._captured(settings, roles[0], steps) if paces is None else paces:
                own = [[_real(role[i]) for i in pace.places] for role in roles]
                for with_, row in _rows(own, settings["foreach"], compiling or paces is None):
                    self._update(with_, settings, row, pace)
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
            check_dense(p.grad)
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

    def _known(self, parts: list[Part], as_tensors: bool) -> list[list[Pace] | None]:
        """Count steps and find rates where counts lie in the main memory; None for other parts.

        Reading a number there waits for no device. A compiled step takes rates from here, as
        tensors: in its kernels they would be computed again for every few numbers.
        """
        found: list[list[Pace] | None] = []
        for group, (weights, *_), steps in parts:
            if group["capturable"]:
                found.append(None)
                continue
            torch._foreach_add_(steps, 1)
            lr, decay, paces = _single(group["lr"]), group["weight_decay"], []
            counts = [float(step) for step in steps]
            for places in _alike(weights, counts):
                rate, shrink = lr * self.correction(counts[places[0]], group), 1 - lr * decay
                if as_tensors:
                    rate, shrink = (torch.as_tensor(x, dtype=torch.float64) for x in (rate, shrink))
                paces.append(Pace(places, rate, shrink))
            found.append(paces)
        return found

    # torch.compiler.disable, which imports the compiler only when this is called
    _known_apart = torch._disable_dynamo(_known)

    def _captured(self, group: Group, weights: Tensors, steps: Tensors) -> list[Pace]:
        """Count steps and find rates without reading a number."""
        torch._foreach_add_(steps, 1)
        lr, paces = _single(group["lr"]), []
        for places in _alike(weights, [0.0] * len(weights)):
            wide = torch.promote_types(weights[places[0]].dtype, torch.float32).to_real()
            rates = [lr * self.correction(steps[i].to(wide), group) for i in places]
            paces.append(Pace(places, rates, 1 - lr * group["weight_decay"]))
        return paces

    def _update(self, with_: Arithmetic, group: Group, row: list[Values], pace: Pace) -> None:
        weights, grads, *averages = row
        if group["maximize"]:
            grads = with_.neg(grads)
        if group["weight_decay"] and group["decoupled_weight_decay"]:
            with_.mul_(weights, pace.shrink)
        elif group["weight_decay"]:
            grads = with_.add(grads, weights, group["weight_decay"])
        moves = self.moves(with_, grads, averages, group)
        if isinstance(pace.rate, float):
            with_.add_(weights, moves, -pace.rate)
        else:
            with_.mul_(moves, pace.rate)
            with_.add_(weights, moves, -1)


def _rows(
    roles: list[Tensors], foreach: bool | None, on_device: bool
) -> Iterator[tuple[Arithmetic, list[Values]]]:
    """The tensors as they are updated, and with what; the numbers that come out are the same."""
    first = roles[0][0]
    own = all(type(tensor) in (Tensor, torch.nn.Parameter) for tensor in roles[0])
    cut = own and first.is_cpu and not on_device
    lists, pieces = Lists(), Pieces(first.dtype, max(tensor.numel() for tensor in roles[0]))
    if on_device or (not cut and (foreach or (foreach is None and own and first.is_cuda))):
        yield lists, roles
        return
    columns = list(zip(*roles, strict=True))
    small = [column for column in columns if cut and column[0].numel() <= SMALL]
    if small:
        yield lists, [list(role) for role in zip(*small, strict=True)]
    for column in columns:
        if cut and column[0].numel() <= SMALL:
            continue
        if cut and all(tensor.is_contiguous() for tensor in column):
            yield from ((pieces, piece) for piece in pieces.of(column))
        else:
            yield lists, [[tensor] for tensor in column]


def _alike(weights: Tensors, counts: Sequence[float]) -> Iterable[list[int]]:
    """Places of weights with one type, device and count of steps."""
    found: dict[Hashable, list[int]] = {}
    for i, (weight, count) in enumerate(zip(weights, counts, strict=True)):
        found.setdefault((weight.dtype, weight.device, count), []).append(i)
    return found.values()


def _single(lr: float | Tensor) -> Any:
    return lr.squeeze() if isinstance(lr, Tensor) else lr


def _real(values: Tensor) -> Tensor:
    return torch.view_as_real(values) if values.is_complex() else values


def _count_type() -> torch.dtype:
    """Of torch's own counters."""
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32
