"""Hidden Markov models by the predecessors of their states, and Viterbi's path of many at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..results import wrong
from ._features import within


@dataclass(frozen=True)
class HMM:
    """States with their predecessors, in natural logarithms; -inf is what cannot be.

    Attributes:
        predecessors: ``(S, P)`` int64: states from which each is reached, itself among them where
            it may stay; unused places hold any state with a weight of -inf.
        log_weights: ``(S, P)``, log-probability of these steps.
        log_first, log_last: ``(S,)``, log-probability to begin there, and to end from there.
        senones: ``(S,)`` int64, the tied state whose likelihood a state has.
        words: ``(S,)`` int64, the word of a state; -1 of silence.
        entries: ``(S,)`` bool, where words begin.
    """

    predecessors: Tensor
    log_weights: Tensor
    log_first: Tensor
    log_last: Tensor
    senones: Tensor
    words: Tensor
    entries: Tensor

    def __len__(self) -> int:
        return len(self.senones)

    @classmethod
    def dense(cls, log_first: Tensor, log_transition: Tensor) -> HMM:
        """A model of ``(S,)`` and ``(S, S)``, from row to column, that may end anywhere."""
        n = len(log_first)
        all_states = torch.arange(n, device=log_first.device)
        return cls(
            all_states.expand(n, n),
            log_transition.T,
            log_first,
            torch.zeros_like(log_first),
            all_states,
            all_states,
            torch.ones_like(all_states, dtype=torch.bool),
        )

    def to(self, like: Tensor) -> HMM:
        """The model on the device and in the arithmetic of a tensor."""
        moved = {
            name: value.to(like) if value.is_floating_point() else value.to(like.device)
            for name, value in vars(self).items()
        }
        return replace(self, **moved)


@torch.no_grad()
def viterbi(scores: Tensor, hmm: HMM, counts: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The most probable path of states through each sequence of frames.

    Args:
        scores: ``(N, T, S)``, log-likelihood of each frame in each state, up to a number for each
            frame.
        hmm: Of S states.
        counts: Frames of each sequence, ``(N,)``, 1 to T; None: T.

    Returns:
        States ``(N, T)`` int64, -1 beyond a sequence's end; and the log-probability of each path,
        ``(N,)``, -inf where no path fits, as for a word with more states than there are frames.

    Cost: ``N T S P`` additions for P predecessors; ``N T S`` bytes, or twice as many from 128
        predecessors on.

    Source: Viterbi, IEEE Transactions on Information Theory 13 (1967).
    """
    if scores.ndim != 3 or scores.shape[2] != len(hmm) or 0 in scores.shape:
        rule = f"have shape (sequences, frames, {len(hmm)})"
        raise wrong("scores", rule, tuple(scores.shape), "pass a column for each state")
    n, length, _ = scores.shape
    counts = torch.full((n,), length) if counts is None else counts
    live = within(counts.to(scores.device), length)
    hmm = hmm.to(scores)
    small = torch.int8 if hmm.predecessors.shape[1] < 128 else torch.int16
    best, back = hmm.log_first + scores[:, 0], []
    for t in range(1, length):
        arriving, came = (best[:, hmm.predecessors] + hmm.log_weights).max(2)
        best = torch.where(live[:, t, None], arriving + scores[:, t], best)
        back.append(came.to(small))
    total, state = (best + hmm.log_last).max(1)
    path = torch.full((n, length), -1, device=scores.device)
    rows = torch.arange(n, device=scores.device)
    for t in range(length - 1, -1, -1):
        path[:, t] = torch.where(live[:, t], state, -1)
        if t:
            before = hmm.predecessors[state, back[t - 1][rows, state].long()]
            state = torch.where(live[:, t], before, state)
    return path, total


def words_of(path: Tensor, hmm: HMM) -> list[list[int]]:
    """The words of paths ``(N, T)``: one each time that a path enters one.

    A word of one state that follows itself at once counts once: its path is that of one long word.
    """
    words, entries = hmm.words.tolist(), hmm.entries.tolist()
    found = []
    for states in path.tolist():
        steps = zip([-1, *states[:-1]], states, strict=True)
        found.append([words[s] for b, s in steps if s >= 0 and s != b and entries[s]])
    return found
