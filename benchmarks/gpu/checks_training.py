"""Optimizers and the constraint of recurrent nets: the same steps on the card and in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nakami import optim, recurrent

from . import bounds
from .networks import NETS, placed
from .units import Found, Setting, Unit

STEPS, DAMPING, DELTA = 5, 0.1, 0.2

ELEMENTWISE: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sdprop": optim.SDProp,
    "adastand": optim.Adastand,
}
OBSERVING: dict[str, Callable[..., Any]] = {
    "natural-gradient": partial(optim.NaturalGradient, lr=0.3, damping=DAMPING),
    "unitwise": partial(optim.UnitwiseNaturalGradient, form="closed", damping=DAMPING, refresh=1),
    "kfac": partial(optim.KFAC, damping=DAMPING, refresh=1, seed=0),
    "ekfac": partial(optim.EKFAC, damping=DAMPING, refresh=1, basis=1, seed=0),
    "hessian-free": partial(optim.HessianFree, damping=DAMPING, iterations=20),
}


def elementwise(setting: Setting, found: Found, *, name: str) -> None:
    """The same gradients given to both; float32, alone, in groups (``foreach``) and capturable.

    A step is about ten operations on each number, each off by half a unit of rounding; the square
    of a gradient doubles it. Steps add up: ``2 * 10 * STEPS`` units, of the largest weight.
    """
    bound = 2 * 10 * STEPS * bounds.UNIT["float32"]
    wanted = _given(ELEMENTWISE[name], "cpu", torch.float64, {})
    for how in ({"foreach": False}, {"foreach": True}, {"capturable": setting.on_card}):
        made = _given(ELEMENTWISE[name], setting.device, torch.float32, how)
        for place, (a, b) in enumerate(zip(made, wanted, strict=True)):
            worst = (a.double().cpu() - b).abs().max() / b.abs().max()
            said = ", ".join(f"{k}={v}" for k, v in how.items())
            found.within(f"weight {place}, {said}", float(worst), bound)


def _given(
    make: Callable[..., torch.optim.Optimizer],
    device: str,
    dtype: torch.dtype,
    how: dict[str, bool],
) -> list[Tensor]:
    gen = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=gen, dtype=torch.float64)
    weights = [nn.Parameter(draw(n).float().to(device, dtype)) for n in (7, 300)]
    optimizer = make(weights, lr=0.01, weight_decay=0.1, **how)
    for _ in range(STEPS):
        for weight in weights:
            weight.grad = draw(len(weight)).float().to(device, dtype)
        optimizer.step()
    return [weight.detach() for weight in weights]


def observing(setting: Setting, found: Found, *, name: str, net: str) -> None:
    """Training by the same batch: how far the weights went, and the losses.

    A step solves with ``F + damping``: an error of the gradient, ``product``, grows by its
    condition number at most, ``1 + trace(F) / damping``, and each step starts where the last one
    ended. K-FAC draws its targets, from a generator of its own on the CPU: the same on each device.
    """
    case = NETS[net]
    model, x = case.drawn(8)
    y = torch.arange(8) % 5
    rates, least = _trained(OBSERVING[name], model, x, y)
    card = placed(model, setting.device, torch.float32)
    on = x.to(setting.device, torch.float32), y.to(setting.device)
    made, losses = _trained(OBSERVING[name], card, *on)
    trace = _fisher_trace(model, x)
    bound = STEPS * bounds.product(case.layers, case.terms) * (1 + trace / DAMPING)
    found.near("way of the weights", made, rates, min(bound, 0.1))
    found.near("losses", losses, least, min(bound, 0.1))
    found.holds("the loss falls", bool(losses[-1] < losses[0]))


def _trained(
    make: Callable[..., Any], model: nn.Module, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """How far all weights went, and the loss at each step."""
    model = copy.deepcopy(model)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer, losses = make(model, "cross_entropy"), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        z = model(x)
        optimizer.observe(z, y)
        loss = cross_entropy(z, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    moved = [(p.detach() - b).flatten() for p, b in zip(model.parameters(), before, strict=True)]
    return torch.cat(moved), torch.stack(losses)


def _fisher_trace(model: nn.Module, x: Tensor) -> float:
    """``mean_n sum_c p_c |grad log p_c|^2``."""
    total = 0.0
    for one in x:
        logs = model(one[None])[0].log_softmax(0)
        for log in logs:
            grads = torch.autograd.grad(log, list(model.parameters()), retain_graph=True)
            total += float(log.exp() * sum(g.square().sum() for g in grads))
    return total / len(x)


def stabiliser(setting: Setting, found: Found) -> None:
    """A GRU whose candidate's matrix is kept within ``2 - delta`` while it is pushed out.

    The constraint promises a factor ``1 + 1e-5`` in float32 (docs/recurrent.md).
    """
    model, x = NETS["gru"].drawn(4)
    y = torch.arange(4) % 5
    ways = []
    for device, dtype in (("cpu", torch.float64), (setting.device, torch.float32)):
        net = placed(model, device, dtype)
        with torch.no_grad():
            net.cells.weight_hh_l0.mul_(8)
        optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
        constraint = recurrent.SpectralConstraint(net, optimizer, delta=DELTA)
        for _ in range(STEPS):
            optimizer.zero_grad()
            cross_entropy(net(x.to(device, dtype)), y.to(device)).backward()
            optimizer.step()
            candidate = net.cells.weight_hh_l0.detach().double().cpu().chunk(3)[2]
            over = float(torch.linalg.matrix_norm(candidate, 2)) / (2 - DELTA) - 1
            found.within(f"above the bound, {dtype}", over, 1e-5)
        found.holds("it was needed", constraint.blocks[0].highest > 2 - DELTA)
        ways.append(candidate)
    # each step may double an error: gradients of a net at the edge of stability
    found.near("W_hn", ways[1], ways[0], 2**STEPS * bounds.product(15, 18))


UNITS = [
    *(Unit(f"optim/{name}", partial(elementwise, name=name)) for name in ELEMENTWISE),
    *(
        Unit(f"optim/{name}/{net}", partial(observing, name=name, net=net))
        for name in OBSERVING
        for net in ("mlp", "conv")
    ),
    Unit("recurrent/constraint", stabiliser),
]
