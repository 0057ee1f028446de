"""The limit of an optimizer's learning rate at the present weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...operators import CurvatureOperator, View, as_view, ggn
from ...results import Outcome, RunError
from ...spectra import (
    EighResult,
    LinearOperator,
    Scaled,
    check_at_least,
    check_budget,
    check_seed,
    eigh,
)
from .._outcomes import LimitEnding
from ._advice import Advice, advised, default_steps
from ._cost import FORWARD, GRADIENT, PRODUCT
from ._noise import noise_of
from ._optimizers import (
    Coordinates,
    adaptive,
    check_optimizer,
    coordinates,
    fastest_rule,
    make,
    started,
)
from ._result import LearningRate
from ._stability import limit
from ._training import Training


@dataclass(frozen=True)
class LimitOptions:
    """How the limit of a learning rate is computed.

    Args:
        batches: Read the first so many batches; default all. Trials take all of them.
        each_batch: Whether each of these batches is also read alone, for its own limit and for the
            noise of the gradients.
        tol: Bound on the estimated relative error of the eigenvalues.

    Raises:
        UsageError: ``batches`` is no whole number from 1 on.
    """

    batches: int | None = None
    each_batch: bool = True
    tol: float = 1e-3

    def __post_init__(self) -> None:
        if self.batches is not None:
            check_at_least("batches", self.batches, 1, "leave it out for all")


@dataclass(frozen=True)
class Search:
    """A search for the largest eigenvalue: its options, seed, and memory in bytes."""

    options: LimitOptions
    seed: int
    budget: int

    def top(self, matrix: LinearOperator, start: Tensor | None = None) -> EighResult:
        """The largest eigenvalue, from a guess of its vector where there is one."""
        return eigh(
            matrix, 1, self.options.tol, seed=self.seed, memory_budget=self.budget, start=start
        )


DEFAULT = LimitOptions()
FILLING = 20  # steps that fill Adam's denominators, without advice


def learning_rate(
    model: nn.Module | View,
    data: Any,
    loss: nn.Module | str | Callable[[Tensor, Any], Tensor],
    optimizer: Optimizer | str = "sgd",
    *,
    advise: bool = True,
    trial_steps: int | None = None,
    limit: LimitOptions = DEFAULT,
    seed: int = 0,
    memory_budget: int | None = None,
) -> LearningRate:
    """A learning rate to train with, and the one above which steps grow, at the present weights.

    **The limit.** Along an eigenvector of the loss's Gauss-Newton matrix ``G`` a step is linear; it
    shrinks below

    * gradient descent ``2 / l``, with ``l`` the largest eigenvalue of ``G``;
    * momentum ``m``, dampening ``d``: ``2 (1 + m) / ((1 - d) l)``;
    * Nesterov's momentum ``2 (1 + m) / ((1 + 2 m) l)``;
    * Adam ``2 (1 + b1) / ((1 - b1) l)`` with ``l`` of ``D^-1/2 G D^-1/2``, ``D`` its denominators
      ``sqrt(v) + eps``, held: real Adam changes them and may bear more.

    Weight decay is in. The limit is **local**: exact where residuals are tiny; with larger ones
    the loss rises above it, and may come down again in a flatter place.

    **The advice**, for the first hundreds of steps at a constant rate, comes from short trainings
    on copies: sharpness moves early, and the limit at the start says little about it. The first
    rate tried is the best one along the first step by the curvature; further ones are a factor of
    2.15 or 4.6 apart, ``trial_steps`` steps each.

    Args:
        model: Any module, or a ``View`` of one; read in evaluation mode, left as it was.
        data: ``(x, y)``, or an iterable of such batches, read once and held: a loader in random
            order does no harm, an endless one must be cut.
        loss: A torch loss, its name, or a function, as ``nakami.fisher`` takes it.
        optimizer: ``"sgd"``, ``"momentum"`` (0.9), ``"nesterov"`` (0.9), ``"adam"``, ``"adamw"``
            with torch's defaults, or an instance of torch's ``SGD``, ``Adam`` or ``AdamW`` on the
            model's parameters. Only the ratios of its rates count, but for the
            trials without advice.
        advise: Whether to try rates on copies. Dropout is off there, as in all that is read.
        trial_steps: Steps of a trial; default 20 plus the optimizer's memory, 30 for
            0.9. Without advice, steps on a copy that fill Adam's denominators where the optimizer
            has none yet, at its own rate (by name 1e-3), default 20. Either way Adam's limit is
            read where these steps ended. Batches are taken in turn.
        limit: How the limit is computed: from how many batches, how accurately.
        seed: Seed of the search's random start; the global random state is not touched.
        memory_budget: Bytes for what is kept of the network between products; default 1 GiB.

    Returns:
        A ``LearningRate``; rates in the unit of the optimizer's ``lr``.

    Raises:
        UsageError: What ``nakami.fisher`` refuses; an optimizer of another kind, of other
            parameters, without a rate, with ``maximize`` or a momentum of 1 and more.
        RunError: The trial steps without advice diverged.

    Cost: some ten products with ``G`` over the data for each eigenvalue (one of all data, one of
    each batch, one more for Adam and for groups); the advice about 100 gradients. ``cost`` says it.
    Memory: the trials hold weights and optimizer's state for each rate tried, some six of them.
    Source: Cohen et al., arXiv 2103.00065 (momentum) and 2207.14484 (Adam); Karakida, Akaho &
    Amari, AISTATS 2019 (Fisher information and learning rates).
    """
    check_optimizer(optimizer)
    if trial_steps is not None:
        check_at_least("trial_steps", trial_steps, 1, "leave it out")
    view, search = as_view(model), Search(limit, check_seed(seed), check_budget(memory_budget))
    op = ggn(view, data, loss, memory_budget=memory_budget)
    return read_rate(op, view.model, optimizer, search, advise=advise, trial_steps=trial_steps)


def read_rate(
    op: CurvatureOperator,
    model: nn.Module,
    optimizer: Optimizer | str,
    search: Search,
    *,
    advise: bool = True,
    trial_steps: int | None = None,
) -> LearningRate:
    """What ``learning_rate`` returns, from the Gauss-Newton matrix of its data; all is checked."""
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    named = {name: parameters[name] for name in op.names}
    stepping = make(optimizer, named)
    kind, source, spent = type(stepping).__name__, "", len(op.by_batch()) * FORWARD
    options = search.options
    read = op if options.batches is None else op.first(options.batches)
    advice: Advice | None = None
    if advise:
        rule = fastest_rule(stepping)
        advice = advised(stepping, named, op, rule, trial_steps or default_steps(rule))
        spent += advice.cost
    noise = noise_of(read, search.budget) if options.each_batch else None
    spent += noise.n_batches * GRADIENT if noise else 0.0
    if adaptive(stepping):
        source = "the optimizer's state"
        if not started(stepping, named):
            training = advice.training if advice else None
            if training is None:
                training = _filled(Training(stepping, named, read), trial_steps or FILLING)
                spent += len(training.losses) * GRADIENT
            source = training.said
            stepping, named, read = training.optimizer, training.copies, training.arrived(read)
    frame = coordinates(stepping, named, read)
    reading = _Reading(frame, search, spent)
    found = replace(reading.result(read, kind, source), noise=noise)
    if advice is None:
        return found
    return replace(
        found,
        advised=advice.rate,
        interval=advice.interval,
        advice_outcome=advice.outcome,
        advice_notes=advice.notes,
        trials=advice.trials,
        advice_cost=advice.cost + len(op.by_batch()) * FORWARD,
    )


def _filled(training: Training, steps: int) -> Training:
    """A training after some steps."""
    for _ in range(steps):
        training.step()
    if not bool(torch.isfinite(training.point).all()):
        raise RunError(
            f"{steps} trial steps led to weights that are not finite; lower the optimizer's "
            "learning rate."
        )
    return training


class _Reading:
    """Eigenvalues in an optimizer's coordinates, with what they cost.

    Attributes:
        cost: In gradient evaluations on one batch. ends: How each search ended.
    """

    def __init__(self, frame: Coordinates, search: Search, cost: float):
        self.frame, self.search = frame, search
        self.cost, self.ends = cost, list[EighResult]()

    def result(self, op: CurvatureOperator, kind: str, source: str) -> LearningRate:
        """All that is read of the matrix of all data, and of each batch."""
        frame, batches = self.frame, op.by_batch()
        n = len(batches)
        sharpness, relative = self.sharpness(op, n)
        shift = frame.common_shift
        if frame.plain and shift is not None:
            lambda_max = sharpness - shift
        else:
            lambda_max = self.top(op, op, n)[0]
        alone = batches if self.search.options.each_batch and n > 1 else []
        warm = self.ends[0].vectors
        each = tuple(self.sharpness(part, 1, warm)[0] for part in alone) or (sharpness,)
        found = limit(frame.rule, sharpness)
        return LearningRate(
            limit=found,
            error=found * relative if found < float("inf") else 0.0,
            limits=tuple(found * rate if rate else 0.0 for rate in frame.rates),
            lambda_max=lambda_max,
            sharpness=sharpness,
            batch_sharpness=each,
            batch_limit=limit(frame.rule, max(each)),
            rule=frame.rule,
            optimizer=kind,
            preconditioner=source,
            loss=op.loss,
            value=op.value,
            matrix="Gauss-Newton, the loss's own reduction",
            n_samples=op.n_samples,
            sample=op.sample,
            n_batches=n,
            cost=self.cost,
            seed=self.search.seed,
            outcome=self._outcome(sharpness),
        )

    def _outcome(self, sharpness: float) -> Outcome:
        missed = [end.outcome for end in self.ends if not end.converged]
        if not missed and not sharpness > 0:
            return Outcome(LimitEnding.NO_CURVATURE)
        return [*missed, self.ends[0].outcome][0]

    def sharpness(
        self, op: CurvatureOperator, n_batches: int, start: Tensor | None = None
    ) -> tuple[float, float]:
        """Largest eigenvalue in the optimizer's coordinates, and its relative error."""
        frame, shift = self.frame, self.frame.common_shift
        matrix: LinearOperator = op
        if not frame.plain or shift is None:
            matrix = Scaled(op, frame.scale, frame.shift if shift is None else None)
        value, relative = self.top(matrix, op, n_batches, start)
        moved = value + (shift or 0.0)
        return moved, relative * value / moved if moved else 0.0

    def top(
        self,
        matrix: LinearOperator,
        op: CurvatureOperator,
        n_batches: int,
        start: Tensor | None = None,
    ) -> tuple[float, float]:
        """Largest eigenvalue of a matrix made of the products of ``op``."""
        found = self.search.top(matrix, start)
        passes = found.n_products * PRODUCT
        if matrix is op:  # a stored Gram matrix: a gradient for each of its rows
            passes += GRADIENT * found.settings.get("gram_rows", 0) / op.n_examples
        self.cost += passes * n_batches
        self.ends.append(found)
        return max(0.0, float(found.values[0])), float(found.errors[0])
