"""Contrastive divergence: the update of a restricted Boltzmann machine.

Origin: Hinton, "Training products of experts by minimizing contrastive divergence", Neural
Computation 14 (2002); first weights, visible biases, momentum and weight decay follow Hinton, "A
practical guide to training restricted Boltzmann machines", 2012.

Deliberate differences from the guide:

* The reconstruction that drives the hidden units is sampled: then the expected update is exactly
  that of CD-k, which the tests check by enumeration. The guide often takes its mean, which is
  less noisy and biased; ``reconstruction="mean"`` does so.
* Visible biases start at the log odds of ``(sum + 1) / (N + 2)``, so that a pixel that is never on
  gets a finite bias; those of a machine that was trained before are left.

Contrastive divergence is not the gradient of any function (Sutskever & Tieleman 2010), and the
reconstruction error it returns is not a likelihood: ``sampling.log_likelihood`` measures that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, final

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import is_number, unknown, wrong, wrong_type
from nakami.sampling import Sampler
from nakami.zoo._layers import seeded
from nakami.zoo.rbm import RBM, run_chain

from ._method import Descend, Method

USUAL = {"weight", "visible_bias", "hidden_bias"}  # what one number as a rate is of


@final
class ContrastiveDivergence(Method):
    """CD-k, or another sampler, with momentum and weight decay, in place and without autograd.

    ``u <- momentum u + rate (direction - decay W)``, ``W <- W + u``; decay on ``weight`` alone;
    ``direction`` is the mean over the batch, so the rate does not depend on the batch's size.
    ``step`` returns the mean squared reconstruction error per visible unit; with a sampler the mean
    free energy of the data less that of the samples, whose gradient the direction is.

    Args:
        module: The machine; visible units of any kind.
        rate: Learning rate of weights and biases; or one for each parameter by name: those left out
            stay, and others than weights and biases learn only so (``log_variance``).
        momentum: Factor of the last step, before and from epoch ``switch`` on; one number: always.
        switch: That epoch, counted from 0.
        decay: Weight decay.
        k: Steps of the chain.
        reconstruction: ``"sample"`` (exact CD-k) or ``"mean"`` of the visible units given the
            hidden.
        sampler: Where the samples of the machine come from, in place of ``k`` steps from the data:
            ``sampling.FromData(k, kernel)``, ``Persistent(chains)``, ``Tempered(chains)``; a new
            one for each training.
        factors: ``(up, down)``: what the hidden units see of the visible ones, and these of the
            hidden ones, is multiplied by these. ``zoo.dbm.doublings`` gives those of a machine that
            becomes a layer of a ``DBM``; for ``(1, 1)`` it is CD-k.
        generator: Source of the samples until ``start`` gives one; None: a fresh one with seed 0.

    Raises:
        UsageError: A number out of range; at the start, data of another shape or outside 0..1.
    """

    loss_name = "mean squared reconstruction error"

    def __init__(
        self,
        module: RBM,
        *,
        rate: float | Mapping[str, float] = 0.1,
        momentum: float | tuple[float, float] = (0.5, 0.9),
        switch: int = 5,
        decay: float = 2e-4,
        k: int = 1,
        reconstruction: Literal["sample", "mean"] = "sample",
        sampler: Sampler | None = None,
        factors: tuple[float, float] = (1, 1),
        generator: torch.Generator | None = None,
    ):
        if reconstruction not in ("sample", "mean"):
            raise unknown("reconstruction", reconstruction, ("sample", "mean"))
        self.rate, self._shares = _shares_of(module, rate)
        self._first_rate = self.rate
        pair = momentum if isinstance(momentum, tuple) else (momentum, momentum)
        for factor in pair:
            if not 0 <= factor < 1:
                raise wrong("momentum", "lie in [0, 1)", factor, "pass momentum=0.5")
        if k < 1:
            raise wrong("k", "be at least 1", k, "pass k=1")
        given: object = sampler
        if given is not None and not isinstance(given, Sampler):
            got = getattr(given, "__name__", type(given).__name__)
            way_out = "pass sampling.FromData(k, kernel), Persistent() or Tempered()"
            raise wrong_type("sampler", "be a Sampler", got, way_out)
        if sampler is not None and (k != 1 or reconstruction != "sample"):
            got = f"k={k}, reconstruction={reconstruction!r} and a sampler"
            way_out = "give the steps to the sampler: sampling.FromData(k=5)"
            raise wrong("k and reconstruction", "be left out with a sampler", got, way_out)
        self.factors = _checked_factors(factors, sampler)
        self.module: RBM = module
        self.decay, self.k, self.reconstruction = decay, k, reconstruction
        self._momenta, self._switch, self._generator = pair, switch, seeded(generator)
        self._sampler, self._begun = sampler, False
        if sampler is not None:
            self.loss_name = "free energy of data less that of samples, nats"
        self._speed = [torch.zeros_like(p) for p in self._learned()]
        self.epoch(0)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Set visible biases that are all 0 from the data, and take the generator."""
        v = alone("data", data)
        n = self.module.weight.shape[1]
        if v.ndim != 2 or v.shape[1] != n:
            raise wrong("data", f"have shape (N, {n})", tuple(v.shape), "pass data.flatten(1)")
        self.module.units.check("data", v)
        if not self.module.visible_bias.any():  # else it goes on with what was learned
            self.module.start_biases(v)
        self._speed = [torch.zeros_like(p) for p in self._learned()]  # on its device
        self._generator = generator
        self._begin(v)

    def epoch(self, index: int) -> None:
        """Take the momentum of this epoch."""
        self.momentum = self._momenta[index >= self._switch]

    def at_rate(self, share: float) -> None:
        """Learn at this share of the first rate from here on."""
        self.rate = self._first_rate * share

    def step(self, batch: Sequence[Tensor], descend: Descend | None = None) -> Tensor:
        """One update from a batch ``(N, visible)``; in 0..1 if the units are binary."""
        v = alone("batch", batch)
        return self.step_from(v) if self._sampler is None else self._sampled_step(v, self._sampler)

    @torch.no_grad()
    def step_from(self, v: Tensor, hidden: Tensor | None = None) -> Tensor:
        """One update by a chain from the data ``v``, ``(N, visible)``; without a sampler.

        ``hidden``, ``(N, hidden)``, stands for ``p(h | v)`` at the data, and the chain starts from
        it: what other layers say of the hidden units (``TopDown``).
        """
        rbm, units = self.module, self.module.units
        chain = run_chain(
            rbm, v, self.k, self._generator, self.reconstruction, self.factors, hidden
        )
        hidden = torch.cat([chain.hidden, -chain.model_hidden])  # one product for both statistics
        difference = v - chain.model
        states = units.signal(torch.cat([v, chain.model]))
        sums = self._others(v, chain.hidden, chain.model, chain.model_hidden)
        sums["visible_bias"] = units.slope(difference).sum(0)
        self._move(hidden, states, sums, len(v))
        return difference.square_().mean()

    def state_dict(self) -> dict[str, Any]:
        """The last step, one tensor for each parameter, and what the sampler carries."""
        state: dict[str, Any] = {"speed": self._speed}
        return state | ({"sampler": self._sampler.state_dict()} if self._sampler else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the last step and the chains."""
        self._speed = list(state["speed"])
        if self._sampler is not None:
            self._sampler.load_state_dict(state["sampler"])

    def _begin(self, v: Tensor) -> None:
        if self._sampler is not None:
            self._sampler.begin(self.module, v, self._generator)
        self._begun = True

    @torch.no_grad()
    def _sampled_step(self, v: Tensor, sampler: Sampler) -> Tensor:
        if not self._begun:  # a step by hand, without start
            self._begin(v)
        rbm, units, model = self.module, self.module.units, sampler.draw(v)
        bias, share = rbm.visible_bias, len(v) / len(model)
        u, w = units.signal(v), units.signal(model)
        x, y = (F.linear(rows, rbm.weight, rbm.hidden_bias) for rows in (u, w))
        gap = units.own(model, bias).sum(1).mean() - units.own(v, bias).sum(1).mean()
        gap = gap + F.softplus(y).sum(1).mean() - F.softplus(x).sum(1).mean()
        p, q = x.sigmoid_(), y.sigmoid_()
        sums = self._others(v, p, model, q)
        sums["visible_bias"] = units.slope(torch.add(v.sum(0), model.sum(0), alpha=-share))
        self._move(torch.cat([p, q.mul_(-share)]), torch.cat([u, w]), sums, len(v))
        return gap

    def _others(self, v: Tensor, p: Tensor, model: Tensor, q: Tensor) -> dict[str, Tensor]:
        """Slopes by what else is learned than the usual three: sums over data less samples."""
        if self._shares.keys() <= USUAL:
            return {}
        data, samples, share = self.module.slopes(v, p), self.module.slopes(model, q), len(v)
        return {
            name: data[name].sum(0) - samples[name].mean(0) * share
            for name in self._shares.keys() - USUAL
        }

    def _move(self, hidden: Tensor, states: Tensor, sums: dict[str, Tensor], count: int) -> None:
        """Momentum, decay and step, from the sums over data and samples with their signs."""
        sums["hidden_bias"] = hidden.sum(0)
        for (name, share), speed in zip(self._shares.items(), self._speed, strict=True):
            rate, parameter = self.rate * share, getattr(self.module, name)
            if name == "weight":  # the sum is this product
                speed.addmm_(hidden.T, states, beta=self.momentum, alpha=rate / count)
                speed.add_(parameter, alpha=-rate * self.decay)
            else:
                speed.mul_(self.momentum).add_(sums[name], alpha=rate / count)
            parameter.add_(speed)

    def _learned(self) -> list[Tensor]:
        return [getattr(self.module, name) for name in self._shares]


def _shares_of(module: RBM, rate: float | Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """The largest rate, and of each parameter that learns its rate over that one."""
    names = [name for name, _ in module.named_parameters()]
    given = rate if isinstance(rate, Mapping) else dict.fromkeys(sorted(USUAL), rate)
    for name, value in given.items():
        if name not in names:
            raise unknown("parameter in rate", name, names)
        if not is_number(value) or not 0 < value < float("inf"):
            raise wrong("rate", "be positive", value, "pass rate=0.05")
    if not given:
        raise wrong("rate", "name a parameter", rate, "pass rate=0.05 for weights and biases")
    most = max(given.values())
    return most, {name: given[name] / most for name in names if name in given}


def _checked_factors(factors: Any, sampler: Sampler | None) -> tuple[float, float]:
    """Two numbers above 0; with a sampler 1 both, for other machines have no law to sample."""
    pair = tuple(factors) if isinstance(factors, Sequence) else (factors,)
    if len(pair) != 2 or not all(is_number(x) and 0 < x < float("inf") for x in pair):
        raise wrong("factors", "be two numbers above 0", repr(factors), "pass factors=(2, 1)")
    if sampler is not None and pair != (1, 1):
        got, way_out = f"{pair} and a sampler", "leave the sampler out: chains from the data"
        raise wrong("factors", "be (1, 1) with a sampler", got, way_out)
    return pair


def alone(argument: str, given: object) -> Tensor:
    """The one tensor of a batch."""
    if isinstance(given, Sequence) and len(given) == 1 and isinstance(given[0], Tensor):
        return given[0]
    got = f"{len(given)} entries" if isinstance(given, Sequence) else type(given).__name__
    raise wrong_type(argument, "be a tuple of one tensor", got, f"pass ({argument},)")
