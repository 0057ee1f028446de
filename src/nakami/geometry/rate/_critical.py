"""Critical sharpness: where along an optimizer's own step the loss begins to rise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...operators import CurvatureOperator, View, as_view, check_order, unwrapped_optimizer
from ...results import Ended, Outcome, check_fraction, told, wrong
from .._outcomes import CriticalEnding
from ._kinds import real
from ._matrix import Loss, matrix_of
from ._optimizers import Named, check_optimizer, fastest_group, make
from ._trials import FORWARD, GRADIENT, Training

WIDER = 4.0  # between two rates of the search for a bracket
REACH = 12  # of these up or down


@dataclass(frozen=True, repr=False)
class CriticalSharpness(Ended):
    """Where along its own step a loss begins to rise; made by ``nakami.critical_sharpness``.

    Attributes:
        rate: The critical rate, in the unit of the optimizer's ``lr``: geometric mean over batches,
            0 where a step raises the loss at any rate, inf where it falls at all that were tried.
        value: ``2 / rate``, the critical sharpness.
        error: Relative standard error of both over batches; None for one batch.
        rates: Of each batch, the middle of its bracket.
        brackets: Of each batch the highest rate at which the loss was below its start, and the
            lowest at which it was above, neighbours.
        tol: Largest ``log(high / low)`` of a bracket.
        loss: Name of the loss. start: its mean over the batches at the start.
        optimizer: Its name.
        n_samples: Samples of all batches. n_batches: how many.
        cost: In gradient evaluations on one batch.
        outcome: How the search ended, a ``CriticalEnding``.
    """

    rate: float
    error: float | None
    rates: tuple[float, ...]
    brackets: tuple[tuple[float, float], ...]
    tol: float
    loss: str
    start: float
    optimizer: str
    n_samples: int
    n_batches: int
    cost: float
    outcome: Outcome

    @property
    def value(self) -> float:
        """``2 / rate``."""
        return 2 / self.rate if self.rate else math.inf

    def __repr__(self) -> str:
        error = "" if self.error is None else f", error {self.error:.1%} over batches"
        return (
            f"CriticalSharpness({self.value:.4g}, rate {self.rate:.4g}{error}, {self.optimizer}, "
            f"{self.cost:.1f} gradients, {self.reason})"
        )


@told
def critical_sharpness(
    model: nn.Module | View,
    data: Any,
    loss: Loss,
    optimizer: Optimizer | str = "sgd",
    *,
    of: Any = None,
    tol: float = 0.1,
    memory_budget: int | None = None,
) -> CriticalSharpness:
    """The rate at which the optimizer's next step first raises the loss, by losses alone.

    With ``d`` the step at rate 1, the critical rate is the smallest ``r > 0`` with ``L(w - r d) >
    L(w)`` on the batch that the step is of, and the critical sharpness ``2 / r`` (Kalra et al.
    2026, arXiv 2601.16979). For plain gradient descent on a quadratic loss it is ``g H g / g g``,
    at most the largest eigenvalue of the Hessian. It needs no second derivative, and takes any
    optimizer that steps by gradients, with its state.

    Args:
        model: Any module, or a ``View`` of one; left as it was.
        data: ``(x, y)``, or batches; each gives a step of its own from the same weights.
        loss: As ``nakami.learning_rate`` takes it.
        optimizer: A name or an instance on the model's parameters; only the ratios of its rates
            count.
        of: Other data, one batch for each of ``data``: their loss is followed along the steps of
            ``data``, the **relative** critical sharpness. It says how far training on ``data`` may
            go before it hurts ``of``, from pre-training to fine-tuning or between parts of a
            mixture.
        tol: Width of the bracket, ``log(high / low)``, between 0 and 1.
        memory_budget: Bytes that the network's states may take; default 1 GiB.

    Returns:
        A ``CriticalSharpness``, with a standard error over batches.

    Raises:
        UsageError: What ``nakami.learning_rate`` refuses; ``of`` with another number of batches.

    Cost: a gradient and 7 to 9 losses for each batch, one more with ``of``. The search goes by
    factors of 4 from the rate at which the linear model of the loss is 0, then halves the bracket;
    a rise that lies below a fall it may not see. Steps are taken to be linear in the rate, as
    torch's optimizers make them.
    """
    check_order(model=model, data=data, loss=loss, optimizer=optimizer)
    optimizer = unwrapped_optimizer(optimizer)
    check_optimizer(optimizer, limit=False)
    check_fraction("tol", tol, "use 0.1")
    view = as_view(model)
    op = matrix_of(view, data, loss, memory_budget)
    followed = op if of is None else matrix_of(view, of, loss, memory_budget)
    batches, others = op.by_batch(), followed.by_batch()
    if len(batches) != len(others):
        rule = f"have as many batches as data, {len(batches)}"
        raise wrong("of", rule, len(others), "cut both alike")
    parameters: Named = dict(view.model.named_parameters())
    named = {name: parameters[name] for name in op.names}
    stepping = make(optimizer, named)
    found = [
        _bracket(batch, other, stepping, named, float(tol))
        for batch, other in zip(batches, others, strict=True)
    ]
    return _told(found, op, type(stepping).__name__, float(tol), followed.n_samples)


@dataclass(frozen=True)
class _Bracket:
    """``low`` is 0 where no rate lowers the loss, ``high`` inf where none raises it."""

    low: float
    high: float
    start: float
    cost: float

    @property
    def rate(self) -> float:
        return math.sqrt(self.low) * math.sqrt(self.high) if self.low else 0.0


def _bracket(
    batch: CurvatureOperator,
    other: CurvatureOperator,
    stepping: Optimizer,
    named: Named,
    tol: float,
) -> _Bracket:
    """Rates between which the loss of ``other`` passes its start, along a step of ``batch``."""
    training = Training(stepping, named, batch, 1.0)
    begin = training.point
    before = training.step()
    way = begin - training.point
    start = before if other is batch else other.loss_at(begin)
    lower = start - 8 * torch.finfo(way.dtype).eps * abs(start)  # what rounding leaves equal
    forwards = 0 if other is batch else 1

    def rises(rate: float) -> bool:
        nonlocal forwards
        forwards += 1
        return not other.loss_at(begin - rate * way) < lower

    low, high = crossing(rises, _first(before, way, training), tol)
    return _Bracket(low, high, start, GRADIENT + forwards * FORWARD)


def crossing(rises: Callable[[float], bool], first: float, tol: float) -> tuple[float, float]:
    """Neighbouring rates below and from which the loss rises, ``log(high / low)`` at most ``tol``.

    By factors of 4 from ``first``, then by halves. ``low`` is 0 where it rises at all that were
    tried, ``high`` inf where at none.
    """
    low = high = first
    if rises(high):
        low = 0.0
        for _ in range(REACH):
            if not rises(high / WIDER):
                low = high / WIDER
                break
            high /= WIDER
    else:
        high = math.inf
        for _ in range(REACH):
            if rises(low * WIDER):
                high = low * WIDER
                break
            low *= WIDER
    while low and high < math.inf and math.log(high / low) > tol:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if rises(middle) else (middle, high)
    return low, high


def _first(before: float, way: Tensor, training: Training) -> float:
    """Where the linear model of the loss is 0; the optimizer's own rate where that says nothing."""
    slope, at = 0.0, 0
    for copy in training.copies.values():
        size = real(copy).numel()
        if copy.grad is not None:
            part = real(copy.grad).detach().reshape(-1).double()
            slope += float(part @ way[at : at + size].double())
        at += size
    if slope > 0 and before > 0 and math.isfinite(before / slope):
        return before / slope
    return fastest_group(training.optimizer)[0]


def _told(
    found: list[_Bracket], op: CurvatureOperator, optimizer: str, tol: float, samples: int
) -> CriticalSharpness:
    n, start = len(found), sum(each.start for each in found) / len(found)
    uphill = sum(not each.low for each in found)
    endless = sum(each.low > 0 and each.high == math.inf for each in found)
    logs = torch.tensor(
        [math.log(each.rate) for each in found if each.low and each.high < math.inf],
        dtype=torch.float64,
    )
    rate = float(logs.mean().exp()) if len(logs) else (0.0 if uphill else math.inf)
    error = float(logs.std() / len(logs) ** 0.5) if len(logs) > 1 else None
    numbers = {"batches": n, "rate": rate, "uphill": uphill, "endless": endless}
    kind = CriticalEnding.FOUND
    if uphill or endless:
        kind = CriticalEnding.UPHILL if uphill else CriticalEnding.ENDLESS
    return CriticalSharpness(
        rate=rate, error=error, rates=tuple([each.rate for each in found]),
        brackets=tuple([(each.low, each.high) for each in found]), tol=tol, loss=op.loss,
        start=start, optimizer=optimizer, n_samples=samples, n_batches=n,
        cost=sum(each.cost for each in found), outcome=Outcome(kind, numbers),
    )  # fmt: skip
