"""A batch of chains of one kernel, and what all runs have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from ..results import check_at_least, each, told
from ._kernels import Kernel, check_kernel
from ._machine import Machine, PairEnergy, check_states, machine_of, seeded


class Run(ABC):
    """Chains that go on: ``Chains``, ``ParallelTempering`` and ``UnadjustedLangevin``."""

    @abstractmethod
    def sweep(self, count: int = 1) -> Tensor:
        """States after ``count`` sweeps, ``(chains, ...)``."""

    @told
    def record(self, statistic: Callable[[Tensor], Tensor], sweeps: int) -> Tensor:
        """A statistic of the states after each of the next sweeps, for the diagnostics.

        Args:
            statistic: Of what ``sweep`` gives, ``(chains, ...)``, giving ``(chains, ...)``.
            sweeps: Their number.

        Returns:
            ``(sweeps, chains, ...)``.
        """
        check_at_least("sweeps", sweeps, 1, "pass sweeps=1000")
        return torch.stack([statistic(self.sweep()) for _ in each(sweeps, "record, sweeps")])


@final
class Chains(Run):
    """Independent chains of a machine by one kernel.

    Args:
        model: Any machine; it may be changed in place between sweeps.
        kernel: None: block Gibbs.
        start: States to begin from, ``(chains, visible)``, zeros and ones if the units are binary;
            or a number of chains, which begin at units without biases, drawn with equal chance.
        generator: Source of the random numbers; None: a fresh one with seed 0.

    Attributes:
        states: ``(chains, visible)``.
    """

    def __init__(
        self,
        model: PairEnergy | Machine,
        kernel: Kernel | None = None,
        *,
        start: int | Tensor = 100,
        generator: torch.Generator | None = None,
    ):
        self._machine = machine_of(model)
        self.kernel = check_kernel(kernel, self._machine)
        weight = self._machine.weight
        self._generator = seeded(generator, weight)
        if isinstance(start, Tensor):
            self.states = check_states("start", start, self._machine)
        else:
            count = check_at_least("start", start, 1, "pass start=100")
            units, free = self._machine.units, weight.new_zeros(count, weight.shape[1])
            self.states = units.drawn(units.mean(free), self._generator)
        self._memory = self.kernel.begin(self.states, self._generator)

    @told
    @torch.no_grad()
    def sweep(self, count: int = 1) -> Tensor:
        """States after ``count`` sweeps, ``(chains, visible)``."""
        for _ in each(check_at_least("count", count, 1, "pass count=1"), "sweeps"):
            self.states = self.kernel.sweep(
                self._machine, self.states, self._generator, self._memory
            )
        return self.states

    def state_dict(self) -> dict[str, Any]:
        """What a run goes on from, beside machine and generator."""
        state: dict[str, Any] = {"states": self.states}
        return state if self._memory is None else {**state, "memory": self._memory}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self.states, self._memory = state["states"], state.get("memory")
