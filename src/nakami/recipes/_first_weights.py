"""First weights of a caller's network: as they are made, or scaled where signals would be lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nakami.geometry import Plan, initialisation
from nakami.results import RunError, UsageError
from nakami.training import Training, ranks

READ = 64  # examples
LOST = ("vanishes", "explodes")


def scaled(
    training: Training,
    model: nn.Module,
    again: Callable[[], nn.Module],
    inputs: Tensor,
    directions: str,
) -> str:
    """Scale the first weights in place, where signals or gradients do not survive the depth.

    Found once, by the first process, and kept in the folder. Weights that are alike in
    ``again()``, a draw of another seed, were not drawn, and stay.

    Returns:
        What was found and done, in a clause.
    """

    def asked() -> Mapping[str, Any]:
        return _found(model, again, inputs[:READ], directions, training.seed)

    found = training.kept("scales", lambda: ranks().same(asked), directions)
    if found["scales"]:
        parts = {key: found[key] for key in ("scales", "bias_std")}
        plan = Plan(found["rule"], directions=directions, seed=training.seed, **parts)
        planned = plan.weights(dict(model.named_parameters()))
        model.load_state_dict(planned, strict=False)
    return str(found["why"])


def _found(
    model: nn.Module,
    again: Callable[[], nn.Module],
    inputs: Tensor,
    directions: str,
    seed: int,
) -> Mapping[str, Any]:
    as_made = {"scales": {}, "bias_std": {}, "rule": ""}
    try:
        with torch.random.fork_rng(devices=[]):
            found = initialisation(model, inputs, directions=directions, seed=seed)
    except (UsageError, RunError) as error:
        return as_made | {"why": f"first weights as made: not read, as {error}"}
    lost = [str(way) for way in (found.signal, found.gradient) if way.verdict in LOST]
    if not lost:
        why = "signals and gradients survive the depth"
        return as_made | {"why": f"first weights as made: {why}"}
    plan = found.proposal.plan
    if not plan.scales:
        return as_made | {"why": f"first weights as made, though {lost[0]}"}
    own, drawn = dict(model.named_parameters()), dict(again().named_parameters())
    if any(name not in drawn or torch.equal(own[name], drawn[name]) for name in plan.scales):
        why = f"though {lost[0]}: no seed changes them, as if trained before"
        return as_made | {"why": f"first weights as made, {why}"}
    why = f"first weights scaled, as {lost[0]}"
    scales, biases = dict(plan.scales), dict(plan.bias_std)
    return {"scales": scales, "bias_std": biases, "rule": plan.rule, "why": why}
