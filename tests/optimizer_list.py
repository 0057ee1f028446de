"""The optimizers that run the gauntlet, one entry each, and their recursions in NumPy.

torch's own Adam and RMSprop stand among ours: what they do not pass would be wrong in the gauntlet.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nakami.optim import Adastand, SDProp


def sdprop(gamma=0.99, eps=1e-8, max_step=None):
    """SDProp as its paper writes it, with the bound on steps."""
    most = 1 / math.sqrt(gamma * (1 - gamma)) if max_step is None else max_step
    mean = variance = 0.0

    def step(g, t):
        nonlocal mean, variance
        variance = gamma * variance + gamma * (1 - gamma) * (g - mean) ** 2
        mean = gamma * mean + (1 - gamma) * g
        return math.sqrt(1 - gamma**t) * np.clip(g / (np.sqrt(variance) + eps), -most, most)

    return step


def adastand(betas=(0.7, 0.99), eps=1e-8):
    mean = square = 0.0

    def step(g, t):
        nonlocal mean, square
        old = mean
        mean = betas[0] * old + (1 - betas[0]) * (g - old)
        square = betas[1] * square + betas[1] * (1 - betas[1]) * (g - old) ** 2
        factor = math.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
        return factor * mean / (np.sqrt(square) + eps)

    return step


def adam(betas=(0.9, 0.999), eps=1e-8):
    first = second = 0.0

    def step(g, t):
        nonlocal first, second
        first = betas[0] * first + (1 - betas[0]) * g
        second = betas[1] * second + (1 - betas[1]) * g * g
        root = np.sqrt(second / (1 - betas[1] ** t))
        return first / (1 - betas[0] ** t) / (root + eps)

    return step


def rmsprop(alpha=0.99, eps=1e-8):
    second = 0.0

    def step(g, t):
        nonlocal second
        second = alpha * second + (1 - alpha) * g * g
        return g / (np.sqrt(second) + eps)

    return step


def descend(recursion, w, gradient, steps, lr, weight_decay=0.0, apart=False, sign=1.0):
    """Weights after each step, ``(steps, n)``, float64; ``gradient(w, t)`` from t = 0 on."""
    path = []
    for t in range(steps):
        g = sign * gradient(w, t)
        if apart:
            w = w * (1 - lr * weight_decay)
        else:
            g = g + weight_decay * w
        w = w - lr * recursion(g, t + 1)
        path.append(w)
    return np.stack(path)


@dataclass(frozen=True)
class Entry:
    """What the gauntlet asks of an optimizer.

    Attributes:
        make: The class. reference: its recursion for some settings. settings: tried beside none.
        averages: Keys of the state that have the weight's shape.
        most: Largest move under a steady gradient, in units of the rate, between steps 0 and 5000.
        last: Moves at step 5000 of a gradient of 1, as a range, in units of the rate.
        rosenbrock: Rate, steps and the loss to reach from (-1.2, 1).
        sparse: What it says to a sparse gradient. wrong: settings and what it says to them.
        apart: Whether it takes ``decoupled_weight_decay``.
        small: Whether gradients whose square is 0 in half precision are followed.
    """

    make: type[torch.optim.Optimizer]
    reference: Callable[..., Callable[[Any, int], Any]]
    settings: tuple[dict[str, Any], ...]
    averages: tuple[str, ...]
    most: float
    last: tuple[float, float]
    rosenbrock: tuple[float, int, float]
    sparse: str
    wrong: tuple[tuple[dict[str, Any], str], ...]
    apart: bool = True
    capturable_on_cpu: bool = True
    small: bool = True


SHARED_WRONG = (
    ({"lr": -1.0}, r"lr must be a number from 0 on, got -1\.0; pass lr=1e-3\."),
    ({"lr": math.nan}, r"lr must be a number from 0 on, got nan; pass lr=1e-3\."),
    ({"lr": "fast"}, r"lr must be a number from 0 on, got 'fast'; pass lr=1e-3\."),
    ({"lr": torch.ones(2)}, r"lr must be one number, got a tensor of shape \(2,\); pass lr=1e-3\."),
    ({"eps": 0}, r"eps must be a number above 0, got 0; 1e-8 is the default\."),
    ({"eps": math.inf}, r"eps must be a number above 0, got inf; 1e-8 is the default\."),
    ({"weight_decay": -0.1}, r"weight_decay must be a number from 0 on, got -0\.1; 0 is the def"),
    ({"maximize": 1}, r"maximize must be True or False, got 1; pass maximize=True\."),
    ({"capturable": "no"}, r"capturable must be True or False, got 'no'; pass capturable=True\."),
    ({"decoupled_weight_decay": 0.1}, r"decoupled_weight_decay must be True or False, got 0\.1;"),
    ({"foreach": "yes"}, r"foreach must be True, False or None, got 'yes'; leave it out for the"),
)
DENSE = (
    r"gradients must be dense, got a sparse one for a weight of shape \(5, 2\); build the "
    r"embedding with sparse=False or use torch\.optim\.SparseAdam\."
)
GAMMA = r"gamma must lie between 0 and 1, got {}; 0\.99 is the default\."
MOST = (
    r"max_step must be a number above 0, got {}; leave it out for 1 / sqrt\(gamma "
    r"\(1 - gamma\)\) or pass math\.inf for none\."
)

ENTRIES = {
    "SDProp": Entry(
        make=SDProp,
        reference=sdprop,
        settings=({"gamma": 0.9, "max_step": math.inf}, {"eps": 0.1, "max_step": 0.5}),
        averages=("grad_avg", "grad_var"),
        most=10.06,
        last=(10.04, 10.06),
        rosenbrock=(1e-3, 3000, 0.01),
        sparse=DENSE,
        wrong=(
            *SHARED_WRONG,
            *(({"gamma": bad}, GAMMA.format(bad)) for bad in (0, 1, True)),
            ({"gamma": "slow"}, GAMMA.format("'slow'")),
            *(({"max_step": bad}, MOST.format(bad)) for bad in (0, True)),
            ({"max_step": math.nan}, MOST.format("nan")),
        ),
    ),
    "Adastand": Entry(
        make=Adastand,
        reference=adastand,
        settings=({"betas": (0.3, 0.9)}, {"eps": 0.1}),
        averages=("deviation_avg", "deviation_avg_sq"),
        most=1.01,
        last=(1.0, 1.01),
        rosenbrock=(1e-2, 3000, 0.01),
        sparse=DENSE,
        wrong=(
            *SHARED_WRONG,
            ({"betas": 0.9}, r"betas must be two numbers, got 0\.9; \(0\.7, 0\.99\) is the"),
            ({"betas": (0.7, 1)}, r"betas must lie between 0 and 1, got 1; \(0\.7, 0\.99\) is"),
        ),
    ),
    "Adam": Entry(
        make=torch.optim.Adam,
        reference=adam,
        settings=({"betas": (0.5, 0.9)}, {"eps": 0.1}),
        averages=("exp_avg", "exp_avg_sq"),
        most=1.001,
        last=(0.999, 1.001),
        rosenbrock=(1e-2, 3000, 0.01),
        sparse="Adam does not support sparse gradients",
        wrong=(({"lr": -1.0}, "Invalid learning rate"), ({"eps": -1.0}, "Invalid epsilon")),
        capturable_on_cpu=False,
        small=False,
    ),
    "RMSprop": Entry(
        make=torch.optim.RMSprop,
        reference=rmsprop,
        settings=({"alpha": 0.9}, {"eps": 0.1}),
        averages=("square_avg",),
        most=10.001,
        last=(0.999, 1.001),
        rosenbrock=(1e-3, 4000, 0.01),
        sparse="RMSprop does not support sparse gradients",
        wrong=(({"lr": -1.0}, "Invalid learning rate"), ({"eps": -1.0}, "Invalid epsilon")),
        apart=False,
        capturable_on_cpu=False,
        small=False,
    ),
}  # fmt: skip
