"""What an optimizer of torch does to the coordinates: rates, momenta, denominators and decay."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from ...results import PYTHON, unknown, wrong, wrong_type
from ...spectra import LinearOperator
from ._stability import Rule

NAMES: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "sgd": (SGD, {}),
    "momentum": (SGD, {"momentum": 0.9}),
    "nesterov": (SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (Adam, {}),
    "adamw": (AdamW, {}),
}
KNOWN = (SGD, Adam, AdamW)
Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Coordinates:
    """Coordinates in which all parameters follow one rule at one rate.

    In them the loss has the matrix ``S G S + diag(shift)``, ``G`` that of the parameters.

    Attributes:
        rule: Of the group with the largest rate, to which the limit belongs.
        rates: Rates of the groups over the largest.
        scale: Diagonal of ``S``, ``(P,)``. shift: ``(P,)``; weight decay.
    """

    rule: Rule
    rates: tuple[float, ...]
    scale: Tensor
    shift: Tensor

    @property
    def plain(self) -> bool:
        """Whether they are the parameters themselves."""
        return bool((self.scale == 1).all())

    @property
    def common_shift(self) -> float | None:
        """The shift where it is the same for all; it moves every eigenvalue alike."""
        first = self.shift[0]
        return float(first) if bool((self.shift == first).all()) else None


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
        raise wrong(
            "optimizer", "have a learning rate above 0", "none", "build it with lr=1.0, as a unit"
        )
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


def started(optimizer: Optimizer, named: Named) -> bool:
    """Whether it has running squares for every parameter that it moves."""
    groups_of = _places(optimizer)
    return all(
        "exp_avg_sq" in optimizer.state.get(weight, {})
        for weight in named.values()
        if id(weight) in groups_of
    )


def twin(optimizer: Optimizer, named: Named, copies: Named) -> Optimizer:
    """An optimizer with the same settings, and a copy of its state, on copies of parameters."""
    names = {id(weight): name for name, weight in named.items()}
    groups = []
    for group in optimizer.param_groups:
        settings = {k: v for k, v in group.items() if k not in ("params", "param_names")}
        own = [copies[names[id(p)]] for p in group["params"] if id(p) in names]
        if own:
            groups.append({**settings, "params": own})
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


def fastest_rule(optimizer: Optimizer) -> Rule:
    """The update of the group with the largest rate."""
    return rule(max(optimizer.param_groups, key=lambda group: float(group["lr"])))


def coordinates(optimizer: Optimizer, named: Named, like: LinearOperator) -> Coordinates:
    """Where all parameters take equal steps; dtype and device of an operator.

    With relative rates ``r``, denominators ``d`` and ``t`` the reach of the fastest group over the
    own, ``S^2 = r t / d``. Decay ``w`` in the gradient adds ``w S^2``, decoupled decay half the
    reach times ``r w``: both exact, since the border is where the map has the eigenvalue -1.
    Parameters that the optimizer does not hold get zeros: they stay.
    """
    groups = optimizer.param_groups
    top = max(float(group["lr"]) for group in groups)
    fastest = fastest_rule(optimizer)
    groups_of, squares, shifts = _places(optimizer), [], []
    for weight in named.values():
        group = groups_of.get(id(weight))
        if group is None:
            square = shift = torch.zeros_like(weight, dtype=torch.float64)
        else:
            r, w = float(group["lr"]) / top, float(group["weight_decay"])
            turn = fastest.stability_threshold / rule(group).stability_threshold
            square = r * turn / _denominator(optimizer, weight, group)
            decoupled = group.get("decoupled_weight_decay", False)
            half = torch.full_like(square, fastest.stability_threshold * r / 2)
            shift = w * (half if decoupled else square)
        squares.append(square.reshape(-1).to(like.device, like.dtype))
        shifts.append(shift.reshape(-1).to(like.device, like.dtype))
    scaled = tuple(float(group["lr"]) / top for group in groups)
    return Coordinates(fastest, scaled, torch.cat(squares).sqrt(), torch.cat(shifts))


def _denominator(optimizer: Optimizer, weight: Tensor, group: Mapping[str, Any]) -> Tensor:
    """What a step is divided by, of the shape of the weight: ``sqrt(v) + eps`` for Adam."""
    if not adaptive(optimizer):
        return torch.ones_like(weight, dtype=torch.float64)
    state = optimizer.state[weight]
    squares = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"].detach().double()
    seen = 1 - float(group["betas"][1]) ** float(state["step"])
    return (squares / seen).sqrt() + float(group["eps"])


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
