"""The Markov chain of a denoiser: noise, then a draw of what was there before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, final

import torch
from torch import Tensor

from ..results import check_at_least, check_callable, each, told, wrong
from ._chains import Run

Move: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]


@final
class DenoisingChain(Run):
    """``y ~ C(y | x)``, then ``x' ~ P(x' | y)``, for a batch of chains.

    With the posterior ``P(x | y) proportional to p(x) C(y | x)`` it leaves ``p`` invariant; so the
    chain of a denoiser that has learned it draws from about the law of the data. ``P`` is sampled:
    its mean, the reconstruction, would lead to single points.

    Args:
        draw: ``draw(y, generator)``, a sample of ``P(x | y)`` for each row: an autoencoder's
            ``draw`` (``zoo.autoencoder``).
        corrupt: ``corrupt(x, generator)``, a sample of ``C(y | x)``: ``training.Masking(0.3)``, or
            what the denoiser was trained with.
        start: States to begin from, ``(chains, ...)``.
        generator: Source of the random numbers; None: a fresh one with seed 0.

    Attributes:
        states: ``x``, ``(chains, ...)``. corrupted: ``y`` that they were drawn from, as ``start``
            before the first sweep.

    Source: Bengio, Yao, Alain & Vincent, NIPS 2013.
    """

    def __init__(
        self,
        draw: Move,
        corrupt: Move,
        start: Tensor,
        *,
        generator: torch.Generator | None = None,
    ):
        check_callable("draw", draw, "draw(y, generator)", "pass an autoencoder's draw")
        check_callable("corrupt", corrupt, "corrupt(x, generator)", "pass training.Masking(0.3)")
        if not start.is_floating_point() or not len(start):
            got = f"{start.dtype}, shape {tuple(start.shape)}"
            way_out = "pass data[:100].float()"
            raise wrong("start", "hold floating states (chains, ...), one at least", got, way_out)
        self._draw, self._corrupt = draw, corrupt
        self._generator = generator or torch.Generator().manual_seed(0)
        self.states = self.corrupted = start

    @told
    @torch.no_grad()
    def sweep(self, count: int = 1) -> Tensor:
        """States after ``count`` sweeps, ``(chains, ...)``."""
        for _ in each(check_at_least("count", count, 1, "pass count=1"), "sweeps"):
            self.corrupted = self._corrupt(self.states.clone(), self._generator)
            self.states = self._draw(self.corrupted.clone(), self._generator)
        return self.states

    def state_dict(self) -> dict[str, Any]:
        """What a run goes on from, beside denoiser and generator."""
        return {"states": self.states, "corrupted": self.corrupted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self.states, self.corrupted = state["states"], state["corrupted"]
