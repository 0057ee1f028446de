"""Stochastic nets against enumeration of their units, frequencies of draws, and plain formulas."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.zoo.sfnn import SFNN, Half


def small(output="sigmoid", hidden=((3, 2), (0, 2))):
    gen = torch.Generator().manual_seed(0)
    net = SFNN(4, hidden, 3, activation="tanh", output=output, generator=gen).double()
    with torch.no_grad():
        for p in net.parameters():
            p.normal_(0, 1, generator=gen)
    return net


def examples(n=5):
    gen = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, generator=gen, dtype=torch.float64)
    return x, (torch.rand(n, 3, generator=gen) < 0.5).double()


@torch.no_grad()
def by_hand(net, x, y):
    """log p(y | x), a sum over all states written unit by unit."""
    w1, w2, out = net.hidden1.linear, net.hidden2.linear, net.output
    total = torch.zeros(len(x), dtype=x.dtype)
    for bits in itertools.product((0.0, 1.0), repeat=4):
        s, t = torch.tensor(bits[:2]).double(), torch.tensor(bits[2:]).double()
        a = w1(x)
        p1, p2 = torch.sigmoid(a[:, 3:]), None
        h = torch.cat([torch.tanh(a[:, :3]), s.expand(len(x), 2)], 1)
        p2 = torch.sigmoid(w2(h))
        chance = torch.where(s == 1, p1, 1 - p1).prod(1) * torch.where(t == 1, p2, 1 - p2).prod(1)
        z = out(t.expand(len(x), 2))
        if net.log_variance is None:
            q = torch.sigmoid(z)
            chance = chance * torch.where(y == 1, q, 1 - q).prod(1)
        else:
            law = torch.distributions.Normal(z, (net.log_variance / 2).exp())
            chance = chance * law.log_prob(y).exp().prod(1)
        total = total + chance
    return total.log()


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_terms_of_all_states_sum_to_the_likelihood(output):
    net, (x, y) = small(output), examples()
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4))).double()[:, None]
    explained, prior = net.log_terms(x, y, states)
    assert_close(prior.exp().sum(0), torch.ones(len(x)).double())
    assert_close((explained + prior).logsumexp(0).detach(), by_hand(net, x, y))


def test_draws_come_as_often_as_their_probability():
    net, (x, y) = small(), examples(2)
    gen = torch.Generator().manual_seed(2)
    explained, prior = net.drawn_terms(x, y, 40_000, gen)
    exact = by_hand(net, x, y).exp()
    p = explained.detach().exp()
    assert ((p.mean(0) - exact).abs() < 5 * p.std(0) / 200).all()
    assert explained.shape == prior.shape == (40_000, 2)


def test_samples_have_the_frequencies_of_the_law_and_several_modes():
    net, (x, _) = small(), examples(1)
    drawn = net.sample(x, 40_000, generator=torch.Generator().manual_seed(3))
    for bits in itertools.product((0.0, 1.0), repeat=3):
        y = torch.tensor([bits]).double()
        p = float(by_hand(net, x, y).exp())
        share = float((drawn == y).all(2).double().mean())
        assert abs(share - p) < 5 * (p * (1 - p) / 40_000) ** 0.5
    means = net.sample(x, 500, means=True)
    assert len(means.round(decimals=9).unique(dim=0)) == 4  # two binary units below the output


def test_normal_draws_have_the_learned_variance():
    net, (x, _) = small("linear", ((3, 0),)), examples(1)
    drawn = net.sample(x, 20_000)
    assert_close(drawn.var(0), net.log_variance.exp().expand(1, 3).detach(), rtol=0.05, atol=0)
    assert_close(drawn.mean(0), net(x).detach(), rtol=0, atol=0.1)


def test_called_it_is_the_perceptron_of_the_probabilities():
    net, (x, _) = small(), examples()
    h = net.hidden1.linear(x)
    h = torch.cat([torch.tanh(h[:, :3]), torch.sigmoid(h[:, 3:])], 1)
    h = torch.sigmoid(net.hidden2.linear(h))
    assert_close(net(x), torch.sigmoid(net.output(h)))


def test_without_stochastic_units_all_is_one_pass():
    net, (x, y) = small(hidden=((6, 0), (2, 0))), examples()
    explained, prior = net.drawn_terms(x, y, 1, torch.Generator())
    assert_close(explained[0], -F.binary_cross_entropy(net(x), y, reduction="none").sum(1))
    assert (prior == 0).all()


def test_halves_are_the_whole():
    x = torch.arange(2 * 3 * 5 * 4.0).reshape(2, 3, 5, 4)
    assert_close(Half("upper")(x), x[:, :, :2].flatten(1))
    assert_close(Half("lower")(x), x[:, :, 2:].flatten(1))
    assert_close(Half("left")(x), x[..., :2].flatten(1))
    assert_close(Half("right")(x), x[..., 2:].flatten(1))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: SFNN(4, [], 3), "hidden must name deterministic and stochastic units of each"),
        (lambda: SFNN(4, [(0, 0)], 3), "hidden must name deterministic and stochastic units"),
        (lambda: SFNN(4, 5, 3), "hidden must name deterministic and stochastic units .* got 5"),
        (lambda: SFNN(4, [(2, 1)], 3, output=None), "output None is unknown; nearest"),
        (lambda: SFNN(4, [5], 3), "hidden must name deterministic and stochastic units"),
        (lambda: SFNN(4, [(2.5, 1)], 3), "hidden must name deterministic and stochastic units"),
        (lambda: SFNN(0, [(2, 1)], 3), "inputs must be a whole number from 1 on, got 0"),
        (lambda: SFNN(4, [(2, 1)], 0), "outputs must be a whole number from 1 on, got 0"),
        (lambda: SFNN(4, [(2, 1)], 3, output="softmax"), "output 'softmax' is unknown"),
        (lambda: SFNN(4, [(2, 1)], 3, activation="rel"), "activation 'rel' is unknown; nearest"),
        (
            lambda: small().drawn_terms(examples()[0], torch.ones(5, 2), 3, torch.Generator()),
            r"y must have shape \(N, 3\), got \(5, 2\); pass y.flatten\(1\)",
        ),
        (
            lambda: small().drawn_terms(examples()[0], torch.full((5, 3), 2.0), 3, None),
            r"y must lie in 0\.\.1 for a sigmoid output, got 2 to 2; pass output='linear'",
        ),
        (lambda: small().sample(examples()[0], 0), "samples must be a whole number from 1 on"),
        (lambda: Half("top"), "which must be one of upper, lower, left, right, got 'top'"),
    ],
)
def test_wrong_use(act, message):
    with pytest.raises(UsageError, match=message):
        act()


def test_it_trains_from_a_generator_and_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    net = SFNN(4, [(2, 1)], 3)
    net.sample(torch.zeros(1, 4), 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(net, nn.Sequential)
