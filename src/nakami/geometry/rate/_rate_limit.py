"""The limit of an optimizer's learning rate at the present weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ...operators import CurvatureOperator, View, as_view, check_order, unwrapped_optimizer
from ...results import Outcome, Progress, RunError, check_at_least, check_callable, counted, told
from ...spectra import check_budget
from .._outcomes import LimitEnding
from ._first_look import first_look
from ._matrix import MATRICES, Loss, matrix_of, named_of
from ._noise import noise_of
from ._optimizers import adaptive, check_optimizer, coordinates, growth, make, most, seen
from ._progress import Parts
from ._result import RateLimit
from ._search import DEFAULT, LimitOptions, Search
from ._trials import FORWARD, GRADIENT, Training

FITTED = 1e-6  # of the loss at the start: less is next to nothing, as is its curvature
FADED = 1e-3  # the same of a likelihood of classes, whose curvature is known to go with it
FADING = ("cross_entropy", "bce_with_logits")


@told
def rate_limit(
    model: nn.Module | View,
    data: Any,
    loss: Loss,
    optimizer: Optimizer | str = "sgd",
    *,
    options: LimitOptions = DEFAULT,
    fill_steps: int = 20,
    seed: int = 0,
    memory_budget: int | None = None,
    progress: Progress | None = None,
) -> RateLimit:
    """The learning rate above which an optimizer's steps grow, at the present weights.

    Along an eigenvector of the loss's Gauss-Newton matrix ``G`` a step is linear; it shrinks below

    * gradient descent ``2 / l``, with ``l`` the largest eigenvalue of ``G``;
    * momentum ``m``, dampening ``d``: ``2 (1 + m) / ((1 - d) l)``;
    * Nesterov's momentum ``2 (1 + m) / ((1 + 2 m) l)``;
    * Adam ``2 (1 + b1) / ((1 - b1) l)`` with ``l`` of ``D^-1/2 G D^-1/2``, ``D`` its denominators
      ``sqrt(v) + eps``, fixed: real Adam changes them and may stay stable at higher rates. In the
      same way all of torch's that divide by running averages (``docs/learning-rate.md``).

    Weight decay is included. The limit is **local**: exact where residuals are tiny. With larger
    ones the loss rises at higher rates, and may fall again in a flatter place. It is no rate to
    train with: ``nakami.learning_rate`` tries that.

    Args:
        model: Any module, or a ``View`` of one; read in evaluation mode, left as it was.
        data: ``(x, y)``, or an iterable of such batches, read once and stored: a loader in random
            order does no harm, an endless one must be cut.
        loss: A torch loss, its name, or a function, as ``nakami.ggn`` takes it. None: the loss that
            the model returns when its targets are among its inputs, as models of transformers do;
            ``G`` is then the Hessian, since no outputs are known to linearise (see ``matrix``).
        optimizer: A name that ``nakami.learning_rate`` takes, or an instance on the model's
            parameters. Only the ratios of its rates count, except where steps fill its averages.
        options: How the limit is computed: from how many batches, how accurately.
        fill_steps: Steps on a copy that fill Adam's denominators (or another optimizer's) where it
            has none yet, at its own rate, batches in turn, without dropout. The limit is then that
            of the weights where they ended.
        seed: Seed of the search's random start; the global random state is not touched.
        memory_budget: Bytes that the network's states may take between products; default 1 GiB,
            or eight times those of the weights where that is more.
        progress: ``progress(done, total, seconds_left, what)``, called after each part (a first
            look at the limit, by five products more; the limit; that of each batch);
            ``seconds_left`` is None.

    Returns:
        A ``RateLimit``; rates in the unit of the optimizer's ``lr``.

    Raises:
        UsageError: What ``nakami.ggn`` refuses; an optimizer of other parameters, without a rate,
            with ``maximize`` or a momentum of 1 and more; one whose steps are not linear in the
            gradient (Lion, Muon), for it has no limit.
        RunError: The steps that fill the denominators diverged.

    Cost: some ten products with ``G`` over the data for each eigenvalue: one of all data, one of
    each batch, one more for Adam and for groups. ``cost`` counts them.
    Source: Cohen et al., arXiv 2103.00065 (momentum) and 2207.14484 (Adam); Karakida, Akaho &
    Amari, AISTATS 2019 (Fisher information and learning rates).
    """
    check_order(model=model, data=data, loss=loss, optimizer=optimizer)
    optimizer = unwrapped_optimizer(optimizer)
    check_optimizer(optimizer)
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    fill_steps = check_at_least("fill_steps", fill_steps, 1, "leave it out")
    view, search = as_view(model), Search(options, seed, memory_budget)
    op = matrix_of(view, data, loss, memory_budget)
    parts = Parts(progress, parts_of(op, search.options) + (progress is not None))
    if progress is not None:
        look = first_look(op, named_of(view.model, op), optimizer, search.seed)
        parts.done(f"first look: {look.reason}")
    search.cost = len(op.by_batch()) * FORWARD
    return read_limit(op, view.model, optimizer, search, Filling(fill_steps), parts)


def parts_of(op: CurvatureOperator, options: LimitOptions) -> int:
    """Parts that a limit has: that of all data, and that of each batch."""
    batches = len(op.by_batch()[: options.batches])
    return 1 + (batches if options.each_batch and batches > 1 else 0)


@dataclass(frozen=True)
class Filling:
    """A training on copies that fills the averages of an optimizer.

    Attributes:
        steps: How many. rate: Of a trial that did them on all data; None: the optimizer's own.
        training: That trial where it ended, if it was made just now; it is made again if not.
    """

    steps: int
    rate: float | None = None
    training: Training | None = None


def read_limit(
    op: CurvatureOperator,
    model: nn.Module,
    optimizer: Optimizer | str,
    search: Search,
    filling: Filling,
    parts: Parts,
) -> RateLimit:
    """What ``rate_limit`` returns, from the curvature matrix of its data; all is checked.

    Each eigenvalue is a part that ``search.keep`` keeps.
    """
    named = named_of(model, op)
    stepping = make(optimizer, named)
    kind, source, spent, options = type(stepping).__name__, "", 1.0, search.options
    read = op if options.batches is None else op.first(options.batches)
    noise = noise_of(read, check_budget(search.budget)) if options.each_batch else None
    search.cost += noise.n_batches * GRADIENT if noise else 0.0
    if adaptive(stepping):
        source = "the optimizer's state"
        held = {id(p) for group in stepping.param_groups for p in group["params"]}
        if not all(seen(stepping, w) for w in named.values() if id(w) in held):
            training = filling.training
            if training is None:
                whole = read if filling.rate is None else op
                training = _filled(Training(stepping, named, whole, filling.rate), filling.steps)
                search.cost += filling.steps * GRADIENT if filling.rate is None else 0.0
            source = (
                f"{counted(len(training.losses), 'step')} on a copy at rate {training.rate:.3g}; "
                "the limit is that where they ended"
            )
            stepping, named = training.optimizer, training.copies
            read = read.moved(training.point)
            spent = read.value / op.value if op.value > 0 and read.value >= 0 else 1.0
    limits = search.limits(coordinates(stepping, named, read), read, parts)
    if spent < (FADED if op.likelihood in FADING else FITTED):
        limits["outcome"] = Outcome(LimitEnding.FITTED, {"share": spent})
    if limits["limit"] > (highest := most(stepping, named)):
        source += f"; no rate above {highest:.3g} has an effect at its present step"
    if (later := growth(stepping)) > 1:
        source += f"; its warm-up lowers the limit by {later:.3g} from here on"
    return RateLimit(
        **limits, optimizer=kind, preconditioner=source, loss=op.loss, value=read.value,
        n_samples=read.n_samples, sample=op.sample, seed=search.seed, noise=noise,
        batch_normalisation=op.batch_normalisation, matrix=MATRICES[op.kind],
    )  # fmt: skip


def _filled(training: Training, steps: int) -> Training:
    """A training after some steps."""
    for _ in range(steps):
        training.step()
    if not bool(torch.isfinite(training.point).all()):
        raise RunError(
            f"{counted(steps, 'step')} on a copy led to weights that are not finite; lower the "
            "optimizer's learning rate."
        )
    return training
