"""Skip-gram against its closed form, its own sums over all draws, and pairs counted by hand."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

import nakami
from nakami.data import word_pairs
from nakami.results import UsageError
from nakami.training import NegativeSampling, fit
from nakami.zoo import skipgram
from nakami.zoo.skipgram import SkipGram, expected_loss, noise, sampled_loss, shifted_pmi


def joint(words=6, seed=0):
    """Counts of pairs, some more likely, none missing."""
    g = torch.Generator().manual_seed(seed)
    return torch.randint(1, 30, (words, words), generator=g).double()


def table(rows, columns):
    """A network whose scores are ``rows @ columns.T``."""
    net = SkipGram(len(rows), rows.shape[1], dtype=torch.float64)
    with torch.no_grad():
        net.embedding.weight.copy_(rows)
        net.scores.weight.copy_(columns)
    return net


def random_net(words=6, width=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    return table(*(torch.randn(words, width, generator=g).double() for _ in range(2)))


def test_one_word_gives_its_scores_and_what_it_does_to_them_is_the_matrix_around():
    net, words = random_net(), torch.arange(6)
    everything = net(words)
    assert_close(everything, net.word_vectors @ net.context_vectors.T)
    assert_close(net(words[:, None]), everything)
    around = torch.tensor([[0, 5], [2, 2]])
    assert_close(net.pairs(torch.tensor([1, 4]), around), everything[[[1], [4]], around])
    found = nakami.svd(nakami.jacobian(net, words[2:3, None], start="embedding"))
    exact = torch.linalg.svdvals(net.context_vectors)
    assert_close(torch.as_tensor(found.values), exact, rtol=1e-6, atol=1e-9)
    with pytest.raises(UsageError, match=r"words must have shape \(N,\) or \(N, 1\), got shape"):
        net(words.reshape(2, 3))


@pytest.mark.parametrize("negatives", [1, 3])
def test_the_mean_over_all_pairs_and_draws_is_the_expected_loss(negatives):
    net, counts = random_net(3), joint(3)
    chances = noise(counts.sum(0))
    p, mean = counts / counts.sum(), torch.zeros((), dtype=torch.float64)
    draws = torch.cartesian_prod(*[torch.arange(3)] * negatives).reshape(-1, negatives)
    for w in range(3):
        for c in range(3):
            for drawn in draws:
                loss = sampled_loss(net, torch.tensor([w]), torch.tensor([c]), drawn[None])
                mean = mean + p[w, c] * chances[drawn].prod() * loss
    scores = net.word_vectors @ net.context_vectors.T
    assert_close(mean, expected_loss(scores, counts, chances, negatives))


@pytest.mark.parametrize("negatives", [1, 5])
def test_the_best_vectors_of_full_width_give_the_shifted_pmi(negatives):
    counts = joint()
    chances = noise(counts.sum(0))
    net = SkipGram(6, 6, dtype=torch.float64)
    with torch.no_grad():
        net.scores.weight.copy_(torch.eye(6))
    best = torch.optim.LBFGS(net.parameters(), max_iter=2000, tolerance_grad=1e-12,
                             tolerance_change=1e-16, line_search_fn="strong_wolfe")  # fmt: skip

    def loss():
        best.zero_grad()
        value = expected_loss(net.word_vectors @ net.context_vectors.T, counts, chances, negatives)
        value.backward()
        return value

    best.step(loss)
    p = counts / counts.sum()
    wanted = (p / p.sum(1, keepdim=True) / chances).log() - math.log(negatives)
    assert_close(shifted_pmi(counts, chances, negatives), wanted)
    scores = net.word_vectors @ net.context_vectors.T
    assert_close(scores.detach(), wanted, rtol=0, atol=1e-5)


def test_information_at_pairs_seen_often_is_that_of_the_whole_matrix():
    g = torch.Generator().manual_seed(0)
    words, around = torch.randint(4, (2, 90), generator=g)
    counts = torch.tensor([20, 30, 25, 15])
    whole = torch.zeros(4, 4).index_put_((words, around), torch.ones(90), accumulate=True)
    w, c, found = skipgram.pair_information((words, around), counts, 5)
    often = whole >= 5
    assert 3 < int(often.sum()) < 16
    assert {(int(a), int(b)) for a, b in zip(w, c, strict=True)} == {
        (int(a), int(b)) for a, b in often.nonzero()
    }
    assert_close(found, shifted_pmi(whole, noise(counts), 1)[w, c])


def test_a_pair_that_never_occurs_has_no_finite_optimum():
    counts = joint()
    counts[0, 1] = 0
    found = shifted_pmi(counts, noise(counts.sum(0)), 2)
    assert found[0, 1] == -math.inf
    assert found.isfinite().sum() == 35


def test_negatives_are_drawn_by_counts_to_three_quarters():
    counts = torch.tensor([16, 0, 81, 1])
    net = SkipGram(4, 2)
    method = NegativeSampling(net, torch.optim.SGD(net.parameters(), 0.1), counts, negatives=20)
    method.start((torch.tensor([0]), torch.tensor([2])), torch.Generator().manual_seed(0))
    drawn = method.drawn(torch.zeros(5000, dtype=torch.int64))
    assert drawn.shape == (5000, 20)
    share = torch.bincount(drawn.flatten(), minlength=4) / drawn.numel()
    wanted = torch.tensor([8.0, 0, 27, 1]) / 36
    assert share[1] == 0
    assert_close(share, wanted, rtol=0, atol=4 * (0.25 / 100_000) ** 0.5)


def test_training_comes_near_the_closed_form():
    counts = joint(5, seed=3)
    pairs = [(w, c) for w in range(5) for c in range(5) for _ in range(int(counts[w, c]))]
    words, around = torch.tensor(pairs * 10).T
    net = SkipGram(5, 5)
    method = NegativeSampling(
        net, torch.optim.Adam(net.parameters(), 0.01), counts.sum(0), negatives=2
    )
    losses = fit(method, (words, around), epochs=30, batch=200)
    assert losses[-1] < losses[0]
    wanted = shifted_pmi(counts, noise(counts.sum(0)), 2)
    scores = (net.word_vectors @ net.context_vectors.T).detach().double()
    assert float((scores - wanted).abs().mean()) < 0.15
    assert float(wanted.std()) > 0.5  # so that the bound says something


def counted(*args, **options):
    words, around = word_pairs(*args, **options)
    return sorted(zip(words.tolist(), around.tolist(), strict=True))


def test_pairs_within_a_fixed_window_are_those_counted_by_hand():
    ids = torch.tensor([3, 1, 4, 1, 5])
    by_hand = sorted(
        (ids[i].item(), ids[j].item())
        for i in range(5) for j in range(5) if i != j and abs(i - j) <= 2
    )  # fmt: skip
    assert counted(ids, 2, dynamic=False) == by_hand
    assert counted(ids, 9, dynamic=False) == sorted(
        (ids[i].item(), ids[j].item()) for i in range(5) for j in range(5) if i != j
    )


def test_no_pair_goes_over_the_end_of_a_sentence():
    ids = torch.tensor([1, 2, 0, 3, 4, 0, 5])
    assert counted(ids, 4, dynamic=False, end=0) == [(1, 2), (2, 1), (3, 4), (4, 3)]


def test_a_distance_counts_with_its_weight():
    n, window = 20_000, 5
    ids = torch.arange(n)
    words, around = word_pairs(ids, window, seed=1)
    far = (words - around).abs()
    for d in range(1, window + 1):
        chance = (window - d + 1) / window
        spread = 4 * (2 * n * chance * (1 - chance)) ** 0.5 + 2 * d
        assert abs(int((far == d).sum()) - 2 * n * chance) <= spread
    assert far.max() == window


def test_frequent_words_are_thinned_out_and_do_not_count_in_windows():
    g = torch.Generator().manual_seed(5)
    rare = torch.randint(1, 1000, (50_000,), generator=g)
    ids = torch.where(torch.rand(50_000, generator=g) < 0.5, 0, rare)
    words, _ = word_pairs(ids, 1, threshold=1e-3, dynamic=False)
    f = float((ids == 0).double().mean())
    keep = (math.sqrt(f / 1e-3) + 1) * 1e-3 / f  # the program's formula
    kept = float((words == 0).sum()) / 2 / float((ids == 0).sum())
    assert kept == pytest.approx(keep, rel=0.1)
    total = len(words) / 2  # pairs of neighbours left
    assert total == pytest.approx(int((ids != 0).sum()) + keep * f * len(ids), rel=0.02)


def test_wrong_use_is_refused():
    net = SkipGram(4, 2)
    sgd = torch.optim.SGD(net.parameters(), 0.1)
    with pytest.raises(UsageError, match="counts must be a tensor with a number for each of the 4"):
        NegativeSampling(net, sgd, torch.ones(3))
    with pytest.raises(UsageError, match="module must be such a network"):
        NegativeSampling(torch.nn.Linear(2, 2), sgd, torch.ones(4))
    method = NegativeSampling(net, sgd, torch.ones(4))
    with pytest.raises(UsageError, match="data must hold numbers from 0 to 3, got 4"):
        fit(method, (torch.tensor([4]), torch.tensor([0])), epochs=1)
    with pytest.raises(UsageError, match="data must be numbers of words"):
        fit(method, (torch.ones(3), torch.ones(3)), epochs=1)
    with pytest.raises(UsageError, match="counts must hold how often"):
        noise(torch.zeros(3))
    with pytest.raises(UsageError, match="ids must be a tensor of whole numbers"):
        word_pairs(torch.ones(3))
    with pytest.raises(UsageError, match="ids must hold words beside each other"):
        word_pairs(torch.tensor([1]))
    with pytest.raises(UsageError, match="threshold must be a share above 0"):
        word_pairs(torch.tensor([1, 2]), threshold=0)


def test_first_vectors_are_those_of_the_program():
    net = skipgram.make()
    assert not net.context_vectors.any()
    assert float(net.word_vectors.detach().abs().max()) <= 0.5 / 100
    assert float(net.word_vectors.detach().std()) == pytest.approx(1 / 100 / 12**0.5, rel=0.02)
    assert F.cosine_similarity(net.word_vectors[0], net.word_vectors[1], dim=0).abs() < 0.4
