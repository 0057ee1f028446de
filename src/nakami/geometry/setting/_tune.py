"""One call before a training: the whole setting, within a share of its cost."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...operators import (
    LiveLoss,
    View,
    as_view,
    check_order,
    random_states_kept,
    unwrapped_optimizer,
)
from ...results import (
    Outcome,
    Progress,
    check_at_least,
    check_callable,
    check_choice,
    check_fraction,
    told,
)
from .._outcomes import ChoiceEnding
from ..rate._matrix import Loss
from ..rate._noise import NoiseScale, noise_scale
from ..rate._optimizers import check_optimizer, make
from ..rate._planned import SEED, plan
from ..rate._progress import Parts
from ..rate._schedule import SHAPES
from . import _choices as choices
from ._arguments import covers, held_in, home, shared
from ._setting import Choice, TrainingSetting

WARMUP = 20  # steps for each one of the warm-up
BATCHES = 8  # whose gradients show their noise
NOISE_SHARE = 0.25  # of the budget that these may take
MEMORY = 2**30  # bytes of gradients to hold


@told
def tune(
    model: nn.Module | View,
    data: Any,
    loss: Loss,
    *,
    steps: int,
    optimizer: Optimizer | str = "adamw",
    schedule: str = "linear",
    budget: float = 0.05,
    progress: Progress | None = None,
) -> TrainingSetting:
    """How to train a network for so many steps: optimizer, rate, schedule, warm-up, batch size.

    AdamW whose rate falls in a line to 0, since on the development tasks of ``benchmarks/knobs``
    that ended lowest most often; the peak rate by ``nakami.learning_rate``; what the noise of the
    gradients says of the batch size. Each part has its reason; what was not examined is said.

    Args:
        model: Any module, or a ``View`` of one; left as it was.
        data: ``(x, y)``, or batches of the training's size, read as far as needed.
        loss: As ``nakami.ggn`` takes it.
        steps: Optimizer steps of the whole training.
        optimizer: A name, or an instance on the model's parameters, as ``nakami.learning_rate``
            takes it; the code keeps its groups, and to its part of the parameters.
        schedule: ``"constant"``, ``"cosine"``, ``"linear"`` or ``"wsd"``.
        budget: Most gradients to spend, as a share of ``steps``, between 0 and 1.
        progress: ``progress(done, total, seconds_left, what)``.

    Returns:
        A ``TrainingSetting``; ``print`` shows its parts, ``snippet()`` is code.

    Raises:
        UsageError: What ``nakami.learning_rate`` refuses.

    Cost: ``budget * steps`` gradients on one batch, and at least those of the first rate.
    """
    check_order(model=model, data=data, loss=loss)
    optimizer = unwrapped_optimizer(optimizer)
    check_optimizer(optimizer, limit=False)
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    steps = check_at_least("steps", steps, 1, "pass the optimizer steps of the whole training")
    check_fraction("budget", budget, "use 0.05")
    check_choice("schedule", schedule, SHAPES, "leave it out for 'linear'")
    live, warmup = LiveLoss(as_view(model), data, loss), steps // WARMUP
    parts, gradients = Parts(progress, 2), float(budget) * steps
    noise, why, spent = _noise(live, NOISE_SHARE * gradients)
    parts.done("now the rate" if noise is None else noise.advice)
    course = (schedule, steps, warmup)
    rate, first = plan(live, optimizer, course, (gradients - spent) / steps, parts)
    parts.done(rate.advice)
    stepping = make(optimizer, live.parameters())
    batch, held = live.batch(0)[0].count, held_in(stepping, live.view.model)
    groups = () if covers(held, live.view.model) else tuple([made for _, made in held])
    parted = (
        choices.optimizer(optimizer, stepping, steps, groups, live.view.model),
        choices.rate(rate),
        choices.schedule(schedule),
        Choice("warm-up", f"{warmup} steps", Outcome(ChoiceEnding.WARMS_UP)),
        choices.weight_decay(stepping, held, rate),
        choices.batch(batch, noise, why, spent),
        choices.initial_scale(first.unevenness),
        choices.clipping(live.view.model),
    )
    return TrainingSetting(
        optimizer=type(stepping).__name__, home=home(stepping),
        arguments=shared(held), groups=groups,
        rate=rate.advised, interval=rate.interval, schedule=schedule, steps=steps, warmup=warmup,
        batch=batch, advice=rate, noise=noise, choices=parted, cost=rate.cost + spent,
        outcome=rate.outcome,
    )  # fmt: skip


@torch.inference_mode(False)
def _noise(live: LiveLoss, most: float) -> tuple[NoiseScale | None, str, float]:
    """How gradients scatter over batches at the start, or why that is not read; its cost."""
    named = live.parameters()
    held = BATCHES * sum(p.numel() * p.element_size() for p in named.values())
    if most < BATCHES:
        return None, f"{BATCHES} gradients are more than a quarter of the budget", 0.0
    if held > MEMORY:
        return None, f"{BATCHES} gradients take {held / 2**30:.1f} GiB", 0.0
    live.batch(BATCHES - 1)
    count = min(BATCHES, live.n_batches)
    if count < 2:
        return None, "one batch shows no scatter", 0.0
    gradients, samples = list[Tensor](), list[int]()
    model = live.copy()
    own = list(live.parameters(model).values())
    with random_states_kept(live.device, SEED), torch.enable_grad():
        for i in range(count):
            value = live(model, i)
            slopes = torch.autograd.grad(value, own, allow_unused=True, materialize_grads=True)
            samples.append(live.samples(i))
            over = samples[-1] if live.judged.sums else 1
            gradients.append(torch.cat([s.reshape(-1) for s in slopes]) / over)
    return noise_scale(gradients, samples), "", float(count)
