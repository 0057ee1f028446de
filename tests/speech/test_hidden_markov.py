"""Viterbi's path beside all paths written out, and words out of paths."""

import itertools
import math

import pytest
import torch

from nakami import speech
from nakami.results import UsageError
from nakami.speech import HMM, Lexicon, grammar, viterbi, words_of

DOUBLE = torch.float64


def best_of_all(scores, first, transition, last):
    """The best path and its log-probability, every path tried."""
    n, states = scores.shape
    found = (-math.inf, ())
    for path in itertools.product(range(states), repeat=n):
        total = float(first[path[0]] + last[path[-1]])
        total += sum(float(scores[t, s]) for t, s in enumerate(path))
        total += sum(float(transition[a, b]) for a, b in itertools.pairwise(path))
        found = max(found, (total, path))
    return found


def dense_of(hmm):
    """Its transitions as a matrix."""
    matrix = torch.full((len(hmm), len(hmm)), -torch.inf, dtype=DOUBLE)
    for state, (sources, weights) in enumerate(
        zip(hmm.predecessors.tolist(), hmm.log_weights.tolist(), strict=True)
    ):
        for source, weight in zip(sources, weights, strict=True):
            matrix[source, state] = max(float(matrix[source, state]), weight)
    return matrix


def test_viterbi_is_the_best_of_all_paths_whatever_the_length():
    g = torch.Generator().manual_seed(0)
    first = torch.randn(3, generator=g, dtype=DOUBLE).log_softmax(0)
    transition = torch.randn(3, 3, generator=g, dtype=DOUBLE).log_softmax(1)
    scores = torch.randn(5, 6, 3, generator=g, dtype=DOUBLE)
    counts = torch.tensor([6, 1, 4, 2, 6])
    hmm = HMM.dense(first, transition)
    path, total = viterbi(scores, hmm, counts)
    for i, n in enumerate(counts.tolist()):
        best, states = best_of_all(scores[i, :n], first, transition, torch.zeros(3))
        assert tuple(path[i, :n].tolist()) == states
        assert float(total[i]) == pytest.approx(best, abs=1e-12)
        assert (path[i, n:] == -1).all()


@pytest.mark.parametrize("loop", [False, True])
def test_a_grammar_is_decoded_as_all_its_paths(loop):
    lexicon = Lexicon(("go", "stop", "stop"), ((0, 1), (2,), (1, 2)), (3,))
    stays = torch.tensor([0.5, 0.2, 0.7, 0.6], dtype=DOUBLE)
    hmm = grammar(lexicon, stays, loop=loop).to(torch.zeros(0, dtype=DOUBLE))
    scores = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    of_states = scores[:, :, hmm.senones]
    path, total = viterbi(of_states, hmm)
    for i in range(2):
        best, states = best_of_all(of_states[i], hmm.log_first, dense_of(hmm), hmm.log_last)
        assert tuple(path[i].tolist()) == states
        assert float(total[i]) == pytest.approx(best, abs=1e-9)
    assert lexicon.vocabulary == ("go", "stop")


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("silence", [(), (5, 6)])
def test_what_leaves_a_state_has_probability_one(loop, silence):
    lexicon = Lexicon(("a", "b", "b"), ((0, 1), (2, 3), (3, 4)), silence)
    hmm = grammar(lexicon, torch.linspace(0.2, 0.8, lexicon.senones), loop=loop)
    gone = dense_of(hmm).exp().sum(1) + hmm.log_last.double().exp()
    assert gone == pytest.approx(torch.ones(len(hmm)).double(), abs=1e-6)
    assert float(hmm.log_first.exp().sum()) == pytest.approx(1, abs=1e-6)


def test_words_follow_each_other_only_in_a_loop():
    lexicon = Lexicon.untied(("one", "two"), 2)
    stays = torch.full((5,), 0.5)
    spoken = torch.tensor([4, 0, 0, 1, 2, 3, 3, 4, 2, 3])  # silence, one, two, silence, two
    scores = torch.full((1, 10, 5), -20.0)
    scores[0, torch.arange(10), spoken] = 0.0
    counts = torch.tensor([10])
    assert speech.decode(scores, counts, grammar(lexicon, stays, loop=True)) == [[0, 1, 1]]
    assert len(speech.decode(scores, counts, grammar(lexicon, stays))[0]) == 1


def test_an_alignment_passes_through_the_word_that_was_told():
    lexicon = Lexicon.untied(("one", "two"), 3)
    hmm = grammar(lexicon, torch.full((7,), 0.5))
    scores = torch.randn(6, 9, 7, generator=torch.Generator().manual_seed(2))
    counts, labels = torch.tensor([9, 8, 7, 5, 3, 2]), torch.tensor([0, 1, 0, 1, 0, 1])
    path, total = speech.align(scores, counts, hmm, labels)
    assert total.isfinite().tolist() == [True] * 5 + [False]  # three states in two frames
    heard = words_of(path, hmm)
    assert heard[:5] == [[0], [1], [0], [1], [0]]
    for states, n in zip(path[:5].tolist(), counts.tolist(), strict=False):
        own = [s for s in hmm.senones[states[:n]].tolist() if s < 6]
        assert own == sorted(own)
        assert len(set(own)) == 3


def test_scores_of_another_shape_are_refused():
    hmm = grammar(Lexicon.untied(("a",), 2), torch.full((3,), 0.5))
    with pytest.raises(UsageError, match="scores must have shape"):
        viterbi(torch.zeros(1, 4, 3), hmm)
    with pytest.raises(UsageError, match="stays must be 3 probabilities below 1"):
        grammar(Lexicon.untied(("a",), 2), torch.ones(3))
