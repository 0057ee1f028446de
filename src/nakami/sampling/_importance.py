"""Annealed importance sampling: the partition function of a machine too large to enumerate.

Origin: Neal, "Annealed importance sampling", Statistics and Computing 11 (2001); for these machines
Salakhutdinov, Murray, "On the quantitative analysis of deep belief networks", ICML 2008. Both
bounds: Burda, Grosse, Salakhutdinov, "Accurate and conservative estimates of MRF log-likelihood
using reverse annealing", AISTATS 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..results import check_at_least, each, is_whole, part, told, warn, wrong
from ._machine import Machine, PairEnergy, check_states, drawn, machine_of, seeded
from ._units import BINARY

FEW = 10.0  # effective runs, below which (and below half of all) the estimate is doubtful


@dataclass(frozen=True, eq=False)
class LogPartition:
    """An estimate of ``log Z`` in nats. ``Z`` itself is estimated without bias.

    Attributes:
        value: ``log Z_base + log mean w`` over the runs.
        standard_error: Of ``value`` by the delta method. Too small where few runs carry the weight.
        effective_sample_size: ``(sum w)^2 / sum w^2``, of ``runs`` at most.
        lower: ``log Z_base + mean log w``: below ``log Z`` on average (Jensen).
        lower_error: Its standard error.
        upper: The same from runs that go back from samples of the machine, above ``log Z`` on
            average if these are exact; NaN without such runs.
        upper_error: Its standard error.
        log_weights: ``log Z_base + log w`` of each run, ``(runs,)`` float64 on the CPU.
    """

    value: float
    standard_error: float
    effective_sample_size: float
    lower: float
    lower_error: float
    upper: float
    upper_error: float
    log_weights: Tensor

    @property
    def runs(self) -> int:
        return len(self.log_weights)

    @property
    def converged(self) -> bool:
        """Whether at least 10 effective runs, or half of all, carry the estimate."""
        return self.effective_sample_size >= min(FEW, self.runs / 2)

    def __repr__(self) -> str:
        return (
            f"LogPartition({self.value:.4f} ± {self.standard_error:.2g} nats, "
            f"{self.effective_sample_size:.1f} of {self.runs} runs effective)"
        )


@told
def annealed_importance_sampling(
    model: PairEnergy | Machine,
    *,
    runs: int = 100,
    temperatures: int | Tensor = 1000,
    base: Tensor | None = None,
    samples: Tensor | None = None,
    batch: int = 1000,
    generator: torch.Generator | None = None,
) -> LogPartition:
    """``log Z`` by runs from independent units to the machine, with its standard error.

    A run starts at ``v ~ exp(a0.v)`` and for each temperature adds
    ``log p*_k(v) - log p*_(k-1)(v)`` to its log weight and then makes a step of block Gibbs
    sampling at the new temperature. Sums are taken in float64, products in the model's dtype.

    Args:
        model: Any machine; 784 x 500 in float32 takes about 10 ms a temperature for 100 runs.
        runs: Independent runs.
        temperatures: Steps of equal size, or the inverse temperatures themselves, rising from 0
            to 1.
        base: ``a0``, ``(visible,)``; None: zeros. ``log_odds(data)`` (the means of data for normal
            units) is much better for a machine that was trained.
        samples: States of the machine, ``(M, visible)`` zeros and ones, for runs that go back from
            them: the upper bound.
        batch: Runs made together.
        generator: Source of the random numbers; None: a fresh one with seed 0.

    Raises:
        UsageError: Temperatures out of order; weights or base not finite; samples not binary.

    Warns:
        NakamiWarning: Fewer than 10 effective runs, and than half of all.
    """
    machine, source = machine_of(model), seeded(generator, machine_of(model).weight)
    base = checked_base(base, machine)
    betas = checked_temperatures(temperatures)
    runs = check_at_least("runs", runs, 2, "pass runs=100")
    batch = check_at_least("batch", batch, 1, "pass batch=1000")
    units, free = machine.units, torch.zeros_like(base, dtype=torch.float64)
    log_base = float(units.log_normaliser(base.double(), free))
    log_base += machine.hidden_units * math.log(2)
    means = units.mean(units.natural(base))
    forth = []
    for start in range(0, runs, batch):
        size = min(batch, runs - start)
        v = units.drawn(means.expand(size, -1).contiguous(), source)
        with part(f"runs from {start + 1} of {runs}"):
            forth.append(annealed(machine, v, betas, base, source))
    upper = upper_error = math.nan
    if samples is not None:
        given = check_states("samples", samples, machine)
        with part("runs back from samples"):
            back = [annealed(machine, v, betas[::-1], base, source) for v in given.split(batch)]
        upper, upper_error = _mean(-torch.cat(back))
    found = _estimate(torch.cat(forth), log_base, upper, upper_error)
    if not found.converged:
        warn(
            f"only {found.effective_sample_size:.1f} of {runs} runs carry the estimate of log Z; "
            "take more temperatures, or base=log_odds(data)."
        )
    return found


@told
def annealed(
    machine: Machine, v: Tensor, betas: list[float], base: Tensor, generator: torch.Generator
) -> Tensor:
    """Log weights of runs from the states ``v`` along ``betas``, either way, ``(N,)`` float64."""
    total = torch.zeros(len(v), dtype=torch.float64, device=v.device)
    x, units = machine.input(v), machine.units
    for place in each(len(betas) - 1, "temperatures"):
        before, after = betas[place : place + 2]
        gain = F.softplus(x * after).sub_(F.softplus(x * before))
        total += gain.sum(1, dtype=torch.float64)
        own = units.gain(v, machine.visible_bias, base).sum(1, dtype=torch.float64)
        total += own * (after - before)
        if after not in (0.0, 1.0):
            tempered = machine.at(after, base)
            v = tempered.visible_drawn(drawn(x.mul_(after), generator), generator)
            x = machine.input(v)
    return total


def log_odds(data: Tensor) -> Tensor:
    """Log odds of the mean of each visible unit, ``(N, visible) -> (visible,)``.

    Means are ``(sum + 1) / (N + 2)``, so that a unit that never lights gets a finite number.
    """
    if data.ndim != 2 or not (data.min() >= 0 and data.max() <= 1):
        got = f"{tuple(data.shape)} in {float(data.min()):g} to {float(data.max()):g}"
        raise wrong("data", "have shape (N, visible) in 0..1", got, "pass data.flatten(1) / 255")
    return BINARY.base(data)


def checked_base(base: Tensor | None, machine: Machine) -> Tensor:
    """``a0`` in the machine's dtype."""
    if base is None:
        return torch.zeros_like(machine.visible_bias)
    if base.shape != machine.visible_bias.shape or not torch.isfinite(base).all():
        rule = f"be finite, of shape {tuple(machine.visible_bias.shape)}"
        raise wrong("base", rule, tuple(base.shape), "pass log_odds(data)")
    return base.detach().to(machine.weight)


def checked_temperatures(temperatures: int | Tensor, least: int = 1) -> list[float]:
    """Inverse temperatures from 0 to 1."""
    if is_whole(temperatures):
        steps = check_at_least("temperatures", temperatures, least, "pass temperatures=1000")
        return torch.linspace(0, 1, steps + 1, dtype=torch.float64).tolist()
    betas = torch.as_tensor(temperatures, dtype=torch.float64).flatten()
    good = len(betas) >= 2 and betas[0] == 0 and betas[-1] == 1 and (betas.diff() > 0).all()
    if not good:
        shown = ", ".join(f"{beta:g}" for beta in betas[:6].tolist())
        rule = "rise from 0 to 1"
        raise wrong("temperatures", rule, f"{shown}, ...", "pass torch.linspace(0, 1, 1001)")
    return betas.tolist()


def _estimate(log_w: Tensor, log_base: float, upper: float, upper_error: float) -> LogPartition:
    log_w = log_w.cpu()
    n, w = len(log_w), (log_w - log_w.max()).exp()
    relative = w / w.mean()
    lower, lower_error = _mean(log_w)
    return LogPartition(
        value=log_base + float(log_w.logsumexp(0)) - math.log(n),
        standard_error=float((relative - 1).square().sum() / (n * (n - 1))) ** 0.5,
        effective_sample_size=float(w.sum() ** 2 / w.square().sum()),
        lower=log_base + lower,
        lower_error=lower_error,
        upper=log_base + upper,
        upper_error=upper_error,
        log_weights=log_base + log_w,
    )


def _mean(values: Tensor) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(values.mean()), float(values.std()) / len(values) ** 0.5
