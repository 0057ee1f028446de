"""What an optimizer of torch does to the coordinates: rates, momenta, denominators and decay."""

from __future__ import annotations

import copy
import inspect
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer, SparseAdam

from ...operators import CurvatureOperator
from ...results import wrong, wrong_type
from ...spectra import LinearOperator, Preconditioned
from ._kinds import CLASSES, KINDS, kind_of, real
from ._names import OPTIMIZERS, check_optimizer_name
from ._rule import Rule

POINTS = 1000  # of a warm-up, of which its mean is taken

Named = Mapping[str, Tensor]
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
OUTSIDE = ("step", "_optimizer_")  # what schedulers and hooks have put on an optimizer


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


def check_optimizer(optimizer: object, limit: bool = True) -> None:
    """Refuse what is no optimizer, and with ``limit`` what has none.

    Trials need an optimizer that steps with the gradients it finds.
    """
    if isinstance(optimizer, str):
        check_optimizer_name(optimizer)
        return
    if not isinstance(optimizer, Optimizer):
        got, way_out = type(optimizer).__name__, "use one of " + ", ".join(map(repr, OPTIMIZERS))
        if isinstance(optimizer, type):
            name = optimizer.__name__
            got, way_out = f"the class {name}", f"pass {name}(model.parameters(), lr=0.1)"
        raise wrong_type("optimizer", "be torch's, or a name", got, way_out)
    kind, name = kind_of(optimizer), type(optimizer).__name__
    if kind is None and limit:
        known = ", ".join(each.__name__ for each in KINDS)
        words = f"make steps that are linear in the gradient once its averages are fixed ({known})"
        raise wrong_type("optimizer", words, name, "ask nakami.learning_rate for a rate")
    if kind is None and callable(getattr(optimizer, "observe", None)):
        got = f"{name}, which reads the model at each refresh and bounds its own steps"
        way_out = "try a few values of its lr and damping on a short training"
        raise wrong_type("optimizer", "step by gradients alone", got, way_out)
    if kind is None and not _steps_alone(optimizer):
        way_out = "use torch.optim.SGD or torch.optim.Adam"
        raise wrong_type("optimizer", "step by dense gradients, without a closure", name, way_out)
    groups = optimizer.param_groups
    for group in groups:
        _check_group(group)
    if not max(rates(optimizer)) > 0:
        way_out = "build it with lr=1.0, as a unit"
        raise wrong("optimizer", "have a learning rate above 0", "none", way_out)
    rules = {rule(optimizer, group, {}) for group in groups}
    if len(rules) > 1 and any(each.nesterov for each in rules):
        words = "share momentum between groups where one is nesterov"
        way_out = "give all groups the same momentum and nesterov"
        raise wrong("optimizer", words, f"{len(rules)} settings", way_out)


def _steps_alone(optimizer: Optimizer) -> bool:
    """Whether ``step()`` does, by gradients that are not sparse."""
    arguments = inspect.signature(type(optimizer).step).parameters.values()
    asked = [each for each in arguments if each.default is each.empty and each.kind in POSITIONAL]
    return len(asked) <= 1 and not isinstance(optimizer, SparseAdam)


def make(optimizer: Optimizer | str, named: Named) -> Optimizer:
    """The optimizer itself, or torch's of that name on these parameters."""
    if isinstance(optimizer, str):
        kind, settings = OPTIMIZERS[optimizer]
        return _of_class(CLASSES[kind], list(named.values()), settings)
    groups_of = _places(optimizer)
    if not any(id(weight) in groups_of for weight in named.values()):
        way_out = "build it from model.parameters()"
        raise wrong("optimizer", "hold parameters of the model", "none of them", way_out)
    return optimizer


def _of_class(
    kind: type[Optimizer], parameters: list[Tensor], settings: Mapping[str, Any]
) -> Optimizer:
    """``kind(parameters, **settings)``, without the import of torch's compiler that this begins.

    It takes 2.5 seconds, and comes with the first step of an optimizer in any case: after the first
    look. ``add_param_group`` is the same function without the wrapper that imports it.
    """
    plain = {"add_param_group": inspect.unwrap(kind.add_param_group)}
    made: Optimizer = type(kind.__name__, (kind,), plain)(parameters, **settings)
    made.__class__ = kind
    return made


def adaptive(optimizer: Optimizer) -> bool:
    """Whether it divides by what its state holds."""
    kind = kind_of(optimizer)
    return kind is not None and kind.divisor is not None


def corrected(optimizer: Optimizer) -> bool:
    """Whether its average of gradients is corrected for an empty start; of unknown ones too."""
    kind = kind_of(optimizer)
    return kind is None or kind.corrected


def empty(optimizer: Optimizer) -> bool:
    """Whether its steps have yet to grow, its average of gradients being empty."""
    started = any(_began(state) for state in optimizer.state.values())
    return not started and not corrected(optimizer)


def alike(optimizer: Optimizer) -> set[str]:
    """Names of the classes whose advice fits it: its own, and those with the same steps."""
    kind = kind_of(optimizer)
    same = {each.__name__ for each, its in KINDS.items() if its is kind}
    return {type(optimizer).__name__, *same}


def twin(optimizer: Optimizer, named: Named, copies: Named) -> Optimizer:
    """An optimizer with the same settings, and a copy of its state, on copies of parameters."""
    names, groups = {id(weight): name for name, weight in named.items()}, []
    for group in optimizer.param_groups:
        own = [copies[names[id(p)]] for p in group["params"] if id(p) in names]
        if own:
            groups.append({**group, "params": own})
            groups[-1].pop("param_names", None)
    again: Optimizer = object.__new__(type(optimizer))
    inside = {key: held for key, held in vars(optimizer).items() if not key.startswith(OUTSIDE)}
    again.__setstate__({**inside, "param_groups": groups, "state": defaultdict(dict)})
    for name, weight in named.items():
        if weight in optimizer.state:
            again.state[copies[name]] = copy.deepcopy(optimizer.state[weight])
    return again


def rule(optimizer: Optimizer, group: Mapping[str, Any], state: Mapping[str, Any]) -> Rule:
    """The update of a group, its denominators apart; of unknown ones the length of their memory."""
    kind = kind_of(optimizer)
    if kind is not None:
        return kind.rule(group, state)
    momentum = group["betas"][0] if "betas" in group else group.get("momentum", 0.0)
    return Rule(float(momentum), 1 - float(momentum))


def rates(optimizer: Optimizer) -> list[float]:
    """The rate of each group; where a schedule begins at 0, the one that it is a factor of."""
    now = [float(group.get("lr", 0.0)) for group in optimizer.param_groups]
    if max(now) > 0:
        return now
    return [float(group.get("initial_lr", 0.0)) for group in optimizer.param_groups]


def set_rates(optimizer: Optimizer, factor: float) -> None:
    """Multiply the rates of all groups."""
    for group, rate in zip(optimizer.param_groups, rates(optimizer), strict=True):
        group["lr"] = rate * factor


def rule_of(optimizer: Optimizer, group: Mapping[str, Any]) -> Rule:
    """The update of a group, by the state that has made most steps."""
    states = [optimizer.state[p] for p in group["params"] if p in optimizer.state]
    return rule(optimizer, group, max(states, key=_steps, default={}))


def fastest_group(optimizer: Optimizer) -> tuple[float, Rule]:
    """The largest rate of the groups, and the update of its group: rates are in its unit."""
    every = rates(optimizer)
    top = max(range(len(every)), key=every.__getitem__)
    return every[top], rule_of(optimizer, optimizer.param_groups[top])


def coordinates(optimizer: Optimizer, named: Named, op: LinearOperator) -> Coordinates:
    """Where all parameters take equal steps; dtype and device of an operator.

    With relative rates ``r``, denominators ``d`` and ``t`` the reach of the fastest group over the
    own, ``S^2 = r t / d``. Decay ``w`` in the gradient adds ``w S^2``, decoupled decay half the
    reach times ``r w``: both exact, since the border is where the map has the eigenvalue -1.
    Parameters that the optimizer does not move get zeros: it does not hold them, or has seen no
    gradient of theirs and divides by its state.
    """
    kind = kind_of(optimizer)
    assert kind is not None
    (top, fastest), groups_of = fastest_group(optimizer), _places(optimizer)
    every = tuple([rate / top for rate in rates(optimizer)])
    shares = {id(group): r for group, r in zip(optimizer.param_groups, every, strict=True)}
    squares, shifts = [], []
    for weight in named.values():
        group = groups_of.get(id(weight))
        square = shift = torch.zeros(real(weight).shape, dtype=torch.float64)
        if group is not None and (kind.divisor is None or seen(optimizer, weight)):
            state, r = optimizer.state.get(weight, {}), shares[id(group)]
            reach = fastest.stability_threshold
            square = square + r * reach / kind.rule(group, state).stability_threshold
            if kind.divisor is not None:
                square = square / kind.divisor(weight, group, state).cpu()
            shift = kind.in_gradient(group) * square
            shift = shift + kind.decoupled(group, state) * reach * r / 2
        squares.append(square.reshape(-1).to(op.device, op.dtype))
        shifts.append(shift.reshape(-1).to(op.device, op.dtype))
    scale, shift = torch.cat(squares).sqrt(), torch.cat(shifts)
    plain, first = bool((scale == 1).all()), float(shift[0])
    if bool((shift == first).all()):
        return Coordinates(fastest, every, scale, plain, None, first)
    return Coordinates(fastest, every, scale, plain, shift, 0.0)


def seen(optimizer: Optimizer, weight: Tensor) -> bool:
    """Whether it has made a step of a parameter."""
    return _began(optimizer.state.get(weight, {}))


def most(optimizer: Optimizer, named: Named) -> float:
    """The largest rate that has an effect at the optimizer's next steps."""
    kind = kind_of(optimizer)
    states = [optimizer.state[w] for w in named.values() if seen(optimizer, w)]
    return min([kind.most(state) for state in states], default=math.inf) if kind else math.inf


def growth(optimizer: Optimizer) -> float:
    """How many times larger its steps become later, by a warm-up of its own."""
    kind = kind_of(optimizer)
    groups = [(g, optimizer.state.get(p, {})) for g in optimizer.param_groups for p in g["params"]]
    if kind is None:
        return 1.0
    now = [kind.warm(group, _steps(state)) for group, state in groups if _began(state)]
    return max((1 / share for share in now if share), default=1.0)


def warmed(optimizer: Optimizer, steps: int) -> float:
    """Mean share of a step's length that its own warm-up leaves over so many more steps.

    RAdam's first five, which divide by nothing, count as 0.
    """
    kind, (group, *_) = kind_of(optimizer), optimizer.param_groups
    made = max((_steps(state) for state in optimizer.state.values()), default=0.0)
    every = max(1, steps // POINTS)
    shares = [kind.warm(group, made + t) if kind else 1.0 for t in range(1, steps + 1, every)]
    return sum(shares) / len(shares)


def _began(state: Mapping[str, Any]) -> bool:
    """Of an optimizer that counts steps, or keeps nothing before the first."""
    return _steps(state) > 0


def _steps(state: Mapping[str, Any]) -> float:
    return float(state.get("step", 1 if state else 0))


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
