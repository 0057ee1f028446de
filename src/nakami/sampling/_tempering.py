"""Parallel tempering: replicas of a machine at several temperatures that exchange their states.

Origin: Swendsen, Wang, Phys. Rev. Lett. 57, 2607 (1986); for these machines Desjardins et al.,
"Tempered Markov chain Monte Carlo for training of restricted Boltzmann machines", AISTATS 2010.
Temperatures of equal rejection: Syed, Bouchard-Côté, Deligiannidis, Doucet, "Non-reversible
parallel tempering", J. R. Stat. Soc. B 84 (2022).
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from ..results import check_at_least, each, part, told, wrong
from ._chains import Run
from ._importance import checked_base, checked_temperatures
from ._kernels import Kernel, check_kernel
from ._machine import Machine, PairEnergy, machine_of, seeded, uniform


@final
class ParallelTempering(Run):
    """Chains of a machine, each with replicas from independent units (0) to the machine (1).

    A sweep moves every replica by the kernel and then exchanges neighbours, pairs (0, 1), (2, 3),
    ... and (1, 2), (3, 4), ... in turn, with probability
    ``min(1, p*_r(v') p*_r'(v) / (p*_r(v) p*_r'(v')))``.

    Args:
        model: Any machine.
        kernel: Of each replica; None: block Gibbs.
        temperatures: Number of replicas, evenly spaced, or the inverse temperatures from 0 to 1.
        chains: Independent sets of replicas.
        base: Biases ``a0`` at temperature 0, ``(visible,)``; None: zeros.
        generator: Source of the random numbers; None: a fresh one with seed 0.

    Attributes:
        betas: Inverse temperatures, ``(replicas,)`` float64.
        states: ``(replicas, chains, visible)``; the last row is the machine's.
        swap_rates: Mean acceptance of each pair since the last ``burn_in``, ``(replicas - 1,)``.
    """

    def __init__(
        self,
        model: PairEnergy | Machine,
        *,
        kernel: Kernel | None = None,
        temperatures: int | Tensor = 8,
        chains: int = 100,
        base: Tensor | None = None,
        generator: torch.Generator | None = None,
    ):
        machine = machine_of(model)
        self._base = checked_base(base, machine)
        self._machine, self.kernel = machine.at(1.0, self._base), check_kernel(kernel, machine)
        self._generator = seeded(generator, machine.weight)
        self.betas = torch.tensor(tempered(temperatures), dtype=torch.float64)
        chains = check_at_least("chains", chains, 1, "pass chains=100")
        shape = (len(self.betas), chains, machine.visible_units)
        free = machine.units.mean(machine.units.natural(self._base))
        self.states = machine.units.drawn(free.expand(shape).contiguous(), self._generator)
        self._memory = self.kernel.begin(self.states.flatten(0, 1), self._generator)
        self._sweeps = 0
        self._forget()

    @property
    def swap_rates(self) -> Tensor:
        return self._accepted / self._tried

    @told
    @torch.no_grad()
    def sweep(self, count: int = 1) -> Tensor:
        """States at the machine itself after ``count`` sweeps, ``(chains, visible)``."""
        for _ in each(check_at_least("count", count, 1, "pass count=1"), "sweeps"):
            beta = self.betas.to(self.states).repeat_interleave(self.states.shape[1])[:, None]
            rows = self._machine.at(beta)
            moved = self.kernel.sweep(
                rows, self.states.flatten(0, 1), self._generator, self._memory
            )
            self.states = moved.reshape(self.states.shape)
            self._exchange(self._sweeps % 2)
            self._sweeps += 1
        return self.states[-1]

    def burn_in(self, sweeps: int, rounds: int = 4) -> Tensor:
        """Sweeps that are forgotten, and temperatures set so that all pairs reject alike.

        After each round, twice as long as the one before, the temperatures are moved to equal
        steps of the rejection summed from 0 up. They stay fixed in ``sweep``.

        Args:
            sweeps: In all rounds together.
            rounds: Times that the temperatures are set.

        Returns:
            The inverse temperatures, as in ``betas``.
        """
        check_at_least("rounds", rounds, 1, "pass rounds=4")
        way_out = f"pass sweeps={4 * (2**rounds - 1)}"
        check_at_least("sweeps", sweeps, 2 * (2**rounds - 1), way_out)
        for i in range(rounds):
            self._forget()
            with part(f"burn_in, round {i + 1} of {rounds}"):
                self.sweep(sweeps * 2**i // (2**rounds - 1))
            self.betas = equal_rejection(self.betas, self.swap_rates)
        self._forget()
        return self.betas

    def state_dict(self) -> dict[str, Any]:
        """What a run goes on from, beside machine and generator."""
        state = {"states": self.states, "betas": self.betas, "sweeps": self._sweeps}
        return state if self._memory is None else {**state, "memory": self._memory}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self.states, self.betas = state["states"], state["betas"]
        self._sweeps, self._memory = state["sweeps"], state.get("memory")

    def _forget(self) -> None:
        self._accepted = torch.zeros(len(self.betas) - 1, dtype=torch.float64)
        self._tried = torch.zeros(len(self.betas) - 1, dtype=torch.float64)

    def _exchange(self, parity: int) -> None:
        low = torch.arange(parity, len(self.betas) - 1, 2)
        if not len(low):
            return
        chains, (cold, warm) = self.states.shape[1], (self.states[low + 1], self.states[low])
        gain = torch.zeros(len(low) * chains, dtype=torch.float64, device=cold.device)
        for rows, sign in ((cold.flatten(0, 1), -1), (warm.flatten(0, 1), 1)):
            x = self._machine.input(rows)
            for place, more in ((low + 1, sign), (low, -sign)):
                beta = self.betas[place].to(rows).repeat_interleave(chains)[:, None]
                gain += more * self._machine.at(beta).log_weight(rows, x)
        chance = gain.clamp(max=0).exp().reshape(len(low), chains)
        u = uniform(len(low), chains, like=cold, generator=self._generator, dtype=torch.float64)
        swap = (u < chance)[:, :, None]
        self.states[low + 1] = torch.where(swap, warm, cold)
        self.states[low] = torch.where(swap, cold, warm)
        self._accepted[low] += chance.mean(1).cpu()
        self._tried[low] += 1


def equal_rejection(betas: Tensor, rates: Tensor) -> Tensor:
    """Temperatures at equal steps of the summed rejection, ends fixed.

    Args:
        betas: Rising, ``(R,)``.
        rates: Acceptance of neighbours, ``(R - 1,)``.
    """
    rejection = (1 - rates).clamp(min=1e-6)  # strictly rising sums
    barrier = torch.cat([torch.zeros(1, dtype=torch.float64), rejection.cumsum(0)])
    wanted = torch.linspace(0, 1, len(betas), dtype=torch.float64) * barrier[-1]
    found = torch.from_numpy(np.interp(wanted.numpy(), barrier.numpy(), betas.numpy()))
    found[0], found[-1] = betas[0], betas[-1]
    return found


def tempered(temperatures: int | Tensor) -> list[float]:
    """Inverse temperatures of the replicas; a number says how many."""
    if isinstance(temperatures, int):
        if temperatures < 2:
            way_out = "pass temperatures=8"
            raise wrong("temperatures", "be at least 2 replicas", temperatures, way_out)
        temperatures -= 1
    return checked_temperatures(temperatures)
