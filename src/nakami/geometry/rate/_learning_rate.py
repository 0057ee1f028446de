"""A learning rate to train with, from the present weights."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.optim import Optimizer

from ...operators import CurvatureOperator, View, as_view, check_order, unwrapped_optimizer
from ...results import Progress, check_at_least, check_callable, told
from ._advice import advised
from ._matrix import Loss, matrix_of, named_of
from ._optimizers import check_optimizer, fastest_group, make
from ._progress import Parts
from ._result import LearningRate
from ._trials import Training

LEAST = 20  # steps of a trial, beside the memory of the optimizer


@told
def learning_rate(
    model: nn.Module | View,
    data: Any,
    loss: Loss,
    optimizer: Optimizer | str = "sgd",
    *,
    trial_steps: int | None = None,
    memory_budget: int | None = None,
    progress: Progress | None = None,
) -> LearningRate:
    """A learning rate to train with over the first hundreds of steps, from the present weights.

    It is a constant rate, and comes from short trainings on copies: sharpness changes early, so the
    limit at the start (``nakami.rate_limit``) says little about the best rate. The first rate tried
    minimises the quadratic model of the loss along the first step; the others are a factor of 2.15
    or 4.6 apart, ``trial_steps`` steps each. No eigenvalue is computed.

    Args:
        model: Any module, or a ``View`` of one; read in evaluation mode, left as it was: dropout is
            off in trials.
        data: ``(x, y)``, or an iterable of such batches, read once and stored: a loader in random
            order does no harm, an endless one must be cut.
        loss: A torch loss, its name, or a function, as ``nakami.ggn`` takes it. None: the loss that
            the model returns when its targets are among its inputs, as models of transformers do.
        optimizer: ``"sgd"``, ``"momentum"`` (0.9), ``"nesterov"`` (0.9), ``"adam"``, ``"adamw"``,
            ``"rmsprop"``, ``"sdprop"``, ``"adastand"``, ``"nadam"``, ``"radam"``, ``"adamax"``,
            ``"adagrad"``, ``"adadelta"``, ``"adafactor"``, ``"asgd"`` with their defaults, or an
            instance on the model's parameters, of any kind whose ``step()`` takes no closure. Only
            the ratios of its rates count.
        trial_steps: Steps of a trial; default 20 plus the optimizer's memory, 30 for 0.9. Batches
            are taken in turn.
        memory_budget: Bytes that the network's states may take between products; default 1 GiB.
        progress: ``progress(done, total, seconds_left, what)``, called after each step of a trial
            and at the end; ``seconds_left`` is None.

    Returns:
        A ``LearningRate``; rates in the unit of the optimizer's ``lr``.

    Raises:
        UsageError: What ``nakami.ggn`` refuses; an optimizer of other parameters, without a rate,
            with ``maximize`` or a momentum of 1 and more; one that needs a closure or sparse
            gradients (LBFGS, SparseAdam).

    Cost: about 100 gradients on one batch; ``cost`` counts them. Memory: weights and optimizer's
    state for each rate tried, about six.
    """
    check_order(model=model, data=data, loss=loss, optimizer=optimizer)
    optimizer = unwrapped_optimizer(optimizer)
    check_optimizer(optimizer, limit=False)
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    if trial_steps is not None:
        trial_steps = check_at_least("trial_steps", trial_steps, 1, "leave it out")
    view = as_view(model)
    op = matrix_of(view, data, loss, memory_budget)
    parts = Parts(progress, 1)
    found, _ = read_advice(op, view.model, optimizer, parts, trial_steps)
    parts.done(found.advice if found.advised is None else f"advised rate {found.advised:.3g}")
    return found


def read_advice(
    op: CurvatureOperator,
    model: nn.Module,
    optimizer: Optimizer | str,
    parts: Parts,
    trial_steps: int | None = None,
) -> tuple[LearningRate, Training | None]:
    """What ``learning_rate`` returns, and the best trial where it ended; all is checked."""
    named = named_of(model, op)
    stepping = make(optimizer, named)
    _, rule = fastest_group(stepping)
    steps = trial_steps or LEAST + math.ceil(rule.memory - 1e-9)
    said, training = advised(stepping, named, op, rule, steps, parts.tell)
    found = LearningRate(
        advised=said.get("advised"), interval=said.get("interval"),
        outcome=said["advice_outcome"], notes=said.get("advice_notes", ()), trials=said["trials"],
        steps=steps, cost=said["advice_cost"], constant_loss=said.get("constant_loss"),
        optimizer=type(stepping).__name__, loss=op.loss, n_samples=op.n_samples, sample=op.sample,
        n_batches=len(op.by_batch()), batch_normalisation=op.batch_normalisation,
    )  # fmt: skip
    return found, training
