"""What an optimizer of torch does to the coordinates: rates, momenta, denominators and decay."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from ...operators import CurvatureOperator
from ...results import PYTHON, unknown, wrong, wrong_type
from ...spectra import LinearOperator, Preconditioned

NAMES: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "sgd": (SGD, {}),
    "momentum": (SGD, {"momentum": 0.9}),
    "nesterov": (SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (Adam, {}),
    "adamw": (AdamW, {}),
}
KNOWN = (SGD, Adam, AdamW)
SQUARES = "exp_avg_sq"  # Adam's running squares in its state
Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Rule:
    """An update with at most one average of gradients, ``m <- momentum m + weight g``.

    Then ``u <- u - rate m``, or with ``nesterov`` ``u <- u - rate (g + momentum m)``. torch's
    ``SGD``: ``weight = 1 - dampening`` (1 without momentum). Adam with its denominators frozen:
    ``momentum = beta1``, ``weight = 1 - beta1``, in coordinates that divide by them.

    Along an eigenvector of curvature ``h`` the gradient is ``h u``, and a step is a linear map of
    ``u`` and ``m``; it shrinks where the map's eigenvalues lie in the unit circle.

    Attributes:
        momentum: In [0, 1). weight: Above 0. nesterov: Whether the step looks ahead.
    """

    momentum: float = 0.0
    weight: float = 1.0
    nesterov: bool = False

    @property
    def stability_threshold(self) -> float:
        """Rate times curvature at the border of stability: 2 for plain gradient descent.

        ``2 (1 + momentum) / weight``; Nesterov ``2 (1 + momentum) / (1 + momentum + momentum
        weight)``. There the map's eigenvalue is -1 (Jury's criterion; the other two of its
        conditions are weaker).
        """
        mu, nu = self.momentum, self.weight
        return 2 * (1 + mu) / (1 + mu + mu * nu if self.nesterov else nu)

    @property
    def memory(self) -> float:
        """How many past gradients its average holds, ``1 / (1 - momentum)``."""
        return 1 / (1 - self.momentum)

    def limit(self, curvature: float) -> float:
        """Largest rate at which steps along a direction of this curvature do not grow."""
        return self.stability_threshold / curvature if curvature > 0 else float("inf")


@dataclass(frozen=True)
class Coordinates:
    """Coordinates in which all parameters follow one rule at one rate.

    In them the loss has the matrix ``S G S + diag(shift) + common I``, ``G`` that of the
    parameters.

    Attributes:
        rule: Of the group with the largest rate, to which the limit belongs.
        rates: Rates of the groups over the largest.
        scale: Diagonal of ``S``, ``(P,)``. plain: Whether it is 1 throughout.
        shift: Weight decay, ``(P,)``; None where it is the same for all.
        common: That shift, which moves every eigenvalue alike; else 0.
    """

    rule: Rule
    rates: tuple[float, ...]
    scale: Tensor
    plain: bool
    shift: Tensor | None
    common: float

    def matrix(self, op: CurvatureOperator) -> LinearOperator:
        """The matrix in these coordinates, but for the common shift."""
        if self.plain and self.shift is None:
            return op
        return Preconditioned(op, self.scale, self.shift)


def check_optimizer(optimizer: object) -> None:
    """Refuse what is no known optimizer, or one without a limit."""
    if isinstance(optimizer, str):
        if optimizer not in NAMES:
            raise unknown("optimizer", optimizer, NAMES, PYTHON + "pass a torch optimizer")
        return
    if not isinstance(optimizer, Optimizer) or type(optimizer) not in KNOWN:
        words, names = "be torch's SGD, Adam or AdamW, or a name", ", ".join(map(repr, NAMES))
        raise wrong_type("optimizer", words, type(optimizer).__name__, "use one of " + names)
    groups = optimizer.param_groups
    for group in groups:
        _check_group(group)
    if not any(float(group["lr"]) > 0 for group in groups):
        way_out = "build it with lr=1.0, as a unit"
        raise wrong("optimizer", "have a learning rate above 0", "none", way_out)
    rules = {rule(group) for group in groups}
    if len(rules) > 1 and any(each.nesterov for each in rules):
        words = "share momentum between groups where one is nesterov"
        way_out = "give all groups the same momentum and nesterov"
        raise wrong("optimizer", words, f"{len(rules)} settings", way_out)


def make(optimizer: Optimizer | str, named: Named) -> Optimizer:
    """The optimizer itself, or torch's of that name on these parameters."""
    if isinstance(optimizer, str):
        kind, settings = NAMES[optimizer]
        return kind(list(named.values()), lr=1e-3, **settings)  # type: ignore[call-arg]
    groups_of = _places(optimizer)
    if not any(id(weight) in groups_of for weight in named.values()):
        way_out = "build it from model.parameters()"
        raise wrong("optimizer", "hold parameters of the model", "none of them", way_out)
    return optimizer


def adaptive(optimizer: Optimizer) -> bool:
    """Whether it divides by running squares of gradients."""
    return isinstance(optimizer, Adam)


def twin(optimizer: Optimizer, named: Named, copies: Named) -> Optimizer:
    """An optimizer with the same settings, and a copy of its state, on copies of parameters."""
    names, groups = {id(weight): name for name, weight in named.items()}, []
    for group in optimizer.param_groups:
        own = [copies[names[id(p)]] for p in group["params"] if id(p) in names]
        if own:
            groups.append({**group, "params": own})
            groups[-1].pop("param_names", None)
    kind: Any = type(optimizer)
    again: Optimizer = kind(groups)
    for name, weight in named.items():
        if weight in optimizer.state:
            again.state[copies[name]] = copy.deepcopy(optimizer.state[weight])
    return again


def rule(group: Mapping[str, Any]) -> Rule:
    """The update of a group, its denominators apart."""
    if "betas" in group:
        beta = float(group["betas"][0])
        return Rule(beta, 1 - beta)
    momentum = float(group["momentum"])
    weight = 1 - float(group["dampening"]) if momentum else 1.0
    return Rule(momentum, weight, bool(group["nesterov"]))


def fastest_group(optimizer: Optimizer) -> tuple[float, Rule]:
    """The largest rate of the groups, and the update of its group: rates are in its unit."""
    group = max(optimizer.param_groups, key=lambda group: float(group["lr"]))
    return float(group["lr"]), rule(group)


def coordinates(optimizer: Optimizer, named: Named, like: LinearOperator) -> Coordinates:
    """Where all parameters take equal steps; dtype and device of an operator.

    With relative rates ``r``, denominators ``d`` and ``t`` the reach of the fastest group over the
    own, ``S^2 = r t / d``. Decay ``w`` in the gradient adds ``w S^2``, decoupled decay half the
    reach times ``r w``: both exact, since the border is where the map has the eigenvalue -1.
    Parameters that the optimizer does not move get zeros: it does not hold them, or Adam has seen
    no gradient of theirs.
    """
    (top, fastest), groups_of = fastest_group(optimizer), _places(optimizer)
    squares, shifts = [], []
    for weight in named.values():
        group = groups_of.get(id(weight))
        square = shift = torch.zeros_like(weight, dtype=torch.float64)
        if group is not None and (not adaptive(optimizer) or seen(optimizer, weight)):
            r, w = float(group["lr"]) / top, float(group["weight_decay"])
            turn = fastest.stability_threshold / rule(group).stability_threshold
            square = r * turn / _denominator(optimizer, weight, group)
            half = torch.full_like(square, fastest.stability_threshold * r / 2)
            shift = w * (half if group.get("decoupled_weight_decay", False) else square)
        squares.append(square.reshape(-1).to(like.device, like.dtype))
        shifts.append(shift.reshape(-1).to(like.device, like.dtype))
    rates = tuple([float(group["lr"]) / top for group in optimizer.param_groups])
    scale, shift = torch.cat(squares).sqrt(), torch.cat(shifts)
    plain, first = bool((scale == 1).all()), float(shift[0])
    if bool((shift == first).all()):
        return Coordinates(fastest, rates, scale, plain, None, first)
    return Coordinates(fastest, rates, scale, plain, shift, 0.0)


def seen(optimizer: Optimizer, weight: Tensor) -> bool:
    """Whether Adam has running squares of a parameter's gradients."""
    return SQUARES in optimizer.state.get(weight, {})


def _denominator(optimizer: Optimizer, weight: Tensor, group: Mapping[str, Any]) -> Tensor:
    """What a step is divided by, of the shape of the weight: ``sqrt(v) + eps`` for Adam."""
    if not adaptive(optimizer):
        return torch.ones_like(weight, dtype=torch.float64)
    state = optimizer.state[weight]
    squares = state["max_exp_avg_sq" if group["amsgrad"] else SQUARES].detach().double()
    filled = 1 - float(group["betas"][1]) ** float(state["step"])
    return (squares / filled).sqrt() + float(group["eps"])


def _places(optimizer: Optimizer) -> dict[int, dict[str, Any]]:
    return {id(p): group for group in optimizer.param_groups for p in group["params"]}


def _check_group(group: Mapping[str, Any]) -> None:
    if group.get("maximize"):
        way_out = "minimise the loss"
        raise wrong("optimizer", "minimise: upwards no rate is stable", "maximize=True", way_out)
    for key in ("momentum", "dampening"):
        value = float(group.get(key, 0.0))
        if not value < 1 and (key == "momentum" or float(group["momentum"])):
            raise wrong("optimizer", f"have {key} below 1", value, f"build it with {key}=0.9")
