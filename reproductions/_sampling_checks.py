"""What ``sampling_detailed_balance.py`` checks beside times and biases: laws, theorem, Langevin.

All but annealing and Langevin dynamics is linear algebra in double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from _sampling_machines import KERNELS, SEEDS, bars_and_stripes, random_machine, trained_machine
from _wide import digits, generator
from torch import Tensor

from nakami import sampling
from nakami.sampling import Machine

FLUXES, STATES, TRIANGLES, STATISTICS = 300, 30, 100, 8
WEIGHTS, RUNS, CURVATURE = 200, 1000, 2.0
PAIRS, STEPS = 1000, 2000
LANGEVIN = ((0.0, 0.1), (1.0, 0.05), (1.0, 0.1))  # gamma, step
BARRIER, WELLS = 3.0, ((0.0, 0.01), (1.0, 0.005), (1.0, 0.01))
Cell = tuple[str, Callable[[], dict[str, Any]]]


def cells(starts: int) -> list[Cell]:
    """Names of all records, and how each is made."""
    found: list[Cell] = [("kept laws", kept_laws), ("allocation", allocation), ("theorem", theorem)]
    for seed in range(starts):
        found.append((f"late bias|{seed}", lambda s=seed: late_bias(s)))
    for name, machine in (("weights 3", lambda: random_machine(3.0)), ("bars and stripes", bars)):
        found.append((f"leading|{name}", lambda m=machine: leading(m())))
    for scale, steps in product((1.5, 3.0), (10, 100, 1000)):
        found.append((f"annealing|{scale:g}|{steps}", lambda s=scale, t=steps: annealing(s, t)))
    for gamma, step in LANGEVIN:
        found.append((f"langevin|{gamma:g}|{step:g}", lambda g=gamma, s=step: langevin(g, s)))
    for gamma, step in WELLS:
        found.append((f"wells|{gamma:g}|{step:g}", lambda g=gamma, s=step: wells(g, s)))
    return found


def bars() -> Machine:
    """The machine of the first draw, trained long."""
    return trained_machine(0, 1500)[0]


def kept_laws() -> dict[str, Any]:
    """Of each kernel, on four machines: largest errors of the law, largest circular flux."""
    machines = {f"weights {scale:g}": random_machine(scale) for scale in SEEDS}
    machines["bars and stripes"] = bars()
    found: dict[str, Any] = {name: [] for name in KERNELS}
    for machine in machines.values():
        law = sampling.stationary(machine)
        for name, kernel in KERNELS.items():
            matrix = sampling.transition_matrix(machine, kernel)
            p = law if len(law) == len(matrix) else torch.cat([law, law]) / 2
            flux = p[:, None] * matrix
            errors = (p @ matrix - p, matrix.sum(1) - 1, flux - flux.T)
            found[name].append([digits(float(error.abs().max()), 2) for error in errors])
    return {"machines": list(machines), "kernels": found}


def allocation() -> dict[str, Any]:
    """Geometric allocation among 2 to 8 random weights, and the matrix of (0.3, 0.7)."""
    source, law, rejection = generator(11), 0.0, 0.0
    for i in range(WEIGHTS):
        w = torch.rand(2 + i % 7, generator=source, dtype=torch.float64)
        k = sampling.suwa_todo(w)
        law = max(law, float((w @ k - w).abs().max()))
        least = max(0.0, float(2 * w.max() - w.sum()))
        rejection = max(rejection, abs(float(w @ k.diagonal()) - least))
    two = sampling.suwa_todo(torch.tensor([0.3, 0.7], dtype=torch.float64))
    rows = [[digits(x) for x in row] for row in two.tolist()]
    return {"law": digits(law, 2), "rejection": digits(rejection, 2), "two": rows}


def fluxes(g: np.random.Generator, flow: np.ndarray) -> np.ndarray:
    """A sum of circular fluxes over triples of states, as large as rates from 0 on allow."""
    turned = np.zeros_like(flow)
    for _ in range(TRIANGLES):
        i, j, k = g.choice(len(flow), 3, replace=False)
        size = g.random()
        for x, y in ((i, j), (j, k), (k, i)):
            turned[x, y] += size
            turned[y, x] -= size
    return turned * (flow[turned > 0] / turned[turned > 0]).min()


def theorem() -> dict[str, Any]:
    """Generators with and without circular fluxes: gaps, variances of 8 statistics, and of all."""
    g = np.random.default_rng(0)
    law = g.random(STATES) + 0.1
    law /= law.sum()
    flow = np.triu(g.random((STATES, STATES)) + 0.1, 1)
    flow = (flow + flow.T) / STATES**2
    f = g.standard_normal((STATES, STATISTICS))
    gap, variance, inverse = relaxation(flow, law, f)
    gaps, variances, relative, every = [], [], [], []
    for _ in range(FLUXES):
        more_gap, less, other = relaxation(flow + fluxes(g, flow), law, f)
        gaps.append(more_gap - gap)
        variances.append((less - variance).max())
        relative.append((less / variance - 1).max())
        every.append(np.linalg.eigvalsh(other - inverse).max())
    return {
        "fluxes": FLUXES, "gap": digits(gap), "variance": digits(variance.min()),
        "least_gap": digits(min(gaps)), "largest_variance": digits(max(variances)),
        "largest_relative": digits(max(relative)), "every": digits(max(every), 2),
        "size": digits(np.linalg.eigvalsh(inverse).max()),
    }  # fmt: skip


def relaxation(
    flow: np.ndarray, law: np.ndarray, f: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Real gap, asymptotic variances of ``f``, and the matrix whose form gives those of all."""
    rates = flow / law[:, None]
    rates = rates - np.diag(rates.sum(1))
    gap = np.sort(-np.linalg.eigvals(rates).real)[1]
    root = np.sqrt(law)
    scaled = -root[:, None] * rates / root  # acts on root * f, its null vector is the root
    rest = np.eye(len(law)) - np.outer(root, root)
    inverse = rest @ np.linalg.inv(scaled + np.outer(root, root)) @ rest
    centred = root[:, None] * (f - law @ f)
    return gap, 2 * (centred * (inverse @ centred)).sum(0), inverse + inverse.T


def late_bias(seed: int) -> dict[str, Any]:
    """Norm of the bias of CD-5 by the collapsed Gibbs scan after 200 steps of training."""
    machine, _ = trained_machine(seed, 200)
    kernel = sampling.CollapsedGibbs()
    bias = sampling.divergence_bias(machine, bars_and_stripes(), kernel, 5)
    return {"bias": digits(float(bias.norm()))}


def leading(machine: Machine) -> dict[str, Any]:
    """Exact time of the leading principal component by each kernel, in sweeps."""
    law = sampling.stationary(machine)
    component = states_along(machine, law)
    found = {}
    for name, kernel in KERNELS.items():
        matrix = sampling.transition_matrix(machine, kernel)
        tau = sampling.exact_autocorrelation_time(matrix, law, component)
        steps = machine.visible_units if name.startswith("lifted") else 1
        found[name] = digits(float(tau) / steps)
    return {"times": found}


def states_along(machine: Machine, law: Tensor) -> Tensor:
    """All states, along the leading principal component."""
    v = sampling.states(machine.visible_units, law)
    centred = v - law @ v
    return v @ torch.linalg.eigh(centred.T @ (law[:, None] * centred)).eigenvectors[:, -1]


def annealing(scale: float, steps: int) -> dict[str, Any]:
    """Log Z by annealed importance sampling beside the sum."""
    machine, source = random_machine(scale), generator(12, steps)
    found = sampling.annealed_importance_sampling(
        machine, runs=RUNS, temperatures=steps, generator=source
    )
    exact = sampling.log_partition(machine)
    return {"value": digits(found.value, 7), "error": digits(found.standard_error, 2),
            "exact": digits(exact, 8)}  # fmt: skip


def langevin(gamma: float, step: float) -> dict[str, Any]:
    """Pairs in ``U = x^2``, beside what is exact."""
    found = pairs(lambda x: CURVATURE * x, gamma, step, (100, STEPS))
    return {**found, "exact": [digits(value, 5) for value in langevin_exact(gamma, step)]}


def wells(gamma: float, step: float) -> dict[str, Any]:
    """Pairs in two wells, ``U = 3 (x^2 - 1)^2``; the mean of ``x^2`` by quadrature."""
    x = np.linspace(-4, 4, 80_001)
    weight = np.exp(-BARRIER * (x**2 - 1) ** 2)
    found = pairs(lambda x: 4 * BARRIER * x * (x.square() - 1), gamma, step, (500, 3 * STEPS))
    return {**found, "exact": digits(float((weight * x**2).sum() / weight.sum()), 5)}


def pairs(
    gradient: Callable[[Tensor], Tensor], gamma: float, step: float, sweeps: tuple[int, int]
) -> dict[str, Any]:
    """Mean of ``x^2``, and times of x, of ``x^2`` and of its mean over the pair, with errors."""
    source = generator(13)
    start = torch.randn(PAIRS, 2, 1, generator=source, dtype=torch.float64)
    run = sampling.UnadjustedLangevin(
        gradient=gradient, start=start.sign(), step=step, gamma=gamma, generator=source
    )
    run.sweep(sweeps[0])
    x = run.record(lambda x: x[:, :, 0], sweeps[1])
    squares = x.square().mean((0, 2))
    found = {"variance": (float(squares.mean()), float(squares.std()) / PAIRS**0.5)}
    kinds = {"x": x[:, :, 0], "square": x[:, :, 0] ** 2, "both": x.square().mean(2)}
    for name, series in kinds.items():
        tau = sampling.autocorrelation_time(series)
        found[name] = (float(tau.value), float(tau.standard_error))
    return {name: [digits(value), digits(error, 2)] for name, (value, error) in found.items()}


def langevin_exact(gamma: float, step: float) -> tuple[float, float, float, float]:
    """Variance, times of x, of ``x^2`` and of its mean over the pair, by sums over lags."""
    turning = (1 - step * CURVATURE + 1j * step * CURVATURE * gamma) ** np.arange(10_000)
    variance = 2 * step / (1 - abs(turning[1]) ** 2)
    sums = (turning.real.sum(), (turning.real**2).sum(), (np.abs(turning) ** 2).sum())
    x, square, both = (2 * float(total) - 1 for total in sums)
    return float(variance), x, square, both
