"""What `nakami lr` stores: limit, advice, spectrum, gradient noise, and the theory beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ...operators import CurvatureOperator, View, as_view, check_order, criterion
from ...results import Keep, Outcome, Plotted, Progress, UsageError, at_once, check_callable, told
from .._outcomes import TheoryEnding
from ._eigenvalues import Eigenvalues, eigenvalues_of
from ._first_look import NAME, FirstLook, first_look
from ._learning_rate import read_advice
from ._matrix import Loss, matrix_of, named_of
from ._optimizers import check_optimizer
from ._progress import Parts
from ._rate_limit import Filling, parts_of, read_limit
from ._result import LearningRate, RateLimit
from ._rule import Rule
from ._search import DEFAULT, LimitOptions, Search
from ._trials import Training

COMMON = ("optimizer", "loss", "sample", "batch_normalisation")


@dataclass(frozen=True)
class WideTheory:
    """What the theory of wide random networks predicts, see ``nakami.theory.meanfield``.

    Attributes:
        low: ``lambda_max`` of the loss: at infinite width, or the lower bound for cross-entropy.
        high: Its upper end: at the network's widths, or the upper bound.
        limit: Learning rates that these allow, from that of ``high`` to that of ``low``; None for
            optimizers that divide by running squares, have groups of several rates or leave
            parameters out, which the theory does not cover. Weight decay is left out.
        widths: Of the layers. activations: Of the hidden ones.
        assumed: Its assumptions. doubts: Which of them do not hold here.
        bounds: Whether ``low`` and ``high`` are a lower and an upper bound, for cross-entropy.
    """

    low: float
    high: float
    limit: tuple[float, float] | None
    widths: tuple[int, ...]
    activations: tuple[str, ...]
    assumed: tuple[str, ...]
    doubts: tuple[str, ...]
    bounds: bool


@dataclass(frozen=True, repr=False)
class LearningRateReport(Plotted):
    """Made by ``learning_rate_report``.

    Attributes:
        rate: The advice.
        limit: The limit, and the noise of the batches' gradients. Of an optimizer that divides by
            averages and has none yet, it is that of the weights where the best trial ended.
        eigenvalues: Of the loss's Gauss-Newton matrix at the present weights; None where the
            loss has no root (a function of one's own), or it was not asked for. Of the first
            batches alone where all would take more than about a minute of one core.
        theory: What theory predicts, or None.
        theory_outcome: Whether it covers the network and the loss, a ``TheoryEnding``.
        value: The loss of all data at the present weights (that of ``limit`` belongs to where
            Adam's trial ended).
        batch: Samples of the first batch.
        first: What was seen of the limit before the trials.
    """

    rate: LearningRate
    limit: RateLimit
    eigenvalues: Eigenvalues | None
    theory: WideTheory | None
    theory_outcome: Outcome
    value: float
    batch: int
    first: FirstLook

    def __repr__(self) -> str:
        return f"LearningRateReport({self.rate!r}, {self.limit!r})"

    def as_dict(self) -> dict[str, Any]:
        """The numbers and words of all parts but ``first``, which ``limit`` makes sharper.

        What ``rate`` and ``limit`` have in common is that of ``rate``, here without a schedule.
        """
        left_out = {f"first_{name}" for name in self.first.as_dict()}
        left_out |= {f"limit_{name}" for name in COMMON}
        left_out |= {"rate_training", "rate_schedule", "rate_warmup"}
        return {k: v for k, v in super().as_dict().items() if k not in left_out}

    @property
    def why_not(self) -> str:
        """Why there is no theory, in words; empty where there is one."""
        return self.theory_outcome.reason


@told
def learning_rate_report(
    model: nn.Module | View,
    data: Any,
    loss: Loss,
    optimizer: Optimizer | str = "sgd",
    *,
    spectrum: bool = True,
    options: LimitOptions = DEFAULT,
    seed: int = 0,
    progress: Progress | None = None,
    memory_budget: int | None = None,
    keep: Keep = at_once,
) -> LearningRateReport:
    """A learning rate's limit and advice, with the spectrum and the theory, for a page or a table.

    Args:
        model: As ``nakami.learning_rate`` takes it.
        data: Likewise.
        loss: Likewise.
        optimizer: Likewise.
        spectrum: Whether to read how all eigenvalues lie.
        options: As ``nakami.rate_limit`` takes it.
        seed: Of the random starts and probes.
        progress: As ``nakami.learning_rate`` takes it.
        memory_budget: Bytes that the network's states may take between products; default 1 GiB.
        keep: Called as ``keep(name, make)`` for each part (``first-look``, ``advice``,
            ``rate-limit``, ``theory``, ``eigenvalues``), and inside these for each largest
            eigenvalue (``limit``, ``limit-1``, ...); gives ``make()``, or what an earlier call with
            the same model, data and options has left. ``nakami.results.RecordFolder.kept`` is one.

    Raises:
        UsageError: What ``nakami.rate_limit`` refuses.
    """
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    check_order(model=model, data=data, loss=loss, optimizer=optimizer)
    criterion(loss)
    check_optimizer(optimizer)
    view, search = as_view(model), Search(options, seed, memory_budget, keep)
    op = matrix_of(view, data, loss, memory_budget)

    first = parts_of(op, options) + 2
    parts = Parts(progress, first + 2)
    look = keep(NAME, lambda: first_look(op, named_of(view.model, op), optimizer, search.seed))
    parts.done(f"first look: {look.reason}")
    training: Training | None = None

    def advise() -> tuple[LearningRate, float | None]:
        nonlocal training
        found, training = read_advice(op, view.model, optimizer, parts)
        return found, None if training is None else training.rate

    rate, best = keep("advice", advise)
    found = "no advice" if rate.advised is None else f"advised rate {rate.advised:.3g}"
    parts.done(f"{found}, now the limit")

    def limited() -> tuple[RateLimit, bool]:
        filling = Filling(rate.steps, best, training)
        return read_limit(op, view.model, optimizer, search, filling, parts), search.plain

    limit, plain = keep("rate-limit", limited)
    parts.done("now theory", first - parts.count)
    rule = limit.rule if plain else None
    theory, covered = keep("theory", lambda: _theory(view, op, rule))
    parts.done("theory, now eigenvalues")
    eigenvalues = keep("eigenvalues", lambda: eigenvalues_of(op, search)) if spectrum else None
    parts.done("eigenvalues")
    batch = op.by_batch()[0].n_samples
    return LearningRateReport(rate, limit, eigenvalues, theory, covered, op.value, batch, look)


def _theory(
    view: View, op: CurvatureOperator, rule: Rule | None
) -> tuple[WideTheory | None, Outcome]:
    """The prediction, or why there is none; ``rule`` is that of all parameters at one rate."""
    from ...theory import meanfield  # with SciPy, which the first answer does not wait for

    squared = op.likelihood == "mse"
    if not squared and op.likelihood != "cross_entropy":
        return None, Outcome(TheoryEnding.LOSS, {"loss": op.loss})
    if view.forward is not None or view.select is not None:
        return None, Outcome(TheoryEnding.VIEW)
    frozen = [name for name, _ in view.model.named_parameters() if name not in op.names]
    if frozen:
        return None, Outcome(TheoryEnding.FROZEN, {"name": frozen[0]})
    pieces = op.examples()
    if any(len(x) != 1 or not x[0].is_floating_point() or z.ndim < 2 for x, z in pieces):
        return None, Outcome(TheoryEnding.INPUTS)
    inputs, z = torch.cat([x[0] for x, _ in pieces]), torch.cat([z for _, z in pieces])
    try:
        found = meanfield.describe(view.model, inputs)
        factor = op.scale * len(z)  # of the mean over samples
        if squared:
            low, high = found.statistics.largest, found.statistics.largest_edge
            factor *= 2
        else:
            bounds = meanfield.cross_entropy_bounds(found.order, z.softmax(1).cpu().numpy())
            low, high = bounds.lower, bounds.upper
    except UsageError as error:
        return None, Outcome(TheoryEnding.NETWORK, {"why": str(error).rstrip(".")})
    limits = None
    if rule is not None:
        limits = rule.limit(factor * high), rule.limit(factor * low)
    theory = WideTheory(
        factor * low, factor * high, limits, found.widths, found.activations, found.assumed,
        found.doubts, not squared,
    )  # fmt: skip
    return theory, Outcome(TheoryEnding.COVERED)
