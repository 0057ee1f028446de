"""The limit of an optimizer's learning rate at the present weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...operators import CurvatureOperator, View, as_view, check_order, unwrapped_optimizer
from ...results import (
    Keep,
    Outcome,
    Progress,
    RunError,
    at_once,
    check_at_least,
    check_budget,
    check_callable,
    check_fraction,
    check_seed,
    counted,
    told,
    wrong_type,
)
from ...spectra import EighResult, LinearOperator, eigh
from .._outcomes import LimitEnding
from ._advice import advised
from ._first_look import first_look
from ._kinds import kind_of
from ._matrix import MATRICES, Loss, matrix_of
from ._noise import noise_of
from ._optimizers import (
    Coordinates,
    adaptive,
    check_optimizer,
    coordinates,
    fastest_group,
    growth,
    make,
    most,
    seen,
)
from ._progress import Parts
from ._result import LearningRate
from ._rule import Rule
from ._trials import FORWARD, GRADIENT, PRODUCT, Training


@dataclass(frozen=True)
class LimitOptions:
    """How the limit of a learning rate is computed.

    Args:
        batches: Read the first so many batches; default all. Trials take all of them.
        each_batch: Whether each of these batches is also read alone, for its own limit and for the
            noise of the gradients.
        tol: Bound on the estimated relative error of the eigenvalues.

    Raises:
        UsageError: ``batches`` is no whole number from 1 on, ``tol`` not between 0 and 1.
    """

    batches: int | None = None
    each_batch: bool = True
    tol: float = 1e-3

    def __post_init__(self) -> None:
        if self.batches is not None:
            batches = check_at_least("batches", self.batches, 1, "leave it out for all")
            object.__setattr__(self, "batches", batches)
        check_fraction("tol", self.tol, "use 1e-3")
        object.__setattr__(self, "tol", float(self.tol))


DEFAULT = LimitOptions()
FITTED = 1e-6  # of the loss at the start: less is next to nothing, as is its curvature
FADED = 1e-3  # the same of a likelihood of classes, whose curvature is known to go with it
FADING = ("cross_entropy", "bce_with_logits")
LEAST = 20  # steps of a trial, beside the memory of the optimizer


@told
def learning_rate(
    model: nn.Module | View,
    data: Any,
    loss: Loss,
    optimizer: Optimizer | str = "sgd",
    *,
    advise: bool = True,
    trial_steps: int | None = None,
    limit: LimitOptions = DEFAULT,
    seed: int = 0,
    memory_budget: int | None = None,
    progress: Progress | None = None,
) -> LearningRate:
    """A learning rate to train with, and the one above which steps grow, at the present weights.

    **The limit.** Along an eigenvector of the loss's Gauss-Newton matrix ``G`` a step is linear; it
    shrinks below

    * gradient descent ``2 / l``, with ``l`` the largest eigenvalue of ``G``;
    * momentum ``m``, dampening ``d``: ``2 (1 + m) / ((1 - d) l)``;
    * Nesterov's momentum ``2 (1 + m) / ((1 + 2 m) l)``;
    * Adam ``2 (1 + b1) / ((1 - b1) l)`` with ``l`` of ``D^-1/2 G D^-1/2``, ``D`` its denominators
      ``sqrt(v) + eps``, fixed: real Adam changes them and may stay stable at higher rates. In the
      same way all of torch's that divide by running averages (``docs/learning-rate.md``).

    Weight decay is included. The limit is **local**: exact where residuals are tiny. With larger
    ones the loss rises at higher rates, and may fall again in a flatter place.

    **The advice**, for the first hundreds of steps at a constant rate, comes from short trainings
    on copies: sharpness changes early, so the limit at the start says little about the best rate.
    The first rate tried minimises the quadratic model of the loss along the first step; the others
    are a factor of 2.15 or 4.6 apart, ``trial_steps`` steps each.

    Args:
        model: Any module, or a ``View`` of one; read in evaluation mode, left as it was.
        data: ``(x, y)``, or an iterable of such batches, read once and stored: a loader in random
            order does no harm, an endless one must be cut.
        loss: A torch loss, its name, or a function, as ``nakami.ggn`` takes it. None: the loss that
            the model returns when its targets are among its inputs, as models of transformers do;
            ``G`` is then the Hessian, since no outputs are known to linearise (see ``matrix``).
        optimizer: ``"sgd"``, ``"momentum"`` (0.9), ``"nesterov"`` (0.9), ``"adam"``, ``"adamw"``,
            ``"rmsprop"``, ``"sdprop"``, ``"adastand"``, ``"nadam"``, ``"radam"``, ``"adamax"``,
            ``"adagrad"``, ``"adadelta"``, ``"adafactor"``, ``"asgd"`` with their defaults, or an
            instance on the model's parameters. Another one whose ``step()`` takes no closure (Muon,
            Lion) gets advice and no limit. Only the ratios of its rates count, except for one that
            divides by averages without advice.
        advise: Whether to try rates on copies. Dropout is off there.
        trial_steps: Steps of a trial; default 20 plus the optimizer's memory, 30 for 0.9. Batches
            are taken in turn. Without advice, steps on a copy that fill Adam's denominators (or
            another optimizer's) where it has none yet, at its own rate, default 20. Either way
            its limit is computed where these steps ended.
        limit: How the limit is computed: from how many batches, how accurately.
        seed: Seed of the search's random start; the global random state is not touched.
        memory_budget: Bytes that the network's states may take between products; default 1 GiB.
        progress: ``progress(done, total, seconds_left, what)``, called after each part (a first
            look at the limit, by five products more; advice, limit, limit of each batch) and each
            step of a trial; ``seconds_left`` is None.

    Returns:
        A ``LearningRate``; rates in the unit of the optimizer's ``lr``.

    Raises:
        UsageError: What ``nakami.ggn`` refuses; an optimizer of other parameters, without a rate,
            with ``maximize`` or a momentum of 1 and more; one that needs a closure or sparse
            gradients (LBFGS, SparseAdam); without advice, one that has no limit.
        RunError: The trial steps without advice diverged.

    Cost: some ten products with ``G`` over the data for each eigenvalue (one of all data, one of
    each batch, one more for Adam and for groups); the advice about 100 gradients. ``cost`` counts
    them. Memory: weights and optimizer's state for each rate tried, about six.
    Source: Cohen et al., arXiv 2103.00065 (momentum) and 2207.14484 (Adam); Karakida, Akaho &
    Amari, AISTATS 2019 (Fisher information and learning rates).
    """
    check_order(model=model, data=data, loss=loss, optimizer=optimizer)
    optimizer = unwrapped_optimizer(optimizer)
    check_optimizer(optimizer, limit=not advise)
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    if trial_steps is not None:
        trial_steps = check_at_least("trial_steps", trial_steps, 1, "leave it out")
    view, search = as_view(model), Search(limit, seed, memory_budget)
    op = matrix_of(view, data, loss, memory_budget)
    parts = Parts(progress, parts_of(op, search.options, advise) + (progress is not None))
    if progress is not None:
        look = first_look(op, named_of(view.model, op), optimizer, search.seed)
        parts.done(f"first look: {look.reason}")
    return read_rate(op, view.model, optimizer, search, advise, trial_steps, parts=parts)


def named_of(model: nn.Module, op: CurvatureOperator) -> dict[str, Tensor]:
    """The parameters that a matrix is of, by name."""
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    return {name: parameters[name] for name in op.names}


def parts_of(op: CurvatureOperator, options: LimitOptions, advise: bool = True) -> int:
    """Parts that a reading has: the advice, the limit, that of each batch."""
    batches = len(op.by_batch()[: options.batches])
    return bool(advise) + 1 + (batches if options.each_batch and batches > 1 else 0)


def read_rate(
    op: CurvatureOperator,
    model: nn.Module,
    optimizer: Optimizer | str,
    search: Search,
    advise: bool = True,
    trial_steps: int | None = None,
    parts: Parts | None = None,
) -> LearningRate:
    """What ``learning_rate`` returns, from the curvature matrix of its data; all is checked.

    The advice and each eigenvalue are parts that ``search.keep`` keeps.
    """
    named = named_of(model, op)
    stepping = make(optimizer, named)
    kind, source, spent, options = type(stepping).__name__, "", 1.0, search.options
    read = op if options.batches is None else op.first(options.batches)
    _, rule = fastest_group(stepping)
    steps = trial_steps or (LEAST + math.ceil(rule.memory - 1e-9) if advise else LEAST)
    training: Training | None = None
    parts = parts or Parts(None, 0)

    def advice() -> tuple[dict[str, Any], float | None]:
        nonlocal training
        said, training = advised(stepping, named, op, rule, steps, parts.tell)
        return said, None if training is None else training.rate

    said, best = search.keep("advice", advice) if advise else ({}, None)
    if advise:
        rate = said.get("advised")
        parts.done("no advice" if rate is None else f"advised rate {rate:.3g}, now the limit")
    noise = noise_of(read, search.budget) if options.each_batch else None
    search.cost = said.get("advice_cost", len(op.by_batch()) * FORWARD)
    search.cost += noise.n_batches * GRADIENT if noise else 0.0
    if adaptive(stepping):
        source = "the optimizer's state"
        held = {id(p) for group in stepping.param_groups for p in group["params"]}
        if not all(seen(stepping, w) for w in named.values() if id(w) in held):
            if training is None and best is not None:  # the best trial again, to the same bits
                training = _filled(Training(stepping, named, op, best), steps)
            elif training is None:
                training = _filled(Training(stepping, named, read), steps)
                search.cost += steps * GRADIENT
            source = (
                f"{counted(len(training.losses), 'step')} on a copy at rate {training.rate:.3g}; "
                "the limit is that where they ended"
            )
            stepping, named = training.optimizer, training.copies
            read = read.moved(training.point)
            spent = read.value / op.value if op.value > 0 and read.value >= 0 else 1.0
    if kind_of(stepping) is None:
        limits = search.without(rule, len(stepping.param_groups), kind, read)
        parts.done("no limit")
    else:
        limits = search.limits(coordinates(stepping, named, read), read, parts)
        if spent < (FADED if op.likelihood in FADING else FITTED):
            limits["outcome"] = Outcome(LimitEnding.FITTED, {"share": spent})
        if limits["limit"] > (highest := most(stepping, named)):
            source += f"; no rate above {highest:.3g} has an effect at its present step"
        if (later := growth(stepping)) > 1:
            source += f"; its warm-up lowers the limit by {later:.3g} from here on"
    return LearningRate(
        **limits, **said, optimizer=kind, preconditioner=source, loss=op.loss, value=read.value,
        n_samples=read.n_samples, sample=op.sample, seed=search.seed, noise=noise,
        batch_normalisation=op.batch_normalisation, matrix=MATRICES[op.kind],
    )  # fmt: skip


def _filled(training: Training, steps: int) -> Training:
    """A training after some steps."""
    for _ in range(steps):
        training.step()
    if not bool(torch.isfinite(training.point).all()):
        raise RunError(
            f"{counted(steps, 'trial step')} led to weights that are not finite; lower the "
            "optimizer's learning rate."
        )
    return training


@dataclass(frozen=True)
class Top:
    """A largest eigenvalue, at least 0: its relative error, what it cost, how its search ended."""

    value: float
    error: float
    cost: float
    outcome: Outcome


class Search:
    """The search for largest eigenvalues, in an optimizer's coordinates, with what it costs.

    Attributes:
        keep: Keeps each of them as a part: ``limit``, ``limit-1`` of the first batch,
            ``curvature`` of the loss by itself, ``largest`` of what the spectrum is of.
        cost: In gradient evaluations on one batch. ends: How each search ended.
        plain: Whether the coordinates of the last limit were the parameters themselves.
    """

    def __init__(
        self, options: LimitOptions, seed: int, memory_budget: int | None, keep: Keep = at_once
    ):
        given: object = options
        if not isinstance(given, LimitOptions):
            way_out = "pass nakami.geometry.LimitOptions(tol=1e-3)"
            raise wrong_type("limit", "be LimitOptions", repr(given), way_out)
        self.options, self.seed = options, check_seed(seed)
        self.budget, self.keep = check_budget(memory_budget), keep
        self.cost, self.ends, self.plain = 0.0, list[Outcome](), True
        self._known: dict[tuple[int, ...], tuple[Top, CurvatureOperator]] = {}  # by their batches

    def limits(self, frame: Coordinates, op: CurvatureOperator, parts: Parts) -> dict[str, Any]:
        """What is read of the matrix of all data, and of each batch, by name."""
        batches, rule = op.by_batch(), frame.rule
        n, self.plain = len(batches), frame.plain
        sharpness, relative = self.sharpness("limit", frame, op, n)
        parts.done(f"limit {rule.limit(sharpness):.3g}")
        if frame.plain and frame.shift is None:
            lambda_max = sharpness - frame.common
        else:
            lambda_max = self.top("curvature", op, op, n).value
        each = [sharpness]
        if self.options.each_batch and n > 1:
            each = []
            for i, part in enumerate(batches):
                each.append(self.sharpness(f"limit-{i + 1}", frame, part, 1)[0])
                parts.done(f"limit of batch {i + 1} of {n}: {rule.limit(each[-1]):.3g}")
        found = rule.limit(sharpness)
        missed = [end for end in self.ends if not end.converged]
        outcome = [*missed, self.ends[0]][0]
        if not missed and not sharpness > 0:
            curved = op.kind == "ggn"
            outcome = Outcome(LimitEnding.NO_CURVATURE if curved else LimitEnding.NO_UPWARD)
        return {
            "limit": found,
            "error": found * relative if found < math.inf else 0.0,
            "limits": tuple([found * rate if rate else 0.0 for rate in frame.rates]),
            "lambda_max": lambda_max,
            "sharpness": sharpness,
            "batch_sharpness": tuple(each),
            "batch_limit": rule.limit(max(each)),
            "rule": rule,
            "n_batches": n,
            "cost": self.cost,
            "outcome": outcome,
        }

    def without(self, rule: Rule, groups: int, kind: str, op: CurvatureOperator) -> dict[str, Any]:
        """The same for an optimizer whose steps are not linear in the gradient: no limit."""
        found = self.top("curvature", op, op, len(op.by_batch())).value
        missed = [end for end in self.ends if not end.converged]
        return {
            "limit": math.inf,
            "error": 0.0,
            "limits": (math.inf,) * groups,
            "lambda_max": found,
            "sharpness": found,
            "batch_sharpness": (found,),
            "batch_limit": math.inf,
            "rule": rule,
            "n_batches": len(op.by_batch()),
            "cost": self.cost,
            "outcome": [*missed, Outcome(LimitEnding.NOT_LINEAR, {"optimizer": kind})][0],
        }

    def sharpness(
        self, name: str, frame: Coordinates, op: CurvatureOperator, n_batches: int
    ) -> tuple[float, float]:
        """Largest eigenvalue in the optimizer's coordinates, and its relative error."""
        found = self.top(name, frame.matrix(op), op, n_batches)
        moved = found.value + frame.common
        return moved, found.error * found.value / moved if moved else 0.0

    def top(self, name: str, matrix: LinearOperator, op: CurvatureOperator, n_batches: int) -> Top:
        """Largest eigenvalue of a matrix made of the products of ``op``, over some batches."""
        batches = tuple([id(part) for part in op.parts])
        if matrix is op and batches in self._known:
            return self._known[batches][0]
        found = self.keep(name, lambda: self._searched(matrix, op, n_batches))
        if matrix is op:
            self._known[batches] = found, op  # which keeps its batches from being others
        self.cost += found.cost
        self.ends.append(found.outcome)
        return found

    def _searched(self, matrix: LinearOperator, op: CurvatureOperator, n_batches: int) -> Top:
        with op.held():
            found = eigh(matrix, 1, self.options.tol, seed=self.seed, memory_budget=self.budget)
        passes = found.n_products * PRODUCT
        if matrix is op:  # a stored Gram matrix: a gradient for each of its rows
            passes += GRADIENT * found.settings.get("gram_rows", 0) / op.n_examples
        value, error = _positive(found), float(found.errors[0])
        return Top(value, error, passes * n_batches, found.outcome)


def _positive(found: EighResult) -> float:
    """The largest eigenvalue; 0 where it is negative, or not told from 0 by the arithmetic."""
    return max(0.0, float(found.values[0])) if bool(found.reliable[0]) else 0.0
