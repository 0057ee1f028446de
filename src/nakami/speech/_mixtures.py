"""A mixture of Gaussians for each tied state: the likelihoods of a GMM-HMM."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..results import check_at_least, wrong

APART, LIGHTEST = 0.2, 1e-3


@dataclass(frozen=True)
class StateMixtures:
    """Mixtures of M Gaussians with diagonal covariance, one for each of S states.

    Attributes:
        log_weights: ``(S, M)``. means: ``(S, M, D)``. variances: ``(S, M, D)``.
    """

    log_weights: Tensor
    means: Tensor
    variances: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Log-likelihoods ``log p(x | s)``, nats, ``(N, D) -> (N, S)``."""
        states, mixed, width = self.means.shape
        precise = self.variances.reciprocal()
        scaled = (self.means * precise).reshape(-1, width)
        constant = self.log_weights - 0.5 * (
            (self.means.square() * precise + self.variances.log()).sum(2)
            + width * math.log(2 * math.pi)
        )
        found = x @ scaled.T - 0.5 * x.square() @ precise.reshape(-1, width).T
        return (found + constant.reshape(-1)).reshape(-1, states, mixed).logsumexp(2)

    @classmethod
    @torch.no_grad()
    def fit(
        cls,
        x: Tensor,
        states: Tensor,
        count: int,
        mixed: int = 4,
        *,
        rounds: int = 4,
        floor: float = 0.01,
    ) -> StateMixtures:
        """Mixtures of frames whose states are given, by expectation and maximisation.

        One Gaussian becomes two, two become four, as far as ``mixed`` goes, apart by a fifth of
        their standard deviations; ``rounds`` after each. A state without frames has the Gaussian
        of all frames.

        Args:
            x: ``(N, D)`` frames.
            states: ``(N,)`` int64; frames of states below 0 are left out.
            count: Number of states.
            mixed: Gaussians of each, a power of two.
            rounds: Of expectation and maximisation, each time that their number has doubled.
            floor: Least variance, as a share of that of all frames.
        """
        mixed = check_at_least("mixed", mixed, 1, "pass 4")
        if mixed & (mixed - 1):
            raise wrong("mixed", "be a power of two", mixed, "pass 1, 2, 4, 8 or 16")
        whole = x.var(0, correction=0)
        least = (floor * whole).clamp_min(1e-12)
        order = states.argsort(stable=True)
        bounds = torch.searchsorted(states[order], torch.arange(count + 1, device=x.device))
        found = []
        for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            own = x[order[a:b]]
            begun = (x.mean(0), whole) if b == a else (own.mean(0), own.var(0, correction=0))
            found.append(_split(own, begun[0], begun[1].maximum(least), mixed, rounds, least))
        return cls(*(torch.stack(parts) for parts in zip(*found, strict=True)))


def _split(
    x: Tensor, mean: Tensor, variance: Tensor, mixed: int, rounds: int, least: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-weights, means and variances of one state."""
    weights, means, variances = x.new_zeros(1), mean[None], variance[None]
    while len(means) < mixed:
        away = APART * variances.sqrt()
        means = torch.cat([means + away, means - away])
        variances, weights = variances.repeat(2, 1), weights.repeat(2) - math.log(2)
        for _ in range(rounds if len(x) else 0):
            one = StateMixtures(weights[:, None], means[:, None], variances[:, None])
            share = one(x).softmax(1)
            n = share.sum(0).clamp_min(LIGHTEST)
            kept = (n > 1)[:, None]  # one with less than a frame stays as it was
            new = share.T @ x / n[:, None]
            spread = (share.T @ x.square() / n[:, None] - new.square()).maximum(least)
            means, variances = torch.where(kept, new, means), torch.where(kept, spread, variances)
            weights = (n / n.sum()).log()
    return weights, means, variances
