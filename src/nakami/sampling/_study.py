"""What kernels do on machines small enough to enumerate, and annealing beside the exact sum."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..results import NakamiWarning, Plotted, Progress, Shown, Work, check_seed, is_number, wrong
from ._collapsed import CollapsedGibbs, CollapsedSuwaTodo
from ._enumeration import (
    divergence_biases,
    exact_autocorrelation_time,
    log_partition,
    pair_statistics,
    stationary,
    transition_matrix,
)
from ._importance import annealed_importance_sampling
from ._kernels import BlockGibbs, Kernel, MetropolisedGibbs, SuwaTodo, states
from ._machine import Machine

Array: TypeAlias = np.ndarray
KERNELS: dict[str, Kernel] = {
    "block Gibbs": BlockGibbs(),
    "Metropolis given h": MetropolisedGibbs(),
    "Suwa-Todo given h": SuwaTodo(2),
    "collapsed Gibbs": CollapsedGibbs(),
    "collapsed Metropolis": CollapsedSuwaTodo(1),
    "collapsed Suwa-Todo": CollapsedSuwaTodo(2),
}
SIDE, HIDDEN = 3, 6  # a machine of 3 x 3 pixels
STEPS = (1, 2, 3, 5, 10)
TEMPERATURES, RUNS = (10, 30, 100, 300, 1000), 500
SCALES = (0.7, 1.5, 3.0)
LARGEST = 10.0  # block Gibbs then takes 1e11 sweeps: the linear solve has few digits left


@dataclass(frozen=True, repr=False)
class KernelTimes(Shown):
    """Exact autocorrelation times of a kernel; arrays are ``(n,)`` over the scales of weights.

    Attributes:
        kernel: Its name. scale: Standard deviation of the weights.
        time: Mean over ``v_i p(h_j | v)``, in sweeps; 1 is independent samples.
        violation: Largest ``|p_x K_xy - p_y K_yx|``: 0 with detailed balance.
    """

    columns: ClassVar[tuple[str, ...]] = ("scale", "time", "violation")
    kernel: str
    scale: Array
    time: Array
    violation: Array


@dataclass(frozen=True, repr=False)
class DivergenceBias(Shown):
    """Norm of what CD-k adds to the gradient by weights, by k, ``(n,)``."""

    columns: ClassVar[tuple[str, ...]] = ("steps", "bias")
    kernel: str
    steps: Array
    bias: Array


@dataclass(frozen=True, repr=False)
class Annealed(Shown):
    """Annealed importance sampling beside the exact ``log Z``; arrays are ``(n,)``.

    Attributes:
        temperatures: Steps between. value, standard_error: In nats. effective: Effective runs.
        exact: By enumeration. runs: Of each.
    """

    columns: ClassVar[tuple[str, ...]] = ("temperatures", "value", "standard_error", "effective")
    temperatures: Array
    value: Array
    standard_error: Array
    effective: Array
    exact: float
    runs: int


@dataclass(frozen=True, repr=False)
class SamplingStudy(Plotted):
    """Kernels on small machines, the bias of contrastive divergence, and annealing.

    Attributes:
        times: For each kernel. bias: Of CD-k on the 14 pictures of bars and stripes, for a machine
            of ``scale``; gradient: Norm of the exact gradient there.
        annealed: For the machine of the largest scale. seed: Of the machines.
    """

    times: tuple[KernelTimes, ...]
    bias: tuple[DivergenceBias, ...]
    gradient: float
    scale: float
    annealed: Annealed
    seed: int

    def __repr__(self) -> str:
        scales = self.times[0].scale.tolist()
        return f"SamplingStudy({len(self.times)} kernels, weights of sd {scales})"

    def rows(self) -> list[dict[str, object]]:
        """Times of each kernel at each scale."""
        return [{"kernel": one.kernel, **row} for one in self.times for row in one.rows()]


WAYS_OUT = ("{python}pass (0.7, 1.5, 3)", "{command_line}write {scales} 0.7,1.5,3")


def study(
    scales: Sequence[float] = SCALES, *, seed: int = 0, progress: Progress | None = None
) -> SamplingStudy:
    """Exact autocorrelation times by kernel, the bias of CD-k, and annealing beside the exact sum.

    Machines of 9 visible and 6 hidden units with weights ``scale N(0, 1)``, biases ``0.3 N(0, 1)``
    less half the sums of weights.

    Args:
        scales: Standard deviations of the weights, at most 6, each above 0 and at most 10.
        seed: Of NumPy's and torch's generators.
        progress: Called after each piece.

    Returns:
        See ``SamplingStudy``.

    Raises:
        UsageError: Arguments out of range.

    Cost: 3 s at the defaults.
    """
    if not 1 <= len(scales) <= 6:
        raise wrong("scales", "hold 1 to 6 numbers", len(scales), WAYS_OUT)
    for one in scales:
        if not is_number(one) or not 0 < float(one) <= LARGEST:
            rule = f"lie between 0 and {LARGEST:g}"
            raise wrong("scales", rule, repr(one), WAYS_OUT)
    if len(set(scales)) < len(scales):
        raise wrong("scales", "hold different numbers", list(scales), WAYS_OUT)
    at, seed = sorted(float(one) for one in scales), check_seed(seed)
    work = Work(["kernel"] * len(KERNELS) + ["bias"] + ["annealed"] * len(TEMPERATURES), progress)
    machines = [random_machine(one, seed) for one in at]
    times = tuple(_times(name, kernel, machines, at, work) for name, kernel in KERNELS.items())
    middle = len(at) // 2
    bias, gradient = _bias(machines[middle])
    work.done("bias of contrastive divergence", "bias")
    annealed = _annealed(machines[-1], seed, work)
    return SamplingStudy(times, bias, gradient, at[middle], annealed, seed)


def random_machine(scale: float, seed: int) -> Machine:
    """9 visible and 6 hidden units, float64."""
    g = np.random.default_rng(seed)
    n = SIDE * SIDE
    w = scale * g.standard_normal((HIDDEN, n))
    a = 0.3 * g.standard_normal(n) - w.sum(0) / 2
    b = 0.3 * g.standard_normal(HIDDEN) - w.sum(1) / 2
    return Machine(torch.tensor(w), torch.tensor(a), torch.tensor(b))


def bars_and_stripes() -> Tensor:
    """The 14 pictures of 3 x 3 pixels whose rows, or columns, are alike, ``(14, 9)``."""
    rows = states(SIDE, torch.zeros((), dtype=torch.float64))
    bars = rows[:, :, None].expand(len(rows), SIDE, SIDE)
    return torch.unique(torch.cat([bars.flatten(1), bars.mT.flatten(1)]), dim=0)


def _times(
    name: str, kernel: Kernel, machines: Sequence[Machine], scales: Sequence[float], work: Work
) -> KernelTimes:
    found = []
    for machine in machines:
        law, matrix = stationary(machine), transition_matrix(machine, kernel)
        flux = law[:, None] * matrix
        tau = exact_autocorrelation_time(matrix, law, pair_statistics(machine))
        found.append((float(tau.mean()), float((flux - flux.T).abs().max())))
    work.done(name, "kernel")
    table = np.array(found)
    return KernelTimes(name, np.array(scales), table[:, 0], table[:, 1])


def _bias(machine: Machine) -> tuple[tuple[DivergenceBias, ...], float]:
    data, found = bars_and_stripes(), []
    for name, kernel in KERNELS.items():
        norms = [float(one.norm()) for one in divergence_biases(machine, data, kernel, STEPS)]
        found.append(DivergenceBias(name, np.array(STEPS), np.array(norms)))
    hidden = machine.hidden_logit(data).sigmoid()
    of_data = hidden.T @ data / len(data)
    of_model = (stationary(machine)[:, None] * pair_statistics(machine)).sum(0)
    return tuple(found), float((of_data - of_model.reshape(of_data.shape)).norm())


def _annealed(machine: Machine, seed: int, work: Work) -> Annealed:
    rows = []
    for count in TEMPERATURES:
        source = torch.Generator().manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NakamiWarning)  # effective runs stand in the row
            one = annealed_importance_sampling(
                machine, runs=RUNS, temperatures=count, generator=source
            )
        rows.append((count, one.value, one.standard_error, one.effective_sample_size))
        work.done(f"{count} temperatures", "annealed")
    c = np.array(rows).T
    return Annealed(c[0].astype(int), c[1], c[2], c[3], log_partition(machine), RUNS)
