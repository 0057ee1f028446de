"""Geometric allocation against the published formula, with loops, and its least rejection."""

import itertools

import pytest
import torch

from nakami.results import UsageError
from nakami.sampling import states, suwa_todo
from nakami.sampling._allocation import allocated, chosen, moved_pairs


def by_the_formula(w):
    """Weights, largest first; ``S_0`` is ``S_n``."""
    n, values = len(w), w.tolist()
    s = [sum(values), *itertools.accumulate(values)]
    flow = torch.zeros(n, n, dtype=torch.float64)
    for i, own in enumerate(values):
        for j, other in enumerate(values):
            d = s[i + 1] - s[j] + values[0]
            flow[i, j] = max(0.0, min(d, own + other - d, own, other))
    return flow / w[:, None]


def draws():
    g = torch.Generator().manual_seed(0)
    for i in range(200):
        yield torch.rand(2 + i % 7, generator=g, dtype=torch.float64) ** (1 + i % 3)


def test_is_the_published_formula_and_leaves_the_weights_invariant():
    for w in draws():
        k = suwa_todo(w)
        assert (k.sum(1) - 1).abs().max() < 1e-12
        assert (w @ k - w).abs().max() < 1e-12
        rejected = (w * k.diagonal()).sum()
        assert abs(rejected - max(0, 2 * w.max() - w.sum())) < 1e-10
        order = w.argsort(descending=True)
        torch.testing.assert_close(
            k[order][:, order], by_the_formula(w[order]), rtol=1e-9, atol=1e-12
        )
        wrong = k.clone()
        wrong[0] = 1 / len(w)
        assert (w @ wrong - w).abs().max() > 1e-6  # the check can fail


def test_two_states_are_metropolis():
    k = suwa_todo(torch.tensor([0.3, 0.7], dtype=torch.float64))
    wanted = torch.tensor([[0, 1], [3 / 7, 4 / 7]], dtype=torch.float64)
    torch.testing.assert_close(k, wanted, rtol=1e-14, atol=0)


def test_a_batch_is_its_parts_and_scale_does_not_matter():
    w = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    k = suwa_todo(w)
    torch.testing.assert_close(k[2, 3], suwa_todo(w[2, 3]), rtol=1e-14, atol=0)
    torch.testing.assert_close(k, suwa_todo(1e-200 * w), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_of_tiny_weight_are_left_for_the_large(dtype):
    w = torch.tensor([1e-30, 1.0, 1e-12, 0.0], dtype=dtype)
    k = suwa_todo(w)
    assert torch.isfinite(k).all()
    for i in (0, 2, 3):
        torch.testing.assert_close(k[i, 1], torch.ones((), dtype=dtype))


def test_drawn_moves_have_the_matrix_as_their_law():
    log_w = torch.tensor([0.3, -1.0, 0.9, 0.1], dtype=torch.float64)
    k, n = suwa_todo(log_w.exp()), 40_000
    g = torch.Generator().manual_seed(2)
    for i in range(4):
        found = allocated(log_w.expand(n, 4), torch.full((n,), i), g)
        counts = torch.bincount(found, minlength=4) / n
        assert (counts - k[i]).abs().max() < 5 * 0.5 / n**0.5


@pytest.mark.parametrize(
    "logit",
    [(0.3, -1.0), (-0.2, 0.1), (2.0, 2.5), (-0.7, -0.7), (0.7, -0.7), (0.0, 0.0), (0.0, 1.0),
     (-9.0, 0.5), (-60.0, 80.0)],
)  # fmt: skip
def test_pairs_without_a_sort_have_the_same_matrix(logit):
    """All of ``u`` on a fine grid gives shares within a step of it."""
    logit = torch.tensor(logit, dtype=torch.float64)
    table, n = states(2, logit), 4000
    k = suwa_todo((table @ logit).softmax(0))
    u = ((torch.arange(n) + 0.5) / n).to(logit)
    for i in range(4):
        moved = moved_pairs(logit.expand(n, 2), table[i].expand(n, 2), u)
        shares = torch.bincount((moved @ logit.new_tensor([2.0, 1.0])).long(), minlength=4) / n
        assert (shares - k[i]).abs().max() < 2.5 / n


def test_of_probabilities_zero_nothing_is_chosen():
    p = torch.tensor([0.0, 0.5, 0.0, 0.5, 0.0]).expand(2000, 5)
    found = chosen(p, torch.Generator().manual_seed(0))
    assert set(found.tolist()) == {1, 3}


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (torch.tensor([0.0, 0.0]), r"weights must be finite, not negative, not all 0, got 0 to 0"),
        (torch.tensor([-1.0, 2.0]), r"weights must be .* got -1 to 2; pass exp\(-energy\)"),
        (torch.tensor([torch.nan, 2.0]), r"weights must be finite"),
        (torch.tensor([1, 2]), r"weights must be floating"),
    ],
)
def test_wrong_weights_are_one_sentence(weights, match):
    with pytest.raises(UsageError, match=match):
        suwa_todo(weights)
