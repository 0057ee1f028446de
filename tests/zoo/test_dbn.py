"""The generative model of a deep belief network against enumeration."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from nakami import sampling
from nakami.results import UsageError
from nakami.zoo.dbn import DBN


def stack(*sizes, scale=0.8, seed=0):
    gen = torch.Generator().manual_seed(seed)
    made = DBN(sizes).double()
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(0, scale, generator=gen)
    return made


def states(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def log_likelihood(made, v):
    """``log sum_h p_top(h) p(v | h)`` of two machines."""
    below, top = made.rbms
    h = states(below.weight.shape[0])
    with torch.no_grad():
        prior = -top.free_energy(h) - sampling.log_partition(top)
        p = below.visible(h)
        down = (v[:, None] * p.log() + (1 - v[:, None]) * (1 - p).log()).sum(2)
        return torch.logsumexp(prior + down, 1)


def test_the_bound_lies_below_the_likelihood_and_meets_it_where_it_is_tight():
    made, v = stack(4, 3, 5), states(4)
    log_z = sampling.log_partition(made.rbms[1])
    gap = log_likelihood(made, v) - (made.bound(v, 20_000) - log_z)
    assert (gap > -0.02).all()
    assert gap.max() > 0.05
    turned = stack(4, 3, 4)
    below, top = turned.rbms
    with torch.no_grad():
        top.weight.copy_(below.weight.T)
        top.visible_bias.copy_(below.hidden_bias)
        top.hidden_bias.copy_(below.visible_bias)
    exact = -below.free_energy(v).detach() - sampling.log_partition(below)
    assert_close(log_likelihood(turned, v), exact)
    one = turned.bound(v, 1) - sampling.log_partition(top)  # every single draw is the value
    assert_close(one, exact)


def test_the_bound_on_data_takes_log_z_of_the_top_machine():
    made, v = stack(4, 3, 5), states(4)
    log_z = sampling.log_partition(made.rbms[1])
    found = sampling.likelihood_bound(made, v, runs=200, temperatures=300)
    assert abs(found.log_partition.value - log_z) < 4 * found.standard_error < 0.1
    known = sampling.likelihood_bound(made, v, log_partition=log_z)
    assert_close(known.examples, made.bound(v) - log_z)
    assert found.value < log_likelihood(made, v).mean()


@pytest.mark.parametrize("sizes", [(3, 3, 2), (3, 2)])
def test_samples_have_the_law_of_the_model(sizes):
    made, v = stack(*sizes), states(3)
    if len(sizes) == 2:
        share = (-made.rbms[0].free_energy(v).detach()).softmax(0)
    else:
        share = log_likelihood(made, v).exp()
    assert_close(share.sum(), torch.ones((), dtype=torch.float64))
    drawn = made.sample(20_000, steps=30, generator=torch.Generator().manual_seed(0))
    assert ((drawn.mean(0) - share @ v).abs() < 4 * drawn.std(0) / 20_000**0.5).all()
    assert torch.equal(made.sample(5, steps=3), made.sample(5, steps=3))
    assert ((drawn > 0) & (drawn < 1)).all()  # means, not zeros and ones


def test_no_steps_and_no_draws_are_refused():
    made = stack(3, 3, 2)
    with pytest.raises(UsageError, match="steps must be a whole number from 1 on, got 0; use 1000"):
        made.sample(2, steps=0)
    with pytest.raises(UsageError, match="draws must be a whole number from 1 on, got 0; use 10"):
        made.bound(states(3), 0)
