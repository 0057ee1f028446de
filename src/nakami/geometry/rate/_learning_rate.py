"""A learning rate to train with, from the present weights."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.optim import Optimizer

from ...operators import (
    CurvatureOperator,
    LiveLoss,
    View,
    as_view,
    check_order,
    unwrapped_optimizer,
)
from ...results import Progress, check_at_least, check_callable, check_fraction, told, wrong
from ._advice import advised
from ._matrix import Loss, matrix_of, named_of
from ._optimizers import check_optimizer, fastest_group, make
from ._planned import plan
from ._progress import Parts
from ._result import LearningRate
from ._schedule import Schedule
from ._trials import Training

LEAST = 20  # steps of a trial, beside the memory of the optimizer


@told
def learning_rate(
    model: nn.Module | View,
    data: Any,
    loss: Loss,
    optimizer: Optimizer | str = "sgd",
    *,
    steps: int | None = None,
    schedule: Schedule = "constant",
    warmup: int = 0,
    budget: float = 0.03,
    trial_steps: int | None = None,
    progress: Progress | None = None,
) -> LearningRate:
    """A learning rate to train with, from the present weights, by short trainings on copies.

    Sharpness changes early, so the limit at the start (``nakami.rate_limit``) says little about the
    best rate. No eigenvalue is computed.

    **With** ``steps``, the length of the training, it is the peak rate for it, found within
    ``budget`` of its cost. One gradient gives a first rate: for optimizers that divide by averages
    0.30 times where the linear model of the loss along the first step ends, ``0.30 L / |g|_1`` for
    Adam; for others a share of a mean of that and of the critical rate
    (``nakami.critical_sharpness``). Of a function of your own the least value is not known: where
    its size does not fit, the critical rate counts alone, and a note says so. Gradients of up to 16
    batches show whether there is something to learn; where they do not, a note says so. Where the
    budget allows trials of 20 steps or more, rates 2.15 apart are tried. All is put together by its
    errors and moved to the length and the schedule by rules that were set on twelve tasks. Copies
    train as the model does: with dropout, and batch normalisation by the batch.

    **Without**, it is a constant rate for the first hundreds of steps. The first rate tried
    minimises the quadratic model of the loss along the first step; the others are a factor of 2.15
    or 4.6 apart, ``trial_steps`` steps each, in evaluation mode.

    Args:
        model: Any module, or a ``View`` of one; left as it was.
        data: ``(x, y)``, or an iterable of such batches of the training's size, read once and
            stored: a loader in random order does no harm. With ``steps`` it is read as far as
            needed, without to its end.
        loss: A torch loss, its name, or a function, as ``nakami.ggn`` takes it. None: the loss that
            the model returns when its targets are among its inputs, as models of transformers do.
        optimizer: ``"sgd"``, ``"momentum"`` (0.9), ``"nesterov"`` (0.9), ``"adam"``, ``"adamw"``,
            ``"rmsprop"``, ``"sdprop"``, ``"adastand"``, ``"nadam"``, ``"radam"``, ``"adamax"``,
            ``"adagrad"``, ``"adadelta"``, ``"adafactor"``, ``"asgd"`` with their defaults, or an
            instance on the model's parameters, of any kind whose ``step()`` takes no closure. Only
            the ratios of its rates count.
        steps: Optimizer steps of the whole training.
        schedule: What its rate does: ``"constant"``, ``"cosine"``, ``"linear"``, ``"wsd"``
            (constant, and linear to 0 over the last fifth), a function ``schedule(step)`` that
            gives the factor of each step, or a scheduler of torch on ``optimizer``. The advice is
            its peak.
        warmup: Steps of a linear warm-up before it.
        budget: Most gradients to spend, as a share of ``steps``, between 0 and 1. Trials begin
            at about 90 gradients: 3 % of 3,000 steps.
        trial_steps: Without ``steps``: those of a trial; default 20 plus the optimizer's memory, 30
            for 0.9. Batches are taken in turn.
        progress: ``progress(done, total, seconds_left, what)``, called after each step of a trial
            and at the end; ``seconds_left`` is None.

    Returns:
        A ``LearningRate``; rates in the unit of the optimizer's ``lr``.

    Raises:
        UsageError: What ``nakami.ggn`` refuses; an optimizer of other parameters, without a rate,
            with ``maximize`` or a momentum of 1 and more; one that needs a closure or sparse
            gradients (LBFGS, SparseAdam); a schedule, warm-up or budget that does not fit.

    Cost: ``budget * steps`` gradients on one batch, at least one (of plain and heavy-ball descent
    with some losses, about three); without ``steps`` about 100.
    ``cost`` counts them. Memory: weights and optimizer's state for each rate tried, three to six;
    with ``steps`` also gradients of up to 16 batches, 1 GiB at most.
    """
    check_order(model=model, data=data, loss=loss, optimizer=optimizer)
    optimizer = unwrapped_optimizer(optimizer)
    check_optimizer(optimizer, limit=False)
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    view = as_view(model)
    if steps is not None:
        if trial_steps is not None:
            way_out = "give a budget, which sets their length"
            raise wrong("trial_steps", "be left out with steps", trial_steps, way_out)
        check_fraction("budget", budget, "use 0.03")
        parts = Parts(progress, 1)
        live, course = LiveLoss(view, data, loss), (schedule, steps, warmup)
        found, _ = plan(live, optimizer, course, float(budget), parts)
        parts.done(_answer(found))
        return found
    if schedule != "constant" or warmup:
        got = f"schedule={schedule!r}" if schedule != "constant" else f"warmup={warmup}"
        raise wrong("steps", "be given with a schedule", got, "pass steps=1000, of the training")
    if trial_steps is not None:
        trial_steps = check_at_least("trial_steps", trial_steps, 1, "leave it out")
    op = matrix_of(view, data, loss, None)
    parts = Parts(progress, 1)
    found, _ = read_advice(op, view.model, optimizer, parts, trial_steps)
    parts.done(_answer(found))
    return found


def _answer(found: LearningRate) -> str:
    return found.advice if found.advised is None else f"advised rate {found.advised:.3g}"


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
