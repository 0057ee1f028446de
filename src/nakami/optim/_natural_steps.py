"""Steps by natural gradients, whatever they are read from: clip, momentum, settings, state."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..operators import sharded
from ..results import RunError, is_number, warn, wrong, wrong_type
from ._dense import not_whole
from ._settings import check_from_0, check_inside, check_rate

NOT_FINITE = (
    "gradients that are not finite; lower lr, raise damping, or start again from the "
    "last checkpoint."
)


class NaturalSteps(Optimizer):
    """``w <- w - lr v``, ``v`` the natural gradient of ``.grad`` plus weight decay.

    Args:
        model: Its parameters that require gradients are optimized.
        settings: "lr", "momentum", "damping", "weight_decay", "kl_clip"; "decay" where there are
            running means.
    """

    def __init__(self, model: nn.Module, settings: dict[str, Any]):
        check_model(model)
        _check_settings(settings)
        super().__init__([p for p in model.parameters() if p.requires_grad], settings)
        self._left = LeftOut(self, model)

    @abstractmethod
    def _moves(self) -> tuple[dict[Tensor, Tensor], dict[int, float]]:
        """Natural gradients, and their products with the gradients by the group's id."""

    @abstractmethod
    def _made(self) -> None:
        """A step was made."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; settings it leaves out are the optimizer's.

        Raises:
            UsageError: A setting out of range.
        """
        if isinstance(param_group, dict):
            _check_settings({**self.defaults, **param_group})
        super().add_param_group(param_group)

    @property
    def _kind(self) -> str:
        """Whose state this is."""
        return type(self).__name__

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch._disable_dynamo
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Make one step by the gradients that stand in ``.grad``; weights without one stay.

        Args:
            closure: Calls the model, ``observe`` and ``backward`` before the step.

        Raises:
            UsageError: Nothing was observed so far, a sparse gradient.
            RunError: Gradients that are not finite; nothing has moved then.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._left.tell()
        moves, product = self._moves()
        if not all(math.isfinite(size) for size in product.values()):
            raise RunError(f"{type(self).__name__} met {NOT_FINITE}")
        for group in self.param_groups:
            size = product.get(id(group), 0.0) * float(group["lr"]) ** 2
            most = group["kl_clip"]
            share = 1.0 if most is None or size <= most else math.sqrt(most / size)
            for p in group["params"]:
                if p in moves:
                    self._move(p, share * moves[p], group)
        self._made()
        return loss

    def _move(self, p: Tensor, move: Tensor, group: dict[str, Any]) -> None:
        if group["momentum"]:
            state = self.state[p]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(p)
            move = state["momentum_buffer"].mul_(group["momentum"]).add_(move)
        p.sub_(move.to(p.dtype) * float(group["lr"]))


class LeftOut:
    """The parameters of a model that were frozen when an optimizer of it was built."""

    def __init__(self, optimizer: Optimizer, model: nn.Module):
        self._kind = type(optimizer).__name__
        self._frozen = [(name, p) for name, p in model.named_parameters() if not p.requires_grad]

    def tell(self) -> None:
        """Warn, once, where one of them has a gradient by now."""
        moved = [name for name, p in self._frozen if p.requires_grad and p.grad is not None]
        if moved:
            self._frozen = []
            warn(
                f"{moved[0]} has a gradient since {self._kind} was built, which does not train it; "
                "build the optimizer anew, or train it with another."
            )


def check_model(model: object) -> None:
    """Refuse what is no module, and weights to optimize that are sharded or in half precision."""
    if not isinstance(model, nn.Module):
        way_out = "pass the module; its parameters are found there"
        raise wrong_type("model", "be a torch module", type(model).__name__, way_out)
    parts = sharded(model)
    for name, p in model.named_parameters():
        if p.requires_grad and id(p) in parts:
            raise not_whole("model", name, parts[id(p)])
        if p.requires_grad and p.dtype not in (torch.float32, torch.float64):
            way_out = "keep the weights in float32 and run the model under torch.autocast"
            raise wrong("model", f"hold {name} in float32 or float64", str(p.dtype), way_out)


def check_above_0(name: str, value: object) -> None:
    """Refuse anything but a finite number above 0."""
    if isinstance(value, bool) or not is_number(value) or not 0 < value < math.inf:
        raise wrong(name, "be a number above 0", repr(value), "leave it out for the default")


def _check_settings(settings: dict[str, Any]) -> None:
    check_rate(settings["lr"])
    check_from_0("weight_decay", settings["weight_decay"], "0 is the default")
    if "decay" in settings:
        check_inside("decay", settings["decay"], "0.95 is the default")
    check_above_0("damping", settings["damping"])
    if settings["kl_clip"] is not None:
        check_above_0("kl_clip", settings["kl_clip"])
    momentum = settings["momentum"]
    if isinstance(momentum, bool) or not is_number(momentum) or not 0 <= momentum < 1:
        raise wrong(
            "momentum", "be from 0 on and below 1", repr(momentum), "leave it out for the default"
        )


def checked_state(state_dict: dict[str, Any], kind: str) -> dict[str, Any]:
    """A copy of a state without its kind.

    Raises:
        UsageError: It is another optimizer's.
    """
    state = dict(state_dict)
    found = state.pop("kind", None)
    if found != kind:
        way_out = "pass what state_dict() of such an optimizer gave"
        got = f"a {found}'s" if found else sorted(state_dict)
        raise wrong("state_dict", f"be a {kind}'s", got, way_out)
    return state
