"""Averages of an activation's squared slope at a normal input, ``E[phi'(s z + h)^2 z^j]``."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.special import ndtr

from ..results import RunError

REACH = 8.6  # standard deviations: the normal distribution outside is below 1e-16
STEP = 0.25  # of the rule, in units of the activation's input; poles at i pi / 2: exp(-pi^2 / STEP)
LARGEST = 1000.0  # deviation of a smooth activation's input: 70,000 nodes
PIECE = 1 << 20  # values at a time
FAR = 40.0  # deviations where the density is 0 in float64

SMOOTH: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": functional.gelu,
    "gelu-tanh": partial(functional.gelu, approximate="tanh"),
    "silu": functional.silu,
    "mish": functional.mish,
    "softplus": partial(functional.softplus, threshold=40.0),
    "sin": torch.sin,
    "cos": torch.cos,
}


class Activation(NamedTuple):
    """``phi(gain u)``, elementwise.

    Attributes:
        name: "linear", "erf", "bounded" (slope 1 between ``low`` and ``high``, ``below`` under
            ``low``, 0 above ``high``: ReLU, leaky ReLU, hard tanh) or one of ``SMOOTH``.
    """

    name: str
    gain: float = 1.0
    low: float = 0.0
    high: float = math.inf
    below: float = 0.0

    def __str__(self) -> str:
        name = self.name
        if name == "bounded":
            name = "hardtanh" if self.high < math.inf else "leaky_relu" if self.below else "relu"
        return name if self.gain == 1 else f"{name}({self.gain:g} u)"


def slope_moments(phi: Activation, s: Tensor, h: Tensor) -> Tensor:
    """``A_j = E[phi'(s z + h)^2 z^j]``, j = 0, 1, 2, z standard normal: ``(3, o)``, float64.

    Closed for linear, ReLU-like and erf; for smooth ones by the trapezoidal rule, to about 1e-12
    (Gauss-Hermite with as many nodes is the poorer the larger ``s``). At ``s = 0`` the slope's
    square, 0 and the same again.

    Args:
        phi: The activation.
        s: Deviations of its input, from 0 on, (o,).
        h: Means of its input, (o,).

    Raises:
        RunError: ``s`` is beyond what the rule can do, or not finite.

    Source: Amari, Karakida, Oizumi, AISTATS 2019, section 4.
    """
    s, h = phi.gain * s.double(), phi.gain * h.double()
    if phi.gain < 0:  # z and -z are distributed alike
        s = -s
    if phi.name == "linear":
        found = torch.stack([torch.ones_like(s), torch.zeros_like(s), torch.ones_like(s)])
    elif phi.name == "bounded":
        found = _bounded(phi, s, h)
    elif phi.name == "erf":
        v = 1 / (1 + 4 * s.square())
        centre = -4 * s * h * v
        A_0 = 4 / math.pi * v.sqrt() * torch.exp(-2 * h.square() * v)
        found = torch.stack([A_0, A_0 * centre, A_0 * (v + centre.square())])
    else:
        found = _by_rule(SMOOTH[phi.name], s, h)
    if phi.gain < 0:
        found[1] = -found[1]
    return phi.gain**2 * found


def _bounded(phi: Activation, s: Tensor, h: Tensor) -> Tensor:
    inside = _between((phi.low - h) / s, (phi.high - h) / s)
    under = _between(torch.full_like(s, -FAR), (phi.low - h) / s)
    found = inside + phi.below**2 * under
    rest = torch.where(h > phi.low, (h < phi.high).to(h), torch.full_like(h, phi.below**2))
    still = torch.stack([rest, torch.zeros_like(rest), rest])
    return torch.where(s > 0, found, still)


def _between(a: Tensor, b: Tensor) -> Tensor:
    """``E[z^j]`` over ``a < z < b``."""
    a, b = a.clamp(-FAR, FAR), b.clamp(-FAR, FAR)
    right = a + b > 0  # there from above, without a difference of numbers near 1
    mass = torch.where(right, ndtr(-a) - ndtr(-b), ndtr(b) - ndtr(a))
    at_a, at_b = _density(a), _density(b)
    return torch.stack([mass, at_a - at_b, mass + a * at_a - b * at_b])


def _density(z: Tensor) -> Tensor:
    return torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)


def _by_rule(function: Callable[[Tensor], Tensor], s: Tensor, h: Tensor) -> Tensor:
    if not (s <= LARGEST).all() or not h.isfinite().all():
        raise RunError(
            f"the inputs of an activation have a deviation of {float(s.max()):.3g}, beyond the "
            f"{LARGEST:g} of the closed form; scale the model's inputs, lower lr, or take "
            'form="estimated".'
        )
    order = s.argsort()
    found, at = s.new_empty(3, len(s)), 0
    while at < len(s):
        # as many units as fit the memory with the nodes that the last of them needs
        count = max(1, PIECE // _nodes(float(s[order[-1]])))
        here = order[at : at + count]
        nodes = _nodes(float(s[here].max()))
        z = torch.linspace(-REACH, REACH, nodes, dtype=s.dtype, device=s.device)
        weights = torch.exp(-z.square() / 2)
        powers = torch.stack([weights, weights * z, weights * z.square()]) / weights.sum()
        slopes = _slope(function, s[here, None] * z + h[here, None])
        found[:, here] = (slopes.square() @ powers.T).T
        at += count
    return found


def _nodes(s: float) -> int:
    return 2 * math.ceil(REACH * max(1.0, s) / STEP) + 1


def _slope(function: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        return torch.autograd.grad(function(u).sum(), u)[0]
