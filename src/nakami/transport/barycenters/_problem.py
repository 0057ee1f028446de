"""The tensors of a batch of barycenters, and sums over their inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...results import stepped
from .._kernels import Kernel
from ._wide import REASON, TOO_WIDE

MOST_APART = 2.0  # L1, of two histograms


@dataclass(frozen=True)
class Problem:
    """Batches of ``B`` barycenters of ``M`` inputs each.

    Attributes:
        log_p: Logs of the inputs, of sum 1, ``(B M, *shape)``.
        weights: ``(B, M)``, of sum 1 over ``M``.
        kernel: For all inputs at once. own: between points of the barycenter, for batches ``B``.
    """

    log_p: Tensor
    weights: Tensor
    kernel: Kernel
    own: Kernel

    def mean(self, parts: Tensor) -> Tensor:
        """Weighted mean over inputs, ``(B M, ...) -> (B, ...)``; weight 0 leaves an input out."""
        split = parts.unflatten(0, self.weights.shape)
        if self.all_count:
            rows = split.reshape(*self.weights.shape, -1)
            return (self.weights[:, None] @ rows).reshape(len(split), *parts.shape[1:])
        weights = self.weights.view(*self.weights.shape, *[1] * (split.ndim - 2))
        return torch.where(weights > 0, weights * split, 0.0).sum(1)

    @cached_property
    def all_count(self) -> bool:
        """Whether no weight is 0; else infinite logs need care."""
        return bool((self.weights > 0).all())

    def each(self, parts: Tensor) -> Tensor:
        """For each input, ``(B, ...) -> (B M, ...)``."""
        return parts.repeat_interleave(self.weights.shape[1], 0)

    def apart(self, log_marginals: Tensor, log_q: Tensor) -> Tensor:
        """L1 distance of the plans' marginals from ``q`` (or one for each), averaged, ``(B,)``."""
        wanted = log_q.exp() if len(log_q) == len(log_marginals) else self.each(log_q.exp())
        return l1(self.mean((log_marginals.exp() - wanted).abs()))


@dataclass(frozen=True)
class Ends:
    """When a loop stops: at this residual, at ``most`` steps, or at this entropy.

    ``undone`` is the share of the coarsest detail that a step undoes; 1 for loops that end in few.
    """

    tolerance: float
    most: int
    floor: float | None = None
    undone: float = 1.0

    def looks(self, step: int, every: int, log_q: Tensor | None) -> bool:
        """Tell of a step, and whether to look at a residual.

        Each so many steps, at the end, and at the entropy.
        """
        stepped(step)
        last = step >= self.most or self.undone < TOO_WIDE
        return step % every == 0 or last or self._reached(log_q)

    def left(self, change: Tensor) -> Tensor:
        """The residual that such a change in a step stands for, at most 2, the largest distance."""
        if self.undone < TOO_WIDE:
            return torch.full_like(change, MOST_APART)
        return (change / self.undone).clamp_max(MOST_APART)

    def _reached(self, log_q: Tensor | None) -> bool:
        if self.floor is None or log_q is None:
            return False
        return bool((entropy(log_q) <= self.floor).all())

    def reason(self, step: int, residual: Tensor, log_q: Tensor) -> str:
        """Why to stop, or an empty text."""
        if self.undone < TOO_WIDE:
            return REASON
        if bool((residual <= self.tolerance).all()):
            return "converged"
        if self._reached(log_q):
            return "stopped at the entropy asked for"
        return f"stopped after {step} steps" if step >= self.most else ""


@dataclass(frozen=True)
class Found:
    """What a loop returns.

    Attributes:
        log_q: The log of the barycenter, of sum 1.
        g: Logs of the plans' scalings on its side, ``(B M, ...)``.
    """

    log_q: Tensor
    g: Tensor
    residual: Tensor
    steps: int
    reason: str


def normalised(log_q: Tensor) -> Tensor:
    """Of sum 1, for each of the batch."""
    whole = torch.logsumexp(log_q.flatten(1), 1)
    return log_q - whole.view(-1, *[1] * (log_q.ndim - 1))


def entropy(log_q: Tensor) -> Tensor:
    """In nats, ``(B,)``."""
    q = log_q.exp()
    return -torch.where(q > 0, q * log_q, 0.0).flatten(1).sum(1)


def l1(parts: Tensor) -> Tensor:
    """Sums of absolute values, ``(B,)``."""
    return parts.abs().flatten(1).sum(1)


def total(parts: Tensor) -> Tensor:
    """Sums over points, ``(B, 1, ...)``."""
    return parts.flatten(1).sum(1).view(-1, *[1] * (parts.ndim - 1))
