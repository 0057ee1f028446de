"""The optimizers that `source_004_sdprop.py` compares, and where each comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, _muon

from nakami.optim import VSGD, Adastand, SDProp

Build = Callable[[nn.Module, float, "Recipe"], list[Optimizer]]


@dataclass(frozen=True)
class Recipe:
    """What the task says of an optimizer, beside its rate."""

    beta2: float = 0.999
    decay: float = 0.0  # in one step; only for what must do it by itself
    warm_up: int = 0  # steps; likewise


@dataclass(frozen=True)
class Method:
    """An optimizer: how it is made, and where the search for its rate begins."""

    name: str
    build: Build
    start: float | None  # a power of sqrt(10); None: no rate is searched, 1 is taken
    state: str  # numbers kept for a weight
    package: str = ""
    own_schedule: bool = False


def hidden_matrices(net: nn.Module) -> list[Tensor]:
    """Weights that Muon is for: matrices of hidden layers, no embedding and no output layer."""
    modules = [m for m in net.modules() if not list(m.children())]
    last = [m for m in modules if isinstance(m, nn.Linear)][-1:]
    if hasattr(net, "positions"):  # nanoGPT's output layer is its embedding
        last = []
    left_out = {id(m.weight) for m in modules if isinstance(m, nn.Embedding) or m in last}
    return [p for p in net.parameters() if p.ndim == 2 and id(p) not in left_out]


def newton_schulz(
    grad: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """What torch's Muon does to a gradient, in its own precision: singular values near 1.

    torch does it in bfloat16, which CPUs without that arithmetic take ten times as long for.
    """
    a, b, c = coefficients
    x = grad.T if len(grad) > grad.shape[1] else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if len(grad) > grad.shape[1] else x


def muon(net: nn.Module, lr: float, recipe: Recipe) -> list[Optimizer]:
    """Muon for hidden matrices, AdamW for the rest, at one rate for both."""
    _muon._zeropower_via_newtonschulz = newton_schulz
    hidden = hidden_matrices(net)
    ids = {id(p) for p in hidden}
    rest = [p for p in net.parameters() if id(p) not in ids]
    return [
        torch.optim.Muon(hidden, lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr, (0.9, recipe.beta2), weight_decay=0.0),
    ]


def schedule_free(net: nn.Module, lr: float, recipe: Recipe) -> list[Optimizer]:
    """Its warm-up and decay are its own; decay is ``decay`` of a weight in a step."""
    kind = peer("schedulefree", "AdamWScheduleFree")
    groups = [
        {"params": [p for p in net.parameters() if (p.ndim > 1) == matrix],
         "weight_decay": recipe.decay / lr * matrix}
        for matrix in (True, False)
    ]  # fmt: skip
    options = {"betas": (0.9, recipe.beta2), "warmup_steps": recipe.warm_up}
    return [kind(groups, lr=lr, **options)]


def peer(module: str, name: str) -> Any:
    """A class of a package that nakami does not need."""
    return getattr(import_module(module), name)


def plain(make: Callable[[Any, float, float], Optimizer]) -> Build:
    """One optimizer for all weights, from parameters, rate and beta2."""
    return lambda net, lr, recipe: [make(net.parameters(), lr, recipe.beta2)]


METHODS = {
    method.name: method
    for method in (
        Method("SDProp", plain(lambda p, lr, b: SDProp(p, lr)), 1e-3, "2"),
        Method("Adastand", plain(lambda p, lr, b: Adastand(p, lr)), 1e-3, "2"),
        Method("vSGD, block",
               plain(lambda p, lr, b: VSGD(p, "cross_entropy", "block", lr)), None, "2"),
        Method("SGD, momentum 0.9",
               plain(lambda p, lr, b: torch.optim.SGD(p, lr, momentum=0.9)), 10**-1.5, "1"),
        Method("RMSprop", plain(lambda p, lr, b: torch.optim.RMSprop(p, lr, 0.99)), 1e-3, "1"),
        Method("RMSprop, centred",
               plain(lambda p, lr, b: torch.optim.RMSprop(p, lr, 0.99, centered=True)), 1e-3, "2"),
        Method("Adam, AdamW",
               plain(lambda p, lr, b: torch.optim.AdamW(p, lr, (0.9, b), weight_decay=0.0)),
               1e-3, "2"),
        Method("AdaBelief",
               plain(lambda p, lr, b: peer("pytorch_optimizer", "AdaBelief")(p, lr, (0.9, b))),
               1e-3, "2", "pytorch-optimizer"),
        Method("Lion", plain(lambda p, lr, b: peer("lion_pytorch", "Lion")(p, lr)),
               10**-3.5, "1", "lion-pytorch"),
        Method("schedule-free AdamW", schedule_free, 10**-2.5, "2", "schedulefree", True),
        Method("Muon and AdamW", muon, 10**-2.5, "1 or 2"),
        Method("Prodigy", plain(lambda p, lr, b: peer("pytorch_optimizer", "Prodigy")(p, lr)),
               None, "4", "pytorch-optimizer"),
    )
}  # fmt: skip


def made_by(method: Method) -> str:
    """Package and version; raises ImportError where it is missing."""
    return f"{method.package} {version(method.package)}" if method.package else ""
