"""Machines, kernels and reference values of ``sampling_detailed_balance.py``.

Reference values were computed independently in double precision, by enumeration; those of machines
with random weights from the same weights, those of bars and stripes from another first draw.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nakami import sampling
from nakami.sampling import Kernel, Machine

SEEDS = {0.7: 0, 1.5: 0, 3.0: 3}
VISIBLE = 8
KERNELS: dict[str, Kernel] = {
    "block Gibbs": sampling.BlockGibbs(),
    "Metropolised, given h": sampling.MetropolisedGibbs(),
    "Suwa-Todo pairs, given h": sampling.SuwaTodo(2),
    "Suwa-Todo triples, given h": sampling.SuwaTodo(3),
    "collapsed Gibbs scan": sampling.CollapsedGibbs(),
    "collapsed Metropolis scan": sampling.CollapsedSuwaTodo(1),
    "collapsed Suwa-Todo pairs": sampling.CollapsedSuwaTodo(2),
    "collapsed Suwa-Todo triples": sampling.CollapsedSuwaTodo(3),
    "random flips": sampling.RandomFlips(),
    "lifted on the sum": sampling.Lifted(steps=1),
}
# mean autocorrelation time over v_i p(h_j | v), by kernel: weights 0.7, 1.5, 3; bars and stripes
TIMES = {
    "block Gibbs": (1.21, 2.33, 135, 213),
    "Metropolised, given h": (0.45, 1.38, 114, 189),
    "Suwa-Todo pairs, given h": (0.65, 1.54, 116, 191),
    "Suwa-Todo triples, given h": (0.81, 1.66, 117, 192),
    "collapsed Gibbs scan": (1.02, 1.29, 22.9, 30.0),
    "collapsed Metropolis scan": (0.37, 0.53, 17.2, 23.3),
    "collapsed Suwa-Todo pairs": (0.49, 0.70, 15.8, 15.5),
    "collapsed Suwa-Todo triples": (0.66, 0.87, 16.3, 10.5),
    "random flips": (1.32, 1.68, 34.4, 44.7),
    "lifted on the sum": (1.94, 2.64, 58.7, 57.9),
}
# norm of the bias of CD-k, by steps of training, kernel and k; "gradient" is what it adds to
BIASES = {
    (200, "gradient", 0): 0.0976,
    (200, "block Gibbs", 1): 0.0428, (200, "block Gibbs", 5): 0.0023,
    (200, "Suwa-Todo pairs, given h", 1): 0.0925, (200, "Suwa-Todo pairs, given h", 5): 0.0059,
    (200, "collapsed Suwa-Todo pairs", 1): 0.220, (200, "collapsed Suwa-Todo pairs", 5): 0.023,
    (200, "collapsed Gibbs scan", 1): 0.0202,
    (1500, "gradient", 0): 0.0139,
    (1500, "block Gibbs", 1): 0.0141, (1500, "block Gibbs", 10): 0.0110,
    (1500, "Suwa-Todo pairs, given h", 1): 0.0151, (1500, "Suwa-Todo pairs, given h", 10): 0.0116,
    (1500, "collapsed Suwa-Todo pairs", 1): 0.0169, (1500, "collapsed Suwa-Todo pairs", 10): 0.0076,
    (1500, "collapsed Gibbs scan", 1): 0.0144, (1500, "collapsed Gibbs scan", 10): 0.0086,
}  # fmt: skip
# parallel tempering: autocorrelation time of the leading component, distance of the histogram;
# without and with it
TEMPERING = {"weights 3": (335, 5.9, 0.085, 0.026), "bars and stripes": (300, 6.1, 0.152, 0.037)}

# time of the number of lit units, lifted and by random flips, by size of the weights
LIFTED = {0.7: (0.36, 0.99), 1.5: (0.90, 1.39)}
# log Z by annealing with 1,000 runs, by size of the weights and number of temperatures
ANNEALED = {
    (1.5, 10): "12.8865 ± 0.010", (1.5, 100): "12.8968 ± 0.0029", (1.5, 1000): "12.8966 ± 0.0009",
    (3.0, 10): "20.156 ± 0.038", (3.0, 100): "20.098 ± 0.009", (3.0, 1000): "20.0907 ± 0.0028",
}  # fmt: skip


def random_machine(scale: float) -> Machine:
    """8 x 5, ``W ~ scale N(0, 1)``, biases ``0.3 N(0, 1)`` less half the sums of weights."""
    g = np.random.default_rng(SEEDS[scale])
    w = scale * g.standard_normal((VISIBLE, 5))
    a = 0.3 * g.standard_normal(VISIBLE) - w.sum(1) / 2
    b = 0.3 * g.standard_normal(5) - w.sum(0) / 2
    return Machine(torch.tensor(w.T.copy()), torch.tensor(a), torch.tensor(b))


def bars_and_stripes() -> Tensor:
    """The 14 pictures of 3 x 3 pixels whose rows, or columns, are alike."""
    rows = sampling.states(3, torch.zeros((), dtype=torch.float64))
    bars = rows[:, :, None].expand(8, 3, 3).flatten(1)
    return torch.unique(torch.cat([bars, bars.unflatten(1, (3, 3)).mT.flatten(1)]), dim=0)


def trained_machine(seed: int, steps: int, rate: float = 0.5) -> tuple[Machine, float]:
    """9 x 6 by exact gradient ascent on bars and stripes, and its KL divergence in nats."""
    g, data = np.random.default_rng(seed), bars_and_stripes()
    w = torch.tensor(0.1 * g.standard_normal((9, 6)).T.copy())
    machine = Machine(w, torch.zeros(9).double(), torch.zeros(6).double())
    v = sampling.states(9, w)
    for _ in range(steps):
        gradient = exact_gradient(machine, data, v)
        parts = (machine.weight, machine.visible_bias, machine.hidden_bias)
        machine = Machine(*(p + rate * d for p, d in zip(parts, gradient, strict=True)))
    log_p = machine.log_weight(data) - machine.log_weight(v).logsumexp(0)
    return machine, float(-np.log(len(data)) - log_p.mean())


def exact_gradient(machine: Machine, data: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of the mean log-likelihood by weight, visible and hidden bias; ``v`` are all states."""
    law = machine.log_weight(v).softmax(0)
    seen, dreamt = (machine.hidden_logit(rows).sigmoid() for rows in (data, v))
    weight = seen.T @ data / len(data) - (law[:, None] * dreamt).T @ v
    return weight, data.mean(0) - law @ v, seen.mean(0) - law @ dreamt
