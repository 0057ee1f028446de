"""Word vectors from pairs of words and negatives that are drawn.

Origin: Mikolov, Sutskever, Chen, Corrado & Dean, NIPS 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from nakami.results import check_at_least, wrong, wrong_type
from nakami.zoo._layers import seeded
from nakami.zoo.skipgram import POWER, SkipGram, noise, sampled_loss

from ._method import Descend, Method


@final
class NegativeSampling(Method):
    """Descent on ``-log s(u_c . v_w) - sum over k negatives n of log s(-u_n . v_w)``.

    The batch is ``(words, around)``, numbers ``(N,)`` each, as ``data.word_pairs`` gives them.
    Negatives are drawn anew in each step, by the words' counts to the power 0.75; the right word
    may be among them. Differences from word2vec's program: pairs are shuffled and taken in
    mini-batches, any optimizer of torch serves, and dynamic windows and subsampling are drawn once
    for a training.

    Args:
        module: See ``zoo.skipgram``.
        optimizer: Of its parameters.
        counts: How often each word occurs, ``(words,)``.
        negatives: k; the paper takes 5 to 20 for small data, 2 to 5 for large.
        power: Of the counts.
        generator: Source of the draws until ``start`` gives one; None: a fresh one with seed 0.

    Raises:
        UsageError: Counts of another number of words; at the start, data that are not pairs.

    Cost: products of ``k + 1`` vectors a pair, and an update of both tables a step.
    """

    loss_name = "negative sampling, nats"

    def __init__(
        self,
        module: SkipGram,
        optimizer: Optimizer,
        counts: Tensor,
        *,
        negatives: int = 5,
        power: float = POWER,
        generator: torch.Generator | None = None,
    ):
        given: object = module
        if not isinstance(given, SkipGram):
            way_out = "pass zoo.skipgram.SkipGram(words, width)"
            raise wrong_type("module", "be such a network", type(module).__name__, way_out)
        words = len(module.context_vectors)
        if not isinstance(counts, Tensor) or counts.shape != (words,):
            got = tuple(counts.shape) if isinstance(counts, Tensor) else type(counts).__name__
            rule = f"be a tensor with a number for each of the {words} words"
            raise wrong("counts", rule, got, "pass text.counts")
        self.module: SkipGram = module
        self.optimizer = optimizer
        self.negatives = check_at_least("negatives", negatives, 1, "pass negatives=5")
        self._ends = noise(counts, power).cumsum(0)
        self._generator = seeded(generator)

    def optimizers(self) -> Sequence[Optimizer]:
        """The one."""
        return (self.optimizer,)

    def start(self, data: Sequence[Tensor], generator: torch.Generator) -> None:
        """Check the pairs, and take the generator."""
        words = len(self.module.context_vectors)
        whole = [x.ndim == 1 and x.dtype == torch.int64 for x in data]
        if len(data) != 2 or not all(whole):
            got = ", ".join(f"{x.dtype} of shape {tuple(x.shape)}" for x in data)
            rule = "be numbers of words and of words around, int64 (N,) each"
            raise wrong("data", rule, got, "pass data.word_pairs(...)")
        top = max(int(x.max()) for x in data)
        if top >= words or min(int(x.min()) for x in data) < 0:
            rule = f"hold numbers from 0 to {words - 1}"
            raise wrong("data", rule, top, "make the network with as many words as the text has")
        self._generator = generator

    def step(self, batch: Sequence[Tensor], descend: Descend) -> Tensor:
        """One update from pairs."""
        words, around = batch
        loss = sampled_loss(self.module, words, around, self.drawn(words))
        return descend(loss, self.optimizer)

    def drawn(self, words: Tensor) -> Tensor:
        """Negatives of each, ``(N, k)``."""
        place = self._generator.device
        at = torch.rand(
            len(words), self.negatives, generator=self._generator, device=place, dtype=torch.float64
        )
        found = torch.searchsorted(self._ends.to(place), at, right=True)
        return found.clamp_max(len(self._ends) - 1).to(words.device)
