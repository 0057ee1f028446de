"""Log-likelihood of targets under a network that draws some of its units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..results import check_at_least, told, wrong, wrong_type

MOST_UNITS = 16  # to be enumerated
STATES = 1 << 10  # taken together
ROWS = 1 << 14  # passes of one example each taken together


class Stochastic(Protocol):
    """``p(y | x) = sum_h p(h | x) p(y | x, h)`` with binary ``h``; ``zoo.sfnn.SFNN`` is one.

    Attributes:
        stochastic: Number of binary units.
    """

    stochastic: int

    def log_terms(self, x: Tensor, y: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """``log p(y | x, h)`` and ``log p(h | x)`` of states ``(M, 1, stochastic)``: ``(M, N)``."""

    def drawn_terms(
        self, x: Tensor, y: Tensor, samples: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """As ``log_terms``, at states drawn from ``p(h | x)``."""


@dataclass(frozen=True, eq=False)
class ConditionalLikelihood:
    """Mean of ``log p(y | x)`` over examples, in nats for an example.

    Attributes:
        value: The mean; an estimate lies too low on average, since the logarithm is concave.
        standard_error: Of the estimate, from the draws; 0 if exact.
        bias: Expected error of the estimate by the second order of the logarithm, at most 0: a
            guide only where ``effective_samples`` is not small.
        spread: Standard error of the mean over the examples, as a sample of more of their kind.
        examples: ``log p(y | x)`` of each, ``(N,)`` float64.
        effective_samples: Draws that carry the estimate of an example, their median; 0 if exact.
        samples: Draws for each example; 0 if exact.
    """

    value: float
    standard_error: float
    bias: float
    spread: float
    examples: Tensor
    effective_samples: float
    samples: int

    def __repr__(self) -> str:
        how = f"{self.samples} draws, biased low" if self.samples else "exact"
        return (
            f"ConditionalLikelihood({self.value:.4g} ± {self.standard_error:.2g} ({how}) "
            f"± {self.spread:.2g} (examples) nats)"
        )


@told
@torch.no_grad()
def conditional_likelihood(
    model: Stochastic,
    x: Tensor,
    y: Tensor,
    *,
    samples: int | None = 1000,
    generator: torch.Generator | None = None,
) -> ConditionalLikelihood:
    """``log p(y | x)``, estimated as ``log (1/M sum_m p(y | x, h_m))`` with ``h_m ~ p(h | x)``.

    Args:
        model: ``zoo.sfnn.SFNN``, or another of the kind.
        x: What the network takes, ``(N, ...)``.
        y: Targets, ``(N, outputs)``.
        samples: M; None: exactly, by all ``2^stochastic`` states, at most 16 units.
        generator: Source of the draws; None: a fresh one with seed 0.

    Raises:
        UsageError: No examples, too many units to enumerate, not a whole number of samples, or a
            log-likelihood that is not finite.

    Cost: M forward passes of each example.
    Source: Tang & Salakhutdinov 2013; error and bias by the delta method.
    """
    for name, given in (("x", x), ("y", y)):
        if not isinstance(given, Tensor) or not given.ndim:
            raise wrong_type(name, "be a tensor (N, ...)", type(given).__name__, "pass examples")
    if not len(x) or len(x) != len(y):
        got = f"{len(x)} inputs and {len(y)} targets"
        raise wrong("x", "hold as many examples as y, at least one", got, "pass one of each")
    if samples is None:
        each = _enumerated(model, x, y)
        return _found(each, torch.zeros_like(each), 0)
    samples = check_at_least("samples", samples, 2 if model.stochastic else 1, "pass samples=1000")
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    samples = samples if model.stochastic else 1
    parts = [
        model.drawn_terms(a, b, samples, generator)[0].double()
        for a, b in zip(*(v.split(max(1, ROWS // samples)) for v in (x, y)), strict=True)
    ]
    log_weights = torch.cat(parts, 1)
    each = log_weights.logsumexp(0) - math.log(samples)
    if samples == 1:  # nothing is drawn
        return _found(each, torch.zeros_like(each), 0)
    relative = (log_weights - each).exp()  # mean 1
    return _found(each, relative.var(0) / samples, samples)


def _found(each: Tensor, variance: Tensor, samples: int) -> ConditionalLikelihood:
    """The result; ``variance`` is that of each estimate of ``p(y | x)`` over its square."""
    n, bad = len(each), int((~torch.isfinite(each)).sum())
    if bad:
        got, way_out = f"NaN or infinity in {bad} of {n}", "leave these examples out"
        raise wrong("x", "have a finite log p(y | x) with its y and the model", got, way_out)
    share = samples / (1 + variance * (samples - 1))  # (sum w)^2 / sum w^2
    return ConditionalLikelihood(
        value=float(each.mean()),
        standard_error=float(variance.sum().sqrt()) / n,
        bias=-float(variance.mean()) / 2,
        spread=float(each.std()) / n**0.5 if n > 1 else math.nan,
        examples=each,
        effective_samples=float(share.median()) if samples else 0.0,
        samples=samples,
    )


def _enumerated(model: Stochastic, x: Tensor, y: Tensor) -> Tensor:
    """``log p(y | x)`` of each example in float64, by all states of the binary units."""
    n = model.stochastic
    if n > MOST_UNITS:
        rule = f"have at most {MOST_UNITS} stochastic units to be enumerated"
        raise wrong("model", rule, n, "pass samples=1000")
    total = torch.full((len(x),), -math.inf, dtype=torch.float64, device=x.device)
    bits = torch.arange(n - 1, -1, -1, device=x.device)
    rows = max(1, ROWS // STATES)
    for index in torch.arange(1 << n, device=x.device).split(STATES):
        states = (index[:, None, None] >> bits & 1).to(y)
        parts = [
            torch.add(*model.log_terms(a, b, states)).double().logsumexp(0)
            for a, b in zip(x.split(rows), y.split(rows), strict=True)
        ]
        total = torch.logaddexp(total, torch.cat(parts))
    return total
