"""Estimates of a conditional likelihood and their errors, against enumeration and repetition."""

import math

import pytest
import torch

from nakami import sampling
from nakami.results import UsageError
from nakami.zoo.sfnn import SFNN


@pytest.fixture(scope="module")
def problem():
    gen = torch.Generator().manual_seed(0)
    net = SFNN(3, [(2, 3), (2, 4)], 5, activation="tanh", generator=gen).double()
    with torch.no_grad():
        for p in net.parameters():
            p.normal_(0, 1, generator=gen)
    x = torch.randn(6, 3, generator=gen, dtype=torch.float64)
    return net, x, (torch.rand(6, 5, generator=gen) < 0.5).double()


def estimate(problem, samples, seed=0):
    gen = torch.Generator().manual_seed(seed)
    return sampling.conditional_likelihood(*problem, samples=samples, generator=gen)


def test_many_draws_agree_with_enumeration(problem):
    exact = sampling.conditional_likelihood(*problem, samples=None)
    found = estimate(problem, 20_000)
    assert abs(found.value - exact.value) < 4 * found.standard_error < 0.05
    assert exact.standard_error == exact.bias == 0
    assert "exact" in repr(exact)
    assert "20000 draws, biased low" in repr(found)


def test_all_laws_sum_to_one(problem):
    net, x, _ = problem
    every = (torch.arange(32)[:, None] >> torch.arange(5) & 1).double()
    found = sampling.conditional_likelihood(net, x[:1].expand(32, -1), every, samples=None).examples
    assert float(found.exp().sum()) == pytest.approx(1, abs=1e-12)


def test_error_and_bias_are_those_of_repetitions(problem):
    exact = sampling.conditional_likelihood(*problem, samples=None).value
    runs = [estimate(problem, 200, seed) for seed in range(300)]
    values = torch.tensor([run.value for run in runs])
    told = torch.tensor([run.standard_error for run in runs]).mean()
    assert float(values.std() / told) == pytest.approx(1, abs=0.15)
    low = float(values.mean()) - exact
    bias = sum(run.bias for run in runs) / 300
    assert low < 0  # too low, as Jensen says
    assert low == pytest.approx(bias, abs=4 * float(values.std()) / math.sqrt(300))


def test_parts_of_the_examples_are_the_whole(problem, monkeypatch):
    net, x, y = problem
    exact = sampling.conditional_likelihood(net, x, y, samples=None).examples
    monkeypatch.setattr("nakami.sampling._conditional.ROWS", 64)
    monkeypatch.setattr("nakami.sampling._conditional.STATES", 32)
    cut = sampling.conditional_likelihood(net, x, y, samples=None).examples
    torch.testing.assert_close(cut, exact)
    assert estimate(problem, 50).examples.shape == (6,)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda p: estimate(p, 1), "samples must be a whole number from 2 on, got 1"),
        (
            lambda p: sampling.conditional_likelihood(p[0], 3, p[2]),
            r"x must be a tensor \(N, ...\)",
        ),
        (
            lambda p: sampling.conditional_likelihood(p[0], p[1], p[2][:3]),
            "x must hold as many examples as y, at least one, got 6 inputs and 3 targets",
        ),
        (
            lambda p: sampling.conditional_likelihood(
                SFNN(3, [(1, 2)], 5, output="linear").double(), p[1], p[2] / p[2]
            ),
            r"x must have a finite log p\(y \| x\) .* got NaN or infinity in \d of 6; leave these",
        ),
        (
            lambda p: sampling.conditional_likelihood(
                SFNN(3, [(1, 17)], 5).double(), *p[1:], samples=None
            ),
            "model must have at most 16 stochastic units to be enumerated, got 17; pass samples",
        ),
    ],
)
def test_wrong_use(problem, act, message):
    with pytest.raises(UsageError, match=message):
        act(problem)
