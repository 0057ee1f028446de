"""The optimizers whose step is a diagonal times an average of gradients: one entry each.

With the diagonal as it was in the last step, a step is the linear map of a ``Rule``, in coordinates
that divide by ``Kind.divisor``. Bias corrections of the average are left out, since they end.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import (
    ASGD,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
)

from ...optim import Adastand, SDProp
from ._rule import Rule

Group = Mapping[str, Any]
State = Mapping[str, Any]  # of one parameter; empty before its first step
RECTIFIED = 5.0  # length of RAdam's average of squares up to which it divides by nothing


def real(values: Tensor) -> Tensor:
    """Coordinates of a parameter or its state: a complex number is two, as for torch."""
    return torch.view_as_real(values) if values.is_complex() else values


def dense(values: Tensor) -> Tensor:
    """A gradient with all its entries: that of an embedding may be sparse."""
    return values.to_dense() if values.is_sparse else values


@dataclass(frozen=True)
class Kind:
    """How one class of optimizers steps.

    Attributes:
        rule: The update along one direction, of a group's settings and a parameter's state.
        divisor: ``divisor(weight, group, state)``: what a step is divided by, float64, of the shape
            of ``real(weight)`` or one number; None where a step is divided by nothing.
        corrected: Whether the average of gradients is corrected for its empty start.
        decoupled: Weight decay apart from the gradient, over the group's rate.
        in_gradient: Weight decay that is added to the gradient.
        most: The largest rate that has an effect, of a parameter's state.
        warm: Share of a step's length that its own warm-up leaves at step 1, 2, ...
    """

    rule: Callable[[Group, State], Rule]
    divisor: Callable[[Tensor, Group, State], Tensor] | None
    corrected: bool = False
    decoupled: Callable[[Group, State], float] = lambda group, state: _decay(group, True)
    in_gradient: Callable[[Group], float] = lambda group: _decay(group, False)
    most: Callable[[State], float] = lambda state: math.inf
    warm: Callable[[Group, float], float] = lambda group, step: 1.0


def kind_of(optimizer: Optimizer) -> Kind | None:
    """The entry of an optimizer's class, or of the parent whose step it makes; None for others."""
    own = type(optimizer)
    for parent in own.__mro__:
        if parent in KINDS:
            same = inspect.unwrap(own.step) is inspect.unwrap(parent.step)
            return KINDS[parent] if same else None
    return None


def _decay(group: Group, apart: bool) -> float:
    held = float(group.get("weight_decay", 0.0))
    return held if bool(group.get("decoupled_weight_decay", False)) == apart else 0.0


def _plain(group: Group, state: State) -> Rule:
    return Rule()


def _heavy_ball(group: Group, state: State) -> Rule:
    """Of SGD and RMSprop."""
    momentum = float(group["momentum"])
    weight = 1 - float(group.get("dampening", 0.0)) if momentum else 1.0
    return Rule(momentum, weight, bool(group.get("nesterov", False)))


def _averaged(group: Group, state: State) -> Rule:
    """Of Adam and those after it."""
    beta = float(group["betas"][0])
    return Rule(beta, 1 - beta)


def _root(squares: Tensor, group: Group, state: State) -> Tensor:
    """Root of running squares, corrected for their empty start."""
    return (real(squares).detach().double() / _filled(group, state)).sqrt()


def _filled(group: Group, state: State) -> float:
    return 1 - float(group["betas"][1]) ** float(state["step"])


def _adam(weight: Tensor, group: Group, state: State) -> Tensor:
    key = "max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"
    return _root(state[key], group, state) + float(group["eps"])


def _adamax(weight: Tensor, group: Group, state: State) -> Tensor:
    return real(state["exp_inf"]).detach().double()


def _shares(group: Group, state: State) -> tuple[float, float]:
    """NAdam's step is ``(a g + b m) / d``: ``a`` and ``b``, which go to 1 - beta1 and beta1."""
    beta, decay = float(group["betas"][0]), float(group["momentum_decay"])
    step = float(state.get("step", 0.0))
    now, then = (beta * (1 - 0.5 * 0.96 ** (decay * at)) for at in (step, step + 1))
    return 1 - now, then


def _nadam_rule(group: Group, state: State) -> Rule:
    """``a g + b m`` is ``a`` times Nesterov's ``g + beta m'``, with another weight in ``m'``."""
    beta = float(group["betas"][0])
    a, b = _shares(group, state)
    return Rule(beta, (1 - beta) * b / (a * beta), nesterov=True) if beta else Rule()


def _nadam(weight: Tensor, group: Group, state: State) -> Tensor:
    return _adam(weight, group, state) / _shares(group, state)[0]


def _rectification(group: Group, state: State) -> float | None:
    """RAdam's factor, which grows to 1; None in its first steps, which divide by nothing."""
    step, beta = float(state["step"]), float(group["betas"][1])
    full = 2 / (1 - beta) - 1
    length = full - 2 * step * beta**step / _filled(group, state)
    if length <= RECTIFIED:
        return None
    return float(((length - 4) * (length - 2) * full / ((full - 4) * (full - 2) * length)) ** 0.5)


def _radam(weight: Tensor, group: Group, state: State) -> Tensor:
    factor = _rectification(group, state)
    if factor is None:
        return torch.ones((), dtype=torch.float64)
    root = real(state["exp_avg_sq"]).detach().double().sqrt() + float(group["eps"])
    return root / (_filled(group, state) ** 0.5 * factor)


def _rmsprop(weight: Tensor, group: Group, state: State) -> Tensor:
    squares = real(state["square_avg"]).detach().double()
    if group["centered"]:
        squares = squares - real(state["grad_avg"]).detach().double().square()
    return squares.clamp_min(0).sqrt() + float(group["eps"])


def _sdprop(weight: Tensor, group: Group, state: State) -> Tensor:
    """Without its bound on steps, which one at the border does not reach."""
    root = real(state["grad_var"]).detach().double().sqrt() + float(group["eps"])
    return root / SDProp.correction(float(state["step"]), group)


def _adastand_rule(group: Group, state: State) -> Rule:
    """Its average is of the gradient less the average itself, which forgets twice."""
    beta = float(group["betas"][0])
    return Rule(2 * beta - 1, 1 - beta)


def _adastand(weight: Tensor, group: Group, state: State) -> Tensor:
    return _root(state["deviation_avg_sq"], group, state) + float(group["eps"])


def _adagrad(weight: Tensor, group: Group, state: State) -> Tensor:
    later = 1 + (float(state["step"]) - 1) * float(group["lr_decay"])
    return (real(state["sum"]).detach().double().sqrt() + float(group["eps"])) * later


def _adadelta(weight: Tensor, group: Group, state: State) -> Tensor:
    """By the steps made so far, which are held as the squares are."""
    squares, moves = (real(state[key]).detach().double() for key in ("square_avg", "acc_delta"))
    eps = float(group["eps"])
    return ((squares + eps) / (moves + eps)).sqrt()


def _adafactor(weight: Tensor, group: Group, state: State) -> Tensor:
    """Without its clipping of large steps, which a step at the border does not reach."""
    least, size = group["eps"]
    least = torch.finfo(weight.dtype).eps if least is None else float(least)
    if weight.ndim > 1:
        rows, columns = (state[key].detach().double() for key in ("row_var", "col_var"))
        squares = rows @ columns / rows.mean(dim=-2, keepdim=True).clamp_min(least)
    else:
        squares = state["variance"].detach().double()
    scale = max(float(size), float(weight.detach().double().square().mean().sqrt()))
    return squares.clamp_min(least**2).sqrt() / scale


def _asgd(weight: Tensor, group: Group, state: State) -> Tensor:
    """Its rate falls as ``eta`` in its state."""
    return torch.tensor(_later(group, state), dtype=torch.float64)


def _later(group: Group, state: State) -> float:
    decay = float(group["lambd"]) * float(group["lr"]) * float(state["step"])
    return float((1 + decay) ** float(group["alpha"]))


ADAM = Kind(_averaged, _adam, corrected=True)
KINDS: dict[type[Optimizer], Kind] = {
    SGD: Kind(_heavy_ball, None),
    ASGD: Kind(
        _plain, _asgd, decoupled=lambda group, s: float(group["lambd"]) / _later(group, s)
    ),
    Adam: ADAM,
    AdamW: ADAM,
    Adamax: Kind(_averaged, _adamax, corrected=True),
    NAdam: Kind(_nadam_rule, _nadam, corrected=True),
    RAdam: Kind(
        _averaged, _radam, corrected=True,
        warm=lambda group, step: _rectification(group, {"step": step}) or 0.0,
    ),
    RMSprop: Kind(_heavy_ball, _rmsprop),
    SDProp: Kind(_plain, _sdprop),
    Adastand: Kind(_adastand_rule, _adastand, corrected=True),
    Adagrad: Kind(_plain, _adagrad),
    Adadelta: Kind(_plain, _adadelta),
    Adafactor: Kind(
        _plain, _adafactor, in_gradient=lambda group: 0.0,
        decoupled=lambda group, state: float(group["weight_decay"]),
        most=lambda state: float(state["step"]) ** -0.5,
    ),
}  # fmt: skip
CLASSES: dict[str, type[Optimizer]] = {kind.__name__: kind for kind in KINDS}
