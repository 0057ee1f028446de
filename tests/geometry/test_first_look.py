"""A first look at a limit: its range beside dense matrices, and what it says without a limit."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from nakami.geometry import FirstLookEnding, learning_rate_report, rate_limit
from nakami.geometry.rate._first_look import first_look
from nakami.geometry.rate._matrix import named_of
from nakami.operators import ggn


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3)).double()


def batches(seed, count=4, size=15):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count * size, 6, generator=generator, dtype=torch.float64)
    y = torch.arange(len(x)) % 3
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


def look(model, data, loss="cross_entropy", optimizer="sgd"):
    op = ggn(model, data, loss)
    return op, first_look(op, named_of(model, op), optimizer, 0)


def largest(op):
    return float(torch.linalg.eigvalsh(op.dense())[-1])


def test_it_holds_the_limit_of_a_batch_and_comes_near_that_of_all():
    inside = 0
    for seed in range(4):
        op, found = look(network(seed), batches(seed))
        one, whole = largest(op.by_batch()[0]), largest(op)
        assert found.most >= 0.95 * one  # about: the residual is no bound of the largest one
        assert found.low < found.limit < found.high
        assert found.limit == pytest.approx(2 / whole, rel=0.35)
        inside += found.low <= 2 / whole <= found.high
    assert inside >= 2


def test_of_one_batch_the_residual_is_the_doubt():
    op, found = look(network(0), batches(0, count=1))
    assert found.least <= largest(op) <= 1.2 * found.most  # the residual is no bound
    assert found.outcome.count("products") == 4


def test_momentum_and_weight_decay_count():
    model = network(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, weight_decay=2.0)
    _, found = look(model, batches(1), optimizer=optimizer)
    _, plain = look(model, batches(1))
    assert found.sharpness == pytest.approx(plain.sharpness + 2.0)
    assert found.limit == pytest.approx(3.8 / found.sharpness)


def test_a_sum_over_all_batches_is_sharper_than_one_of_a_batch():
    y = [(x, torch.ones(len(x), 3, dtype=torch.float64)) for x, _ in batches(2)]
    _, mean = look(network(2), y, nn.MSELoss())
    _, total = look(network(2), y, nn.MSELoss(reduction="sum"))
    assert mean.limit / total.limit == pytest.approx(4 * 15 * 3)


def test_without_a_limit_it_gives_the_curvature():
    op, found = look(network(3), batches(3), optimizer="adam")
    assert found.limit is None
    assert found.outcome.kind is FirstLookEnding.LATER
    assert "the limit of Adam comes after steps that fill its averages" in found.reason
    assert found.sharpness == pytest.approx(largest(op), rel=0.35)


def test_a_loss_that_does_not_curve_has_none_yet():
    def linear(z, y):
        return z.mean()

    _, found = look(network(4), batches(4), linear)
    assert found.outcome.kind is FirstLookEnding.FLAT
    assert not found.converged


def test_progress_tells_it_first_and_it_changes_no_other_number():
    said = []

    def progress(done, total, left, what):
        said.append((done, total, what))

    model = network(5)
    before = [p.clone() for p in model.parameters()]
    told = rate_limit(model, batches(5), "cross_entropy", progress=progress)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert said[0][0] == 1
    assert said[0][2].startswith("first look: limit about")
    assert said[-1][0] == said[-1][1]
    assert told == rate_limit(model, batches(5), "cross_entropy")
    report = learning_rate_report(model, batches(5), "cross_entropy", spectrum=False)
    assert report.limit == replace(told, cost=report.limit.cost)
    assert f"first look: {report.first.reason}" == said[0][2]
