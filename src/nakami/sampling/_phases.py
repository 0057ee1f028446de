"""Where the negative phase of a training comes from: the samplers of ``ContrastiveDivergence``.

Origin: from data, Hinton 2002; persistent, Tieleman, "Training restricted Boltzmann machines using
approximations to the likelihood gradient", ICML 2008; tempered, Desjardins et al., AISTATS 2010.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

import torch
from torch import Tensor

from ..results import check_at_least
from ._chains import Chains
from ._kernels import BlockGibbs, Kernel, check_kernel
from ._machine import PairEnergy, machine_of
from ._tempering import ParallelTempering, tempered


class Sampler(ABC):
    """Samples of a machine while it is trained."""

    @abstractmethod
    def begin(self, model: PairEnergy, data: Tensor, generator: torch.Generator) -> None:
        """Called before the first update.

        Args:
            model: The machine, which changes between the calls of ``draw``.
            data: All examples, ``(N, visible)``; in 0..1 if the units are binary.
            generator: Source of the random numbers from here on.
        """

    @abstractmethod
    def draw(self, batch: Tensor) -> Tensor:
        """States for one update, ``(M, visible)``, given the mini-batch."""

    def state_dict(self) -> dict[str, Any]:
        """What is carried from update to update: nothing by default."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Take up what ``state_dict`` gave."""


@final
class FromData(Sampler):
    """CD-k by any kernel: chains start at each mini-batch.

    Args:
        k: Sweeps.
        kernel: None: block Gibbs, as ``ContrastiveDivergence(k=k)`` without a sampler.

    Grey examples are drawn to zeros and ones first, for kernels other than block Gibbs.
    """

    def __init__(self, k: int = 1, kernel: Kernel | None = None):
        self.k, self.kernel = check_at_least("k", k, 1, "pass k=1"), check_kernel(kernel)

    def begin(self, model: PairEnergy, data: Tensor, generator: torch.Generator) -> None:
        self._machine, self._generator = machine_of(model), generator
        check_kernel(self.kernel, self._machine)

    def draw(self, batch: Tensor) -> Tensor:
        v = batch
        if not isinstance(self.kernel, BlockGibbs):
            v = self._machine.units.states(batch, self._generator)
        memory = self.kernel.begin(v, self._generator)
        for _ in range(self.k):
            v = self.kernel.sweep(self._machine, v, self._generator, memory)
        return v


@final
class Persistent(Sampler):
    """Persistent contrastive divergence: chains go on from update to update.

    Args:
        chains: Their number; the size of the mini-batch is usual.
        k: Sweeps for each update.
        kernel: None: block Gibbs.

    Chains start at examples. The rate of learning must be small and fall, so that they can follow.
    """

    def __init__(self, chains: int = 100, k: int = 1, kernel: Kernel | None = None):
        self.chains = check_at_least("chains", chains, 1, "pass chains=100")
        self.k, self.kernel = check_at_least("k", k, 1, "pass k=1"), check_kernel(kernel)

    def begin(self, model: PairEnergy, data: Tensor, generator: torch.Generator) -> None:
        places = torch.rand(self.chains, generator=generator, device=generator.device)
        first = data[(places * len(data)).long().to(data.device)]
        start = machine_of(model).units.states(first, generator)
        self._run = Chains(model, self.kernel, start=start, generator=generator)

    def draw(self, batch: Tensor) -> Tensor:
        return self._run.sweep(self.k)

    def state_dict(self) -> dict[str, Any]:
        return self._run.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._run.load_state_dict(state)


@final
class Tempered(Sampler):
    """Persistent chains with parallel tempering: they leave what one temperature is caught in.

    Args:
        chains: Independent sets of replicas.
        temperatures: Number of replicas, or their inverse temperatures from 0 to 1.
        k: Sweeps for each update.
        kernel: Of each replica; None: block Gibbs.

    The base at temperature 0 has the means of the data. An update costs ``temperatures`` times
    that of ``Persistent`` with as many chains.
    """

    def __init__(
        self,
        chains: int = 100,
        temperatures: int | Tensor = 10,
        k: int = 1,
        kernel: Kernel | None = None,
    ):
        tempered(temperatures)
        self.chains = check_at_least("chains", chains, 1, "pass chains=100")
        self.k, self.kernel = check_at_least("k", k, 1, "pass k=1"), check_kernel(kernel)
        self.temperatures = temperatures

    def begin(self, model: PairEnergy, data: Tensor, generator: torch.Generator) -> None:
        self.tempering = ParallelTempering(
            model,
            kernel=self.kernel,
            temperatures=self.temperatures,
            chains=self.chains,
            base=machine_of(model).units.base(data),
            generator=generator,
        )

    def draw(self, batch: Tensor) -> Tensor:
        return self.tempering.sweep(self.k)

    def state_dict(self) -> dict[str, Any]:
        return self.tempering.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.tempering.load_state_dict(state)
