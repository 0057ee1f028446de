"""The optimizers that observe the model, one entry each, and the adapter that trains with them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from nakami.optim import (
    EKFAC,
    KFAC,
    VSGD,
    HessianFree,
    NaturalGradient,
    UnitwiseNaturalGradient,
)


@dataclass(frozen=True)
class Observer:
    """What the gauntlet asks of an optimizer that observes.

    Attributes:
        make: By a model, a loss and settings.
        quadratic: Settings and steps for a badly scaled regression, and the share of the loss above
            its least that may be left.
        rosenbrock: Settings, steps, and the loss to reach from (-1.2, 1), where it is 24.2;
            None where K-FAC makes the same steps, for there is no matrix in it.
        steady: Steps under a gradient that stays; 0 for one that needs noise: its curvature then
            rests on single draws, which may be 0.
        bound: The longest of them, in units of the gradient.
        batch: Examples a step of the regression, of 100.
        groups: Whether weights of another module may be a group of their own.
        spreads: Whether a gradient of NaN is refused (else it stays in its weight).
        wrong: Settings and what it says to them.
    """

    make: Callable[..., torch.optim.Optimizer]
    quadratic: tuple[dict[str, Any], int, float]
    rosenbrock: tuple[dict[str, Any], int, float] | None
    steady: int
    bound: float
    batch: int = 100
    groups: bool = True
    spreads: bool = True
    wrong: tuple[tuple[dict[str, Any], str], ...] = field(
        default=(
            ({"lr": -1.0}, r"lr must be a number from 0 on, got -1\.0; pass lr=1e-3\."),
            ({"damping": 0}, r"damping must be a number above 0, got 0; leave it out for the def"),
            ({"weight_decay": -1}, r"weight_decay must be a number from 0 on, got -1; 0 is the d"),
        )
    )


def train(optimizer, model, x, y, loss, steps, batch=100):
    """Training as the documents have it; the loss after the last step."""
    for t in range(steps):
        at = slice(None) if batch == 100 else slice(t * batch % 100, t * batch % 100 + batch)
        optimizer.zero_grad()
        outputs = model(x[at])
        optimizer.observe(outputs, y[at])
        loss(outputs, y[at]).backward()
        optimizer.step()
    with torch.no_grad():
        return float(loss(model(x), y))


def vsgd(model, loss, **settings):
    return VSGD(model.parameters(), loss, "block", **settings)


NATURAL = {"lr": 1.0, "momentum": 0.0, "damping": 1e-6, "kl_clip": None}
SLOW = {"lr": 0.1, "damping": 1e-3, "kl_clip": 1e-3, "refresh": 1}
OBSERVED = {"steady": 60, "bound": 0.1 / 3e-3 / (1 - 0.9)}

OBSERVERS = {
    "KFAC": Observer(KFAC, (NATURAL, 10, 1e-3), (SLOW, 300, 1.0), **OBSERVED),
    "EKFAC": Observer(EKFAC, (NATURAL, 10, 1e-3), None, **OBSERVED),
    **{
        f"Unitwise {form}": Observer(
            partial(UnitwiseNaturalGradient, form=form), (NATURAL, 60, share), None,
            **OBSERVED,
        )
        for form, share in (("estimated", 0.1), ("quasi-diagonal", 0.1), ("closed", 0.1))
    },
    "VSGD": Observer(
        vsgd, ({}, 200, 0.3), ({}, 200, 10.0), 0, 0.0, batch=10, spreads=False,
        wrong=(
            ({"lr": -1.0}, r"lr must be a number from 0 on, got -1\.0; pass lr=1e-3\."),
            ({"slow_start": 0}, r"slow_start must be a whole number from 1 on, got 0; 10 is the"),
        ),
    ),
    "NaturalGradient": Observer(
        NaturalGradient, ({"damping": 1e-8, "kl_clip": None}, 2, 1e-6),
        ({"damping": 1e-6, "kl_clip": None}, 6, 1e-6), 2, 1 / 1e-3, groups=False,
    ),
    "HessianFree": Observer(
        HessianFree, ({"damping": 1e-8, "tolerance": 1e-9}, 4, 1e-5),
        ({"damping": 1e-3}, 12, 1e-3), 2, 1.0, groups=False,
    ),
}  # fmt: skip


class Rosenbrock(nn.Module):
    """Its two residuals, whose mean of squares is half of Rosenbrock's function."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))

    def forward(self, x):
        return torch.stack([1 - self.w[0], 10 * (self.w[1] - self.w[0] ** 2)]) * x
