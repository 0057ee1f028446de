"""Learning of a deep Boltzmann machine: the exact gradient, and a toy whose optimum is known."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from nakami import sampling
from nakami.results import UsageError
from nakami.training import ContrastiveDivergence, MeanFieldLearning, fit
from nakami.zoo.dbm import DBM, doublings
from nakami.zoo.rbm import RBM


def states_of(*sizes):
    bits = itertools.product((0.0, 1.0), repeat=sum(sizes))
    return torch.tensor(list(bits), dtype=torch.float64).split(sizes, dim=1)


def log_likelihood(made, v):
    """Exact, mean over the rows: sums over the second hidden layer, of the first in closed form."""
    joined = sampling.Machine(made.weight, made.visible_bias, made.hidden_bias)
    tops = states_of(made.sizes[2])[0]
    each = [joined.log_weight(torch.cat([x.expand(len(tops), -1), tops], 1)) for x in v]
    return float(torch.stack(each).logsumexp(1).mean()) - sampling.log_partition(made)


def test_the_expected_step_is_the_gradient_of_the_bound():
    made = DBM((4, 3, 2), dtype=torch.float64)
    gen = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(0, 0.7, generator=gen)
    v = (torch.rand(6, 4, generator=gen) < 0.5).double()
    log_z = torch.logsumexp(-made.energy(states_of(4, 3, 2)), 0)
    (log_z - made.bound(v, 200).mean()).backward()
    wanted = [p.grad.clone() for p in made.parameters()]
    chains = sampling.Persistent(20_000, k=5)
    optimizer = torch.optim.SGD(made.parameters(), 0.0)
    method = MeanFieldLearning(made, optimizer, sweeps=200, sampler=chains, generator=gen)

    def descend(loss, optimizer):
        optimizer.zero_grad()
        loss.backward()

    for _ in range(3):
        method.step((v,), descend)
    for p, exact in zip(made.parameters(), wanted, strict=True):
        assert_close(p.grad, exact, rtol=0, atol=4 * 0.5 / 20_000**0.5)


def bars():
    """The 14 patterns of bars or stripes on 3 x 3."""
    rows = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)
    stripes = rows[:, :, None].expand(-1, 3, 3).flatten(1)
    columns = rows[:, None].expand(-1, 3, 3).flatten(1)
    return torch.unique(torch.cat([stripes, columns]), dim=0)


def test_bars_and_stripes_are_learned():
    v, updates = bars(), 1500
    made = DBM((9, 8, 4), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    optimizer = torch.optim.SGD(made.parameters(), 0.3)
    method = MeanFieldLearning(made, optimizer, sampler=sampling.Persistent(100, k=2))
    method.start((v,), torch.Generator().manual_seed(0))

    def descend(loss, optimizer):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for step in range(updates):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / updates)
        method.step((v,), descend)
    with torch.no_grad():
        assert -2.64 > log_likelihood(made, v) > -3.6  # entropy 2.64; independent units -6.24


def pretrained(v, factors):
    gen = torch.Generator().manual_seed(0)
    rbms = [RBM(n, m, generator=gen, dtype=torch.float64) for n, m in ((9, 8), (8, 4))]
    for rbm, pair in zip(rbms, factors, strict=True):
        method = ContrastiveDivergence(rbm, rate=0.3, decay=0.0, factors=pair)
        method.start((v,), gen)
        for step in range(1000):
            method.rate = 0.3 * (1 - step / 1000)
            method.step((v,))
        with torch.no_grad():
            v = rbm(pair[0] * v)
    return DBM.from_rbms(rbms)


@torch.no_grad()
def test_doubled_inputs_start_near_the_data_and_single_ones_do_not():
    v = bars()
    assert log_likelihood(pretrained(v, doublings(2)), v) > -4.4
    assert log_likelihood(pretrained(v, [(1, 1), (1, 1)]), v) < -5.5  # independent units: -6.24


def test_what_was_learned_before_stays_at_the_start():
    made = DBM((9, 6, 4))
    with torch.no_grad():
        made.biases[0].fill_(0.5)
    method = MeanFieldLearning(made, torch.optim.SGD(made.parameters(), 0.1))
    method.start((bars().float(),), torch.Generator())
    assert (made.biases[0] == 0.5).all()


def test_a_training_repeats_to_the_bit():
    losses = []
    for _ in range(2):
        made = DBM((9, 6, 4), dtype=torch.float64)
        method = MeanFieldLearning(made, torch.optim.SGD(made.parameters(), 0.05))
        losses.append(fit(method, (bars(),), epochs=3, batch=7))
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.ones(5, 8), r"data must have shape \(N, 9\), got \(5, 8\); pass data.flatten"),
        (2 * torch.ones(5, 9), "data must lie in 0..1, got 2 to 2; pass data / 255"),
    ],
)
def test_wrong_data(data, message):
    made = DBM((9, 4, 3))
    with pytest.raises(UsageError, match=message):
        fit(MeanFieldLearning(made, torch.optim.SGD(made.parameters(), 0.1)), (data,), epochs=1)
