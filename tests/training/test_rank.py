"""The hinge rank loss against loops and its margins; hits against sorting."""

import pytest
import torch
from torch.nn import functional as F

from nakami.results import UsageError
from nakami.training import HingeRank, Supervised, fit, hits


def problem(n=20, classes=5, d=4):
    gen = torch.Generator().manual_seed(0)
    words = F.normalize(torch.randn(classes, d, generator=gen, dtype=torch.float64), dim=1)
    z = torch.randn(n, d, generator=gen, dtype=torch.float64)
    return z, torch.randint(classes, (n,), generator=gen), words


def test_the_loss_is_the_double_loop():
    z, labels, words = problem()
    total = 0.0
    for out, y in zip(z, labels, strict=True):
        for j, t in enumerate(words):
            if j != y:
                total += max(0.0, float(0.1 - words[y] @ out + t @ out))
    assert float(HingeRank(words)(z, labels)) == pytest.approx(total / len(z), rel=1e-12)


def test_it_is_zero_if_and_only_if_every_margin_is_met():
    _, labels, words = problem(classes=3, d=3)
    words = torch.eye(3).double()
    z = torch.zeros(len(labels), 3).double()
    z[torch.arange(len(labels)), labels] = 0.1 + 1e-9
    loss = HingeRank(words)
    assert float(loss(z, labels)) == pytest.approx(0, abs=1e-15)
    z[7, labels[7]] = 0.1 - 1e-6
    assert float(loss(z, labels)) == pytest.approx(2 * 1e-6 / len(labels), rel=1e-4)
    gen = torch.Generator().manual_seed(1)
    for scale in (0.01, 0.3, 3.0):  # both ways, at random
        z = scale * torch.randn(len(labels), 3, generator=gen).double()
        scores = z @ words.T
        right = scores.gather(1, labels[:, None])
        others = scores.masked_fill(F.one_hot(labels, 3).bool(), -9.0)
        met = bool((right - others.amax(1, keepdim=True) >= 0.1).all())
        assert (float(loss(z, labels)) < 1e-12) == met


def test_hits_are_those_of_sorting():
    z, labels, words = problem()
    order = (F.normalize(z, dim=1) @ words.T).argsort(1, descending=True)
    for k in (1, 2, 5):
        wanted = (order[:, :k] == labels[:, None]).any(1)
        assert torch.equal(hits(z, labels, words, k), wanted)
    among = [0, 2, 4]
    some = (labels % 2) == 0
    left = [next(j for j in row.tolist() if j in among) for row in order[some]]
    found = hits(z[some], labels[some], words, among=among)
    assert found.tolist() == [a == b for a, b in zip(left, labels[some].tolist(), strict=True)]


def test_an_output_that_tells_nothing_is_no_hit():
    words = torch.eye(4)
    outputs = torch.stack([torch.zeros(4), words[1], words[0] + words[1]])
    labels = torch.tensor([1, 1, 1])
    assert hits(outputs, labels, words).tolist() == [False, True, False]
    assert hits(outputs, labels, words, 2).tolist() == [False, True, True]
    assert hits(outputs, labels, words, 4).all()
    assert hits(outputs, labels, words, 3, among=[1, 1, 2, 3]).all()  # each candidate once


def zero_shot(words):
    """Hits on held-out classes of pictures whose features carry two attributes."""
    gen = torch.Generator().manual_seed(0)
    shape, colour = torch.arange(16) // 4, torch.arange(16) % 4
    mix = torch.randn(8, 24, generator=gen)
    code = torch.cat([F.one_hot(shape, 4), F.one_hot(colour, 4)], 1).float()
    labels = torch.arange(16).repeat(40)
    x = code[labels] @ mix + 0.1 * torch.randn(640, 24, generator=gen)
    unseen = [0, 5, 10, 15]
    held = torch.isin(labels, torch.tensor(unseen))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Linear(24, 8, bias=False)
    method = Supervised(net, torch.optim.Adam(net.parameters(), 0.01), HingeRank(words(code)))
    fit(method, (x[~held], labels[~held]), epochs=60)
    found = hits(net(x[held]), labels[held], words(code), among=unseen)
    return float(found.double().mean())


def test_unseen_classes_are_told_by_the_meaning_of_their_words():
    meant = zero_shot(lambda code: F.normalize(code, dim=1))
    gen, dealt = torch.Generator().manual_seed(0), []
    for _ in range(2):
        order = torch.randperm(16, generator=gen)
        dealt.append(zero_shot(lambda code, order=order: F.normalize(code, dim=1)[order]))
    assert meant > 0.9
    assert sum(dealt) / 2 < 0.6


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: HingeRank(torch.ones(3, 2)), "words must have length 1 each, got 1.41 to 1.41"),
        (lambda: HingeRank(torch.ones(1, 2)), r"words must be two vectors or more, \(C, d\)"),
        (lambda: HingeRank([1, 2]), "words must be a tensor, got list"),
        (lambda: HingeRank(torch.eye(3), 0), "margin must be a number above 0, got 0"),
        (
            lambda: HingeRank(torch.eye(3))(torch.ones(2, 5), torch.zeros(2).long()),
            r"outputs must have shape \(N, 3\), as the words, got \(2, 5\); end the network",
        ),
        (
            lambda: hits(torch.full((1, 3), torch.nan), torch.tensor([0]), torch.eye(3)),
            r"outputs must be finite, of shape \(1, 3\), got 3 others in shape \(1, 3\)",
        ),
        (
            lambda: hits([1.0], torch.tensor([0]), torch.eye(3)),
            "outputs must be a tensor, got list",
        ),
        (lambda: hits(torch.ones(1, 3), 0, torch.eye(3)), "labels must be a tensor, got int"),
        (
            lambda: hits(torch.ones(2, 3), torch.tensor([0]), torch.eye(3)),
            r"outputs must be finite, of shape \(1, 3\), got 0 others in shape \(2, 3\)",
        ),
        (
            lambda: hits(torch.ones(1, 3), torch.tensor([0]), torch.eye(3), among=[0, 7]),
            r"among must be numbers of words, from 0 to 2, got \[0, 7\]; leave it out for all",
        ),
        (
            lambda: hits(torch.ones(1, 3), torch.tensor([0]), torch.eye(3), 4),
            "k must be at most 3, the number of candidates, got 4",
        ),
        (
            lambda: hits(torch.ones(1, 3), torch.tensor([0]), torch.eye(3), among=[1, 2]),
            "labels must be among the candidates, got 0",
        ),
    ],
)
def test_wrong_use(act, message):
    with pytest.raises(UsageError, match=message):
        act()
