"""The parts of a setting, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from ...operators import is_recurrent
from ...results import Outcome
from .._outcomes import ChoiceEnding
from ..rate._kinds import kind_of
from ..rate._noise import NoiseScale
from ..rate._optimizers import rule_of
from ..rate._result import LearningRate
from ._arguments import Held, ParameterGroup, trained
from ._setting import Choice

TASKS = 12  # development tasks of benchmarks/knobs, on which the defaults were chosen, 1,500 steps
BELOW_MOMENTUM, BELOW_CONSTANT = 8, 12  # on how many of them AdamW by cosine ended lower
# of the held-back cases, at 200 steps; at 1,500 tune is ahead: between them, in the logarithm, few
PRODIGY, FEW = {"prodigy": 18, "ours": 14, "cases": 24}, 550
# on how many of them a linear fall ended 2 % lower or higher, each at the rate advised for it
LINEAR = {"cosine_above": 5, "cosine_below": 0, "constant_above": 10, "constant_below": 2}
CLIPPED = {"lower": 3, "higher": 2}  # likewise, with the norm clipped at 1.0 over without
# critical batch over the noise scale at the start, on development tasks (docs/batch-size.md)
CRITICAL = {"tasks": 8, "least": 1.6, "middle": 16.0}
UNEVEN = 1000.0  # gradients of matrices that differ by more call for other scales
SAME = 5e-4  # shares of weights that differ by less are one
POINTS = 1000  # of a schedule, of which its mean is taken


def optimizer(
    given: Optimizer | str,
    stepping: Optimizer,
    steps: int,
    groups: Sequence[ParameterGroup],
    model: nn.Module,
) -> Choice:
    """``stepping``: as it was made. ``groups``: empty where one has all that is trained."""
    name, own = type(stepping).__name__, {id(p) for p in model.parameters()}
    foreign = sum(id(p) not in own for group in stepping.param_groups for p in group["params"])
    if foreign:
        return Choice("optimizer", name, Outcome(ChoiceEnding.FOREIGN, {"foreign": foreign}))
    if groups:
        needed = trained(model)
        held = len(needed & {each for group in groups for each in group.names})
        said: dict[str, int | str] = {"groups": len(groups), "held": held, "all": len(needed)}
        if len(groups) == 1:
            return Choice("optimizer", name, Outcome(ChoiceEnding.PART, said))
        said |= {"rates": ", ".join(f"{group.rate:.3g}" for group in groups)}
        return Choice("optimizer", name, Outcome(ChoiceEnding.GROUPS, said))
    if given != "adamw":
        return Choice("optimizer", name, Outcome(ChoiceEnding.GIVEN))
    numbers = {"below": BELOW_MOMENTUM, "tasks": TASKS}
    if steps > FEW:
        return Choice("optimizer", name, Outcome(ChoiceEnding.ADAMW, numbers))
    numbers |= {"few": steps, **PRODIGY}
    return Choice("optimizer", name, Outcome(ChoiceEnding.ADAMW_FEW, numbers))


def rate(rate: LearningRate) -> Choice:
    value = "none"
    if rate.advised is not None and rate.interval is not None:
        value = f"{rate.advised:.2g} ({rate.interval[0]:.2g} to {rate.interval[1]:.2g})"
    sure = rate.converged and all(note.converged for note in rate.notes)
    kind = ChoiceEnding.RATE if sure else ChoiceEnding.DOUBTED
    return Choice("rate", value, Outcome(kind, {"why": rate.advice}), rate.cost)


def schedule(name: str) -> Choice:
    why = {
        "linear": Outcome(ChoiceEnding.FALLS, {**LINEAR, "tasks": TASKS}),
        "cosine": Outcome(ChoiceEnding.DECAYS, {"below": BELOW_CONSTANT, "tasks": TASKS}),
    }
    return Choice("schedule", name, why.get(name, Outcome(ChoiceEnding.GIVEN)))


def batch(size: int, noise: NoiseScale | None, why: str, spent: float) -> Choice:
    if noise is None:
        return Choice("batch", f"{size} examples", Outcome(ChoiceEnding.NOT_READ, {"why": why}))
    said = Outcome(ChoiceEnding.NOISE, {"noise": noise.advice.rstrip("."), **CRITICAL})
    counted = "" if noise.batch == size else f", {noise.batch:g} samples"  # positions of a text
    return Choice("batch", f"{size} examples{counted}", said, spent)


def clipping(model: nn.Module) -> Choice:
    found = next((type(m).__name__ for m in model.modules() if is_recurrent(m)), None)
    outcome = Outcome(ChoiceEnding.CLIP, {**CLIPPED, "tasks": TASKS})
    if found:
        outcome = Outcome(ChoiceEnding.STABILISER, {"kind": found})
    return Choice("clipping", "none", outcome)


def initial_scale(unevenness: float | None) -> Choice:
    """``unevenness``: root mean square of the gradient, largest over smallest weight matrix."""
    if unevenness is None:
        return Choice("initial scale", "as it is", Outcome(ChoiceEnding.SCALES))
    kind = ChoiceEnding.UNEVEN if unevenness > UNEVEN else ChoiceEnding.EVEN
    return Choice("initial scale", "as it is", Outcome(kind, {"factor": unevenness}))


def weight_decay(stepping: Optimizer, held: Sequence[Held], advice: LearningRate) -> Choice:
    """What it leaves of a weight, by groups where they differ."""
    given = [float(group.get("weight_decay", 0.0)) for group, _ in held]
    if not any(given):
        return Choice("weight decay", "none", Outcome(ChoiceEnding.NO_DECAY))
    alike = len(set(given)) == 1
    value = ", ".join(f"{each:g}" for each in (given[:1] if alike else given))
    left = [_left(stepping, group, made.rate, advice) for group, made in held]
    known = [share for share in left if share is not None]
    if len(known) < len(left):
        return Choice("weight decay", value, Outcome(ChoiceEnding.DECAY_UNKNOWN))
    if max(known) - min(known) < SAME:
        return Choice("weight decay", value, Outcome(ChoiceEnding.SHRINKS, {"left": known[0]}))
    words = ", ".join(f"{share:.1%}" for share in known)
    return Choice("weight decay", value, Outcome(ChoiceEnding.SHRINKS_BY_GROUP, {"left": words}))


def _left(
    stepping: Optimizer, group: Mapping[str, Any], ratio: float, advice: LearningRate
) -> float | None:
    """Share of a weight without a gradient that weight decay leaves; None where unknown."""
    kind, given, steps = kind_of(stepping), float(group.get("weight_decay", 0.0)), advice.training
    if not given:
        return 1.0
    if kind is None or advice.advised is None or (kind.in_gradient(group) and kind.divisor):
        return None
    rule, steps = rule_of(stepping, group), steps or 0
    pace = 1.0 if kind.decoupled(group, {}) else rule.memory * rule.weight
    every = max(1, steps // POINTS)
    factors = [advice.factor(t) or 0.0 for t in range(0, steps, every)]
    mean = sum(factors) / len(factors)
    return math.exp(-given * pace * advice.advised * ratio * steps * mean)
