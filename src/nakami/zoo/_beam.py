"""Beam search: probable sentences of a recurrent language model from given states."""

from __future__ import annotations

import torch
from torch import Tensor

from nakami.results import check_at_least, is_number, wrong

from .rnnlm import RecurrentLM

END, NONE = 0, -1  # the word that begins and ends sentences; what fills up shorter ones


@torch.no_grad()
def beam_search(
    language: RecurrentLM, states: Tensor, beam: int = 3, most: int = 20, power: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The best sentence found for each state, by ``log p(sentence) / length^power``.

    At each step the ``beam`` most probable beginnings of each state are kept. One that ends is no
    longer continued; the best of those that ended is returned. A beam of 1 takes the most probable
    word at each step. Length counts the end. A sentence of ``most`` words is ended there.

    Args:
        language: Word 0 begins and ends sentences.
        states: Before the first word, ``(N, state_size)``.
        beam: Beginnings that are kept.
        most: Words of a sentence, its end not counted.
        power: 0: the most probable sentence; 1: the most probable words on average.

    Returns:
        Sentences ``(N, most + 1)`` int64 with their end, filled up with -1, and ``(N,)``, what they
        were chosen by, nats.

    Cost: a step of the language model for each beginning that is kept and each word.
    """
    beam, most = check_at_least("beam", beam, 1, "use 3"), check_at_least("most", most, 1, "use 20")
    if not (is_number(power) and power >= 0):
        raise wrong("power", "be a number from 0 on", repr(power), "use 1.0")
    n, device = len(states), states.device
    best, found = states.new_full((n,), -torch.inf), torch.full((n, most + 1), NONE, device=device)
    owner, score = torch.arange(n, device=device), states.new_zeros(n)  # of each beginning
    words = torch.full((n, 1), END, device=device)
    for length in range(1, most + 2):
        if not len(owner):
            break
        features, states = language.unroll(words[:, -1:], states)
        odds = score[:, None] + language.output(features[:, -1]).log_softmax(1)
        if length > most:
            odds[:, END + 1 :] = -torch.inf
        row, word, score = _kept(odds, owner, n, beam)
        owner, states, words = owner[row], states[row], torch.cat([words[row], word[:, None]], 1)
        ended = word == END
        _update(best, found, owner[ended], words[ended, 1:], score[ended] / length**power)
        owner, states, words, score = (part[~ended] for part in (owner, states, words, score))
    return found, best


def _kept(odds: Tensor, owner: Tensor, n: int, beam: int) -> tuple[Tensor, Tensor, Tensor]:
    """Row, next word and log-probability of what is kept, the ``beam`` best of each owner.

    Args:
        odds: ``(rows, words)``, log-probabilities of beginnings and a word more.
        owner: ``(rows,)``, in order.
        n: Number of owners.
        beam: How many are kept.
    """
    rows, kinds = odds.shape
    counts = torch.bincount(owner, minlength=n)
    place = torch.arange(rows, device=owner.device) - (counts.cumsum(0) - counts)[owner]
    slots = int(counts.max())
    every = odds.new_full((n, slots, kinds), -torch.inf)
    every[owner, place] = odds
    origin = owner.new_zeros(n, slots)
    origin[owner, place] = torch.arange(rows, device=owner.device)
    top, at = every.flatten(1).topk(min(beam, slots * kinds), 1)
    there = top > -torch.inf
    return origin.gather(1, at // kinds)[there], (at % kinds)[there], top[there]


def _update(best: Tensor, found: Tensor, owner: Tensor, words: Tensor, score: Tensor) -> None:
    """Put sentences that are better than those found so far in their place."""
    for row, sentence, value in zip(owner.tolist(), words, score, strict=True):
        if value > best[row]:
            best[row] = value
            found[row, : len(sentence)] = sentence
