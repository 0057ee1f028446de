"""A softmax over many words by way of classes of words."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..results import check_at_least, check_count, wrong


class FactoredSoftmax(nn.Module):
    """Log-probabilities of words as ``log p(class) + log p(word | class)``.

    Words in order of frequency are cut into classes of about equal frequency, so that the first
    ones hold few words and the last ones many. The log-probability of one word then takes the
    logits of the classes and of the words of its own class: ``C + V / C`` on average over a text
    with these frequencies, least at ``C = sqrt(V)``, in place of ``V``.

    Args:
        in_features: Values of a state.
        counts: How often each word occurs, ``(V,)``, or relative frequencies; 0 is allowed.
        classes: How many; default about ``sqrt(V)``. A very frequent word can fill a class or
            more, so there may be fewer.
        generator: Source of the first weights; None: torch's own.
        device: Of the parameters.
        dtype: Likewise.

    Attributes:
        weight: ``(C + V, in_features)``: of the classes, then of the words in order of frequency.
        bias: ``(C + V,)``, likewise.
        sizes: Words of each class, from the most frequent on.
        order: Words in order of frequency, ``(V,)``. rank: its inverse. class_of: class of each
            word, ``(V,)``.

    Shape: ``(N, ..., in_features)`` to ``(N, ..., V)``, in the order of ``counts``.

    Raises:
        UsageError: Counts that are negative, not finite, all 0, or fewer than two.

    Source: Goodman, "Classes for fast maximum entropy training", ICASSP 2001; Mikolov et al.,
    "Extensions of recurrent neural network language model", ICASSP 2011 (classes by frequency).
    """

    order: Tensor
    rank: Tensor
    class_of: Tensor

    def __init__(
        self,
        in_features: int,
        counts: Any,
        classes: int | None = None,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        n = check_at_least("in_features", in_features, 1, "pass the length of a state")
        often = _checked(counts)
        words = len(often)
        asked = round(math.sqrt(words)) if classes is None else classes
        asked = check_count("classes", asked, words, "the number of words", "pass fewer")
        order = often.argsort(descending=True, stable=True)
        bins = _bins(often[order], asked)
        self.in_features, self.sizes = n, tuple(bins.bincount().tolist())
        rank = torch.empty_like(order)
        rank[order] = torch.arange(words)
        for name, value in (("order", order), ("rank", rank), ("class_of", bins[rank])):
            self.register_buffer(name, value.to(device), persistent=False)
        rows = len(self.sizes) + words
        self.weight = nn.Parameter(torch.empty(rows, n, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(rows, device=device, dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Weights ``N(0, 1 / in_features)``, biases 0."""
        with torch.no_grad():
            self.weight.normal_(0, self.in_features**-0.5, generator=generator)
            self.bias.zero_()

    def forward(self, h: Tensor) -> Tensor:
        """Log-probabilities of all words; their exponentials sum to 1. Cost: ``O(V)`` a state."""
        logits, c = F.linear(h, self.weight, self.bias), len(self.sizes)
        classes = logits[..., :c].log_softmax(-1)
        parts = logits[..., c:].split(self.sizes, dim=-1)
        within = [part.log_softmax(-1) + classes[..., i : i + 1] for i, part in enumerate(parts)]
        return torch.cat(within, dim=-1)[..., self.rank]

    def log_prob(self, h: Tensor, words: Tensor) -> Tensor:
        """Log-probability of one word for each state, nats.

        Args:
            h: States, ``(N, in_features)``.
            words: ``(N,)`` int64.

        Returns:
            ``(N,)``. Cost, a state: ``C + V / C`` logits on average.
        """
        if h.ndim != 2 or words.shape != h.shape[:1]:
            got = f"{tuple(h.shape)} and {tuple(words.shape)}"
            raise wrong("h and words", "have shapes (N, n) and (N,)", got, "flatten both")
        kinds, ranks = self.class_of[words], self.rank[words]
        weights, biases = (
            p.split((len(self.sizes), *self.sizes)) for p in (self.weight, self.bias)
        )
        classes = F.linear(h, weights[0], biases[0]).log_softmax(-1)
        order = kinds.argsort(stable=True)
        counts = kinds.bincount(minlength=len(self.sizes)).tolist()
        here, places = h[order].split(counts), ranks[order].split(counts)
        found, first = [], 0
        for i, size in enumerate(self.sizes):
            if counts[i]:
                logits = F.linear(here[i], weights[i + 1], biases[i + 1])
                place = (places[i] - first)[:, None]
                found.append(logits.log_softmax(-1).gather(1, place)[:, 0])
            first += size
        within = torch.cat(found) if found else classes.new_zeros(0)
        return classes.gather(1, kinds[:, None])[:, 0] + within[order.argsort()]

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        return f"{self.in_features}, words={len(self.order)}, classes={len(self.sizes)}"


def _checked(counts: Any) -> Tensor:
    """Counts in float64 on the processor, or a refusal."""
    often = torch.as_tensor(counts, dtype=torch.float64, device="cpu")
    good = often.ndim == 1 and len(often) > 1 and bool(torch.isfinite(often).all())
    if not good or often.min() < 0 or not often.sum() > 0:
        rule = "be one number from 0 on for each of two or more words, not all 0"
        got = f"shape {tuple(often.shape)}" if often.ndim != 1 else str(often.tolist()[:5])
        raise wrong("counts", rule, got, "pass torch.bincount(text)")
    return often


def _bins(often: Tensor, classes: int) -> Tensor:
    """The class of each word, of words in order of frequency: by the middle of its share."""
    shares = often / often.sum()
    middles = shares.cumsum(0) - shares / 2
    bins = (middles * classes).long().clamp(0, classes - 1)
    return bins.unique(return_inverse=True)[1]
