"""The step of importance-sampled EM against the gradient that enumeration gives."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nakami import sampling
from nakami.results import UsageError
from nakami.training import ImportanceEM, fit
from nakami.zoo.sfnn import SFNN


def problem():
    gen = torch.Generator().manual_seed(0)
    net = SFNN(3, [(2, 2), (1, 2)], 2, activation="tanh", generator=gen).double()
    with torch.no_grad():
        for p in net.parameters():
            p.normal_(0, 0.7, generator=gen)
    x = torch.randn(4, 3, generator=gen, dtype=torch.float64)
    return net, x, (torch.rand(4, 2, generator=gen) < 0.5).double()


def learner(net, samples=20, seed=0, rate=0.1):
    gen = torch.Generator().manual_seed(seed)
    return ImportanceEM(
        net, torch.optim.SGD(net.parameters(), rate), samples=samples, generator=gen
    )


def gradient(loss, net):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))])


def exact(net, x, y):
    """The gradient of ``-log p(y | x)``, through the sum over all states."""
    states = (torch.arange(16)[:, None, None] >> torch.arange(4) & 1).double()
    explained, prior = net.log_terms(x, y, states)
    return gradient(-(explained + prior).logsumexp(0).mean(), net)


def test_the_step_tends_to_the_gradient_as_draws_grow():
    net, x, y = problem()
    wanted, gaps = exact(net, x, y), []
    for samples in (20, 50_000):
        surrogate, _ = learner(net, samples).losses(x, y)
        gaps.append(float((gradient(surrogate, net) - wanted).norm() / wanted.norm()))
    assert gaps[1] < 0.02 < gaps[0]


def test_weights_are_constants():
    """Differentiating them would count the target twice."""
    net, x, y = problem()
    learn = learner(net, 20_000)
    explained, prior = net.drawn_terms(x, y, 20_000, torch.Generator().manual_seed(0))
    through = -(explained.softmax(0) * (explained + prior)).sum(0).mean()
    wanted = exact(net, x, y)
    assert (gradient(through, net) - wanted).norm() > 0.1 * wanted.norm()
    assert (gradient(learn.losses(x, y)[0], net) - wanted).norm() < 0.05 * wanted.norm()


def test_the_loss_returned_is_the_estimate():
    net, x, y = problem()
    gen = torch.Generator().manual_seed(5)
    explained, _ = net.drawn_terms(x, y, 20, gen)
    wanted = -(explained.logsumexp(0) - math.log(20)).mean()
    assert_close(learner(net, 20, seed=5).losses(x, y)[1], wanted.detach())


def branches(n, seed):
    """One of two answers 1 and -1, the first with probability ``sigmoid(3 x)``, and noise."""
    gen = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, generator=gen)
    sign = (torch.rand(n, 1, generator=gen) < torch.sigmoid(3 * x)).float() * 2 - 1
    best = nn.functional.logsigmoid(3 * x * sign).mean() - 0.5 * math.log(2 * math.pi * math.e)
    noise = 0.3 * torch.randn(n, 1, generator=gen)
    return x, sign + noise, float(best) - math.log(0.3)


def test_two_answers_are_learned_where_a_normal_law_has_one():
    """To the entropy of the law that the examples come from."""
    found, (x, y, best) = [], branches(1000, 1)
    for hidden in ([(4, 1)], [(5, 0)]):
        net = SFNN(1, hidden, 1, activation="tanh", output="linear")
        method = ImportanceEM(net, torch.optim.Adam(net.parameters(), 0.03), samples=20)
        fit(method, branches(1000, 0)[:2], epochs=40, batch=100)
        found.append(sampling.conditional_likelihood(net, x, y, samples=100).value)
    stochastic, plain = found
    assert best - 0.1 < stochastic < best + 0.1
    assert plain < best - 0.4


def test_without_stochastic_units_it_is_maximum_likelihood():
    net = SFNN(3, [(4, 0)], 2)
    learn = learner(net, 20)
    assert learn.samples == 1
    x, y = torch.randn(5, 3), torch.ones(5, 2)
    surrogate, loss = learn.losses(x, y)
    wanted = nn.functional.binary_cross_entropy(net(x), y, reduction="none").sum(1).mean()
    assert_close(surrogate, wanted)
    assert_close(loss, wanted.detach())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((torch.ones(4, 3),), r"data must be inputs and targets, got 1; pass \(x, y\)"),
        ((torch.ones(4, 3), torch.ones(4, 5)), r"y must have shape \(N, 2\), got \(4, 5\)"),
    ],
)
def test_wrong_data(data, message):
    net, _, _ = problem()
    with pytest.raises(UsageError, match=message):
        learner(net.float()).start(data, torch.Generator())


def test_the_check_of_the_data_leaves_no_trace():
    """On what looks at the upper half there may be layers that draw, or that average."""
    given = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout())
    net = SFNN(3, [(2, 2)], 2, given=given).train()
    before, state = torch.get_rng_state(), given[0].running_mean.clone()
    learner(net).start((torch.ones(4, 3), torch.ones(4, 2)), torch.Generator())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(given[0].running_mean, state)


def test_another_module_is_refused():
    with pytest.raises(UsageError, match="module must be a stochastic network, got Linear; pass"):
        learner(nn.Linear(3, 2))


def test_wrong_samples():
    with pytest.raises(UsageError, match="samples must be a whole number from 1 on, got 0"):
        learner(problem()[0], 0)
