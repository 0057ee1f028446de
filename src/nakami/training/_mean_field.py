"""The update of a deep Boltzmann machine: mean field on the data, persistent chains without it.

Origin: Salakhutdinov & Hinton, "Deep Boltzmann machines", AISTATS 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import Optimizer

from nakami.results import check_at_least, wrong
from nakami.sampling import Machine, Persistent, Sampler
from nakami.zoo._layers import seeded
from nakami.zoo.dbm import DBM

from ._contrastive import alone
from ._method import Descend, Method

SIDES = ("weight", "visible_bias", "hidden_bias")  # of the machine of even and odd layers


@final
class MeanFieldLearning(Method):
    """Ascent of the bound on the log-likelihood, any optimizer.

    The gradient is that of ``mean E(v, mu(v)) - mean E(samples)``: units of the data term at their
    mean field, held; the samples' odd layers at their means given the even ones, which are drawn.
    ``step`` returns this difference, in nats; it is no measure of progress, see ``DBM.bound``.

    Args:
        module: The machine.
        optimizer: Of its parameters; plain gradient steps with a rate that falls keep chains close.
        sweeps: Of the mean field at the data.
        sampler: Of the machine's two sides, see ``zoo.dbm``; None: 100 persistent chains.
        generator: Source of the samples until ``start`` gives one; None: a fresh one with seed 0.

    Raises:
        UsageError: At the start, data of another shape or outside 0..1.
    """

    loss_name = "energy of data less that of samples, nats"

    def __init__(
        self,
        module: DBM,
        optimizer: Optimizer,
        *,
        sweeps: int = 10,
        sampler: Sampler | None = None,
        generator: torch.Generator | None = None,
    ):
        self.module: DBM = module
        self.optimizer, self.sampler = optimizer, sampler or Persistent()
        self.sweeps = check_at_least("sweeps", sweeps, 1, "use 10")
        self._generator, self._begun = seeded(generator), False

    def optimizers(self) -> Sequence[Optimizer]:
        """The one."""
        return (self.optimizer,)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Set visible biases that are all 0 from the data, and begin the chains."""
        v, n = alone("data", data), self.module.sizes[0]
        if v.ndim != 2 or v.shape[1] != n:
            raise wrong("data", f"have shape (N, {n})", tuple(v.shape), "pass data.flatten(1)")
        if not (v.min() >= 0 and v.max() <= 1):
            got = f"{float(v.min()):g} to {float(v.max()):g}"
            raise wrong("data", "lie in 0..1", got, "pass data / 255 for bytes")
        if not self.module.biases[0].any():  # else it goes on with what was learned
            self.module.start_biases(v)
        self._generator = generator
        self._begin(v[:1000].to(self.module.weights[0].device))

    @torch.no_grad()
    def _begin(self, v: Tensor) -> None:
        means = [v, *self.module.mean_field(v, self.sweeps)]
        self._joined = Machine(*(getattr(self.module, name).clone() for name in SIDES))
        self.sampler.begin(self._joined, torch.cat(means[::2], 1), self._generator)
        self._begun = True

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update from a batch ``(N, visible)``."""
        v, net = alone("batch", batch), self.module
        if not self._begun:  # a step by hand, without start
            self._begin(v)
        with torch.no_grad():
            data = [v, *net.mean_field(v, self.sweeps)]
            for name in SIDES:  # the chains go on with the weights as they are now
                getattr(self._joined, name).copy_(getattr(net, name))
            even = self.sampler.draw(torch.cat(data[::2], 1))
            odd = torch.sigmoid(even @ net.weight.T + net.hidden_bias)
            model = net.layers_of(even, odd)
        gap = net.energy(data).mean() - net.energy(model).mean()
        descend(gap, self.optimizer)
        return gap.detach()

    def state_dict(self) -> dict[str, Any]:
        """What the sampler carries."""
        return {"sampler": self.sampler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the chains."""
        self.sampler.load_state_dict(state["sampler"])
