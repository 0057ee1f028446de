"""Stochastic feed-forward network: hidden layers of which some units are drawn, not computed.

Origin: Tang & Salakhutdinov, "Learning stochastic feedforward neural networks", NIPS 2013. A draw
of the binary units chooses one of many answers, so that ``p(y | x)`` may have several modes.
``training.ImportanceEM`` trains it, ``sampling.conditional_likelihood`` judges it.

Calling it gives the mean of ``y`` where the stochastic units stand at their probabilities: a plain
network with derivatives, and not the mean of ``p(y | x)``, since probabilities are not averaged.

Deliberate differences: any number of layers, each with deterministic and stochastic units of its
own; first weights ``N(0, 1 / inputs)``; one learned variance for each output of a normal law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import check_at_least, check_choice, is_whole, unknown, wrong
from nakami.sampling._units import bernoulli

from ._entry import Entry
from ._layers import layer, normal, seeded
from .autoencoder import ACTIVATIONS, OUTPUTS

HALVES = ("upper", "lower", "left", "right")


class Half(nn.Module):
    """One half of pictures, ``(N, C, H, W) -> (N, values)``; the middle row is lower, or right.

    Args:
        which: ``"upper"``, ``"lower"``, ``"left"`` or ``"right"``.
    """

    def __init__(self, which: str = "upper"):
        super().__init__()
        check_choice("which", which, HALVES, "pass 'upper'")
        self.which = which

    def forward(self, x: Tensor) -> Tensor:
        """The values of this half, row by row."""
        axis = 2 if self.which in ("upper", "lower") else 3
        cut = x.shape[axis] // 2
        first = self.which in ("upper", "left")
        half = x.narrow(axis, 0, cut) if first else x.narrow(axis, cut, x.shape[axis] - cut)
        return half.flatten(1)


class HybridLayer(nn.Module):
    """``[f(a), s]`` with ``[a, b] = W h + c`` and binary ``s`` of probability ``sigmoid(b)``.

    Calling it gives ``[f(a), sigmoid(b)]``, deterministic units first.

    Args:
        inputs: Values from below. deterministic: units with ``f``. stochastic: binary units.
        activation: ``f``, one of ``zoo.autoencoder.ACTIVATIONS``.
        generator: Source of the first weights.
    """

    def __init__(
        self,
        inputs: int,
        deterministic: int,
        stochastic: int,
        activation: str,
        generator: torch.Generator,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise unknown("activation", activation, ACTIVATIONS)
        self.deterministic, self.stochastic, self.activation = deterministic, stochastic, activation
        std = inputs**-0.5
        units = deterministic + stochastic
        self.linear = layer(nn.Linear, inputs, units, std=std, generator=generator)

    def forward(self, h: Tensor) -> Tensor:
        """Stochastic units at their probabilities, ``(..., inputs) -> (..., units)``."""
        a, b = self._driven(h)
        return torch.cat([ACTIVATIONS[self.activation](a), torch.sigmoid(b)], -1)

    def _driven(self, h: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.linear(h).split([self.deterministic, self.stochastic], -1)
        return a, b

    def taken(self, h: Tensor, states: Tensor | Draw) -> tuple[Tensor, Tensor]:
        """Units with the stochastic ones in states, and the log-probability of these.

        Args:
            h: From below, ``(N, inputs)`` or ``(M, N, inputs)``.
            states: ``(M, N, stochastic)`` zeros and ones, or how to draw them.

        Returns:
            Units ``(M, N, units)``, log-probabilities ``(M, N)``.
        """
        a, b = self._driven(h)
        s = states if isinstance(states, Tensor) else states(b)
        log_p = -F.binary_cross_entropy_with_logits(b.expand_as(s), s, reduction="none").sum(-1)
        f = ACTIVATIONS[self.activation](a).expand(*s.shape[:-1], -1)
        return torch.cat([f, s], -1), log_p


class Draw:
    """Draws ``samples`` states of stochastic units; no gradient goes through them."""

    def __init__(self, samples: int, generator: torch.Generator):
        self.samples, self.generator = samples, generator

    def __call__(self, logits: Tensor) -> Tensor:
        """States ``(samples, N, units)`` of ``(N, units)`` or ``(samples, N, units)``."""
        p = torch.sigmoid(logits.detach())
        return bernoulli(p.expand(self.samples, *p.shape[-2:]).contiguous(), self.generator)


class SFNN(nn.Sequential):
    """Modules ``given``, ``hidden1``, ..., ``output`` (linear), ``means``.

    Args:
        inputs: Values of what is given.
        hidden: Deterministic and stochastic units of each hidden layer, at least one layer.
        outputs: Values of ``y``.
        activation: Of the deterministic units.
        output: Law of each value of ``y``: ``"sigmoid"`` for zeros and ones, or ``"linear"`` for a
            normal law with a learned variance.
        given: Makes ``(N, inputs)`` of what the network takes; None: ``nn.Flatten()``.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Attributes:
        stochastic: Number of stochastic units. outputs: values of ``y``.
        log_variance: Of each output, ``(outputs,)``, 0 at first; None for ``"sigmoid"``.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[tuple[int, int]],
        outputs: int,
        *,
        activation: str = "relu",
        output: str = "sigmoid",
        given: nn.Module | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if output not in OUTPUTS:
            raise unknown("output", output, OUTPUTS)
        inputs = check_at_least("inputs", inputs, 1, "pass the values of what is given")
        outputs = check_at_least("outputs", outputs, 1, "pass the values of y")
        if not isinstance(hidden, Sequence) or not hidden or not all(map(_are_units, hidden)):
            rule = "name deterministic and stochastic units of each layer"
            raise wrong("hidden", rule, repr(hidden), "write [(200, 50), (200, 50)]")
        generator, n = seeded(generator), inputs
        self.add_module("given", nn.Flatten() if given is None else given)
        for i, (d, s) in enumerate(hidden, 1):
            self.add_module(f"hidden{i}", HybridLayer(n, d, s, activation, generator))
            n = d + s
        self.add_module("output", layer(nn.Linear, n, outputs, std=n**-0.5, generator=generator))
        self.add_module("means", nn.Sigmoid() if output == "sigmoid" else nn.Identity())
        self.stochastic, self.outputs = sum(s for _, s in hidden), outputs
        normal_law = output == "linear"
        self.log_variance = nn.Parameter(torch.zeros(outputs)) if normal_law else None

    @property
    def _hybrids(self) -> list[HybridLayer]:
        return [part for part in self if isinstance(part, HybridLayer)]

    def log_terms(self, x: Tensor, y: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """``log p(y | x, h)`` and ``log p(h | x)`` of given states, in nats, ``(M, N)`` each.

        Args:
            x: What the network takes, ``(N, ...)``.
            y: ``(N, outputs)``.
            states: Of all stochastic units, lowest layer first, ``(M, N, stochastic)`` or, the
                same for all examples, ``(M, 1, stochastic)``.
        """
        y, rows = self.checked(y), states.expand(-1, len(x), -1)
        parts = rows.split([part.stochastic for part in self._hybrids], -1)
        return self._terms(x, y, parts)

    def drawn_terms(
        self, x: Tensor, y: Tensor, samples: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """As ``log_terms``, at states drawn from ``p(h | x)``."""
        return self._terms(x, self.checked(y), [Draw(samples, generator)] * len(self._hybrids))

    @torch.no_grad()
    def sample(
        self,
        x: Tensor,
        samples: int,
        *,
        means: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws from ``p(y | x)``, ``(samples, N, outputs)``.

        Args:
            x: What the network takes, ``(N, ...)``.
            samples: Draws for each example.
            means: Whether to give the mean of each ``p(y | x, h)`` in place of a draw from it.
            generator: Source of the draws; None: a fresh one with seed 0.
        """
        samples = check_at_least("samples", samples, 1, "pass samples=20")
        generator = seeded(generator)
        z, _ = self._through(x, [Draw(samples, generator)] * len(self._hybrids))
        mean: Tensor = self.get_submodule("means")(z.expand(samples, -1, -1).contiguous())
        if means:
            return mean
        if self.log_variance is None:
            return bernoulli(mean, generator)
        return mean + (self.log_variance / 2).exp() * normal(mean, generator)

    def _terms(
        self, x: Tensor, y: Tensor, states: Sequence[Tensor | Draw]
    ) -> tuple[Tensor, Tensor]:
        z, log_prior = self._through(x, states)
        if self.log_variance is None:
            each = -F.binary_cross_entropy_with_logits(z, y.expand_as(z), reduction="none")
        else:
            each = -0.5 * (y - z).square() / self.log_variance.exp()
            each = each - 0.5 * (self.log_variance + math.log(2 * math.pi))
        return each.sum(-1), log_prior

    def _through(self, x: Tensor, states: Sequence[Tensor | Draw]) -> tuple[Tensor, Tensor]:
        """The last layer's sums ``(M, N, outputs)``, and the log-probability of the states."""
        h: Tensor = self.get_submodule("given")(x)
        log_prior = h.new_zeros(())
        for part, s in zip(self._hybrids, states, strict=True):
            h, log_p = part.taken(h, s)
            log_prior = log_prior + log_p
        return self.get_submodule("output")(h), log_prior

    def checked(self, y: Tensor) -> Tensor:
        """The targets ``(N, outputs)``, or a refusal."""
        n = self.outputs
        if y.ndim != 2 or y.shape[1] != n:
            raise wrong("y", f"have shape (N, {n})", tuple(y.shape), "pass y.flatten(1)")
        if self.log_variance is None and len(y) and not (y.min() >= 0 and y.max() <= 1):
            got = f"{float(y.min()):g} to {float(y.max()):g}"
            raise wrong("y", "lie in 0..1 for a sigmoid output", got, "pass output='linear'")
        return y


def _are_units(given: object) -> bool:
    """Whether it counts deterministic and stochastic units, one at least."""
    numbers = list(given) if isinstance(given, Sequence) else []
    return len(numbers) == 2 and all(is_whole(n) and n >= 0 for n in numbers) and sum(numbers) > 0


def make(*, generator: torch.Generator | None = None) -> SFNN:
    """The lower half of a digit from its upper half: two layers of 150 + 50 units.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    return SFNN(392, [(150, 50), (150, 50)], 392, given=Half("upper"), generator=generator)


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(392,),
    parameters=197_592,
    task="features",
    origin="Tang & Salakhutdinov 2013",
    preprocessing="unit",
    data="digits",
)
