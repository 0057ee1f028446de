"""The gradient-noise scales of ``batches.py``: tune's, at the start, after a training, for Adam."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .sweep import RUN, rate
from .tasks import Task, optimizer

READ = 64  # batches whose gradients show their noise
TUNED = 1500  # steps of the training that tune is asked for
Scale = list[float | None]


def noise(which: Task, each: str, place: int, seed: int, steps: int = 750) -> dict[str, Any]:
    """``B_simple`` in examples: value (None where unknown), standard error, lower bound.

    Args:
        which: The task.
        each: Its optimizer.
        place: Of its rate on the grid.
        seed: Of the protocol.
        steps: After which it is read again.
    """
    import nakami

    began, model, loss = time.process_time(), which.model(seed), which.loss()
    update, order = optimizer(each, model, rate(place)), which.batches(seed)
    batches = which.batches(seed, "advice")
    told = nakami.tune(model, batches, which.loss(), steps=TUNED, optimizer=update).noise
    found: dict[str, Any] = {}
    if told is not None:
        found |= {"tune": _parts(told, which.settings["batch"] / told.batch), "said": told.advice}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RUN["dropout_seed"] + seed)
        found["start"] = _scale(model, which, seed)
        for _ in range(steps):
            x, y = next(order)
            update.zero_grad()
            loss(model(x), y).backward()
            update.step()
        found["after"] = _scale(model, which, seed)
        if each == "adamw":
            found["metric"] = _scale(model, which, seed, _divisors(model, update))
    return {**found, "cpu_s": round(time.process_time() - began, 2)}


def _divisors(model: nn.Module, update: torch.optim.Optimizer) -> Tensor:
    """Of AdamW's steps, ``sqrt(v / (1 - beta_2^t)) + eps``, flat."""
    made, group = [], update.param_groups[0]
    for p in model.parameters():
        state = update.state[p]
        left = 1 - group["betas"][1] ** float(state["step"])
        made.append((state["exp_avg_sq"].flatten() / left).sqrt() + group["eps"])
    return torch.cat(made)


def _scale(model: nn.Module, which: Task, seed: int, divisors: Tensor | None = None) -> Scale:
    from nakami.geometry import noise_scale

    gradients, loss, batches = list[Tensor](), which.loss(), which.batches(seed, "advice")
    for _ in range(READ):
        x, y = next(batches)
        slopes = torch.autograd.grad(loss(model(x), y), list(model.parameters()))
        flat = torch.cat([s.flatten() for s in slopes])
        gradients.append(flat if divisors is None else flat / divisors.sqrt())
    return _parts(noise_scale(gradients, [which.settings["batch"]] * READ), 1.0)


def _parts(told: Any, unit: float) -> Scale:
    """In examples, ``unit`` of them a sample, to four digits."""
    each = (told.value, told.error, told.at_least)
    return [None if v is None or not np.isfinite(v) else float(f"{v * unit:.4g}") for v in each]
