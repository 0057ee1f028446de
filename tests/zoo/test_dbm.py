"""The deep Boltzmann machine against enumeration of all its states."""

import itertools

import pytest
import torch
from torch.testing import assert_close

import nakami
from nakami import sampling
from nakami.results import UsageError
from nakami.training import Supervised, fit
from nakami.zoo.dbm import DBM, doublings
from nakami.zoo.rbm import RBM


def machine(*sizes, scale=0.8, seed=0):
    gen = torch.Generator().manual_seed(seed)
    made = DBM(sizes, dtype=torch.float64)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(0, scale, generator=gen)
    return made


def every_state(*sizes):
    bits = itertools.product((0.0, 1.0), repeat=sum(sizes))
    return torch.tensor(list(bits), dtype=torch.float64).split(sizes, dim=1)


def by_loops(made, states):
    """The energy, unit by unit."""
    biases, weights = ([p.detach() for p in some] for some in (made.biases, made.weights))
    total = 0.0
    for layer, bias in enumerate(biases):
        total -= sum(float(b) * float(x) for b, x in zip(bias, states[layer], strict=True))
    for layer, w in enumerate(weights):
        for i, j in itertools.product(range(w.shape[0]), range(w.shape[1])):
            total -= float(states[layer + 1][i] * w[i, j] * states[layer][j])
    return total


@pytest.mark.parametrize("sizes", [(3, 2, 2), (3, 2, 2, 2), (2, 2, 1, 2, 1)])
def test_its_two_sides_are_a_restricted_machine_of_the_same_law(sizes):
    made = machine(*sizes)
    states = every_state(*sizes)
    energy = made.energy(states)
    assert_close(float(energy[37].detach()), by_loops(made, [x[37] for x in states]))
    assert_close(sampling.log_partition(made), float(torch.logsumexp(-energy, 0).detach()))
    even, odd = (torch.cat(states[first::2], 1) for first in (0, 1))
    joined = -(
        even @ made.visible_bias + odd @ made.hidden_bias + ((even @ made.weight.T) * odd).sum(1)
    )
    assert_close(joined, energy)
    for layer, back in zip(states, made.layers_of(even, odd), strict=True):
        assert torch.equal(layer, back)


@pytest.mark.parametrize("sizes", [(4, 3, 2), (4, 2, 2, 2)])
def test_the_bound_rises_with_the_sweeps_and_stays_below_the_likelihood(sizes):
    made = machine(*sizes)
    states = every_state(*sizes)
    log_z = torch.logsumexp(-made.energy(states), 0)
    v = every_state(sizes[0])[0]
    same = (states[0][None] == v[:, None]).all(2)
    exact = torch.stack([torch.logsumexp(-made.energy(states)[rows], 0) for rows in same]) - log_z
    bounds = torch.stack([made.bound(v, sweeps) - log_z for sweeps in (1, 2, 3, 5, 50)])
    assert (bounds.diff(dim=0) >= -1e-12).all()
    assert (bounds[-1] <= exact).all()
    assert (exact - bounds[-1]).max() < 0.5
    assert (exact - bounds[0]).max() > (exact - bounds[-1]).max()


def test_a_machine_without_couplings_above_is_exact():
    made = machine(4, 3, 2)
    with torch.no_grad():
        made.weights[1].zero_()
    v = every_state(4)[0]
    states = every_state(4, 3, 2)
    same = (states[0][None] == v[:, None]).all(2)
    exact = torch.stack([torch.logsumexp(-made.energy(states)[rows], 0) for rows in same])
    assert_close(made.bound(v, 1), exact)


def test_annealing_finds_its_partition_function():
    made = machine(6, 4, 3, scale=1.0)
    found = sampling.annealed_importance_sampling(made, runs=200, temperatures=500)
    assert abs(found.value - sampling.log_partition(made)) < 4 * found.standard_error


@pytest.mark.parametrize("sizes", [(6, 4, 3), (6, 3, 3, 2)])
def test_the_bound_on_data_lies_below_their_likelihood_by_enumeration(sizes):
    made, data = machine(*sizes, scale=0.6), every_state(6)[0][3:40:3]
    states = every_state(*sizes)
    energy = -made.energy(states).detach()
    same = (states[0][None] == data[:, None]).all(2)
    exact = torch.stack([torch.logsumexp(energy[rows], 0) for rows in same])
    exact = exact - torch.logsumexp(energy, 0)
    known = sampling.likelihood_bound(made, data, log_partition=sampling.log_partition(made))
    assert (known.examples <= exact).all()
    assert known.value > exact.mean() - 0.2
    assert known.standard_error == 0
    found = sampling.likelihood_bound(made, data, runs=200, temperatures=300, batch=5)
    assert 0 < found.standard_error < 0.05
    assert abs(found.value - known.value) < 4 * found.standard_error
    with pytest.raises(UsageError, match=r"data must have shape \(N, 6\), N at least 1, got"):
        sampling.likelihood_bound(made, data[:, :5])


def rbms(*sizes):
    gen = torch.Generator().manual_seed(3)
    made = [RBM(n, m, dtype=torch.float64) for n, m in itertools.pairwise(sizes)]
    for p in (p for rbm in made for p in rbm.parameters()):
        p.data.normal_(0, 0.8, generator=gen)
    return made


@pytest.mark.parametrize("sizes", [(4, 3, 2), (4, 3, 3, 2)])
def test_it_is_composed_so_that_log_odds_of_both_sides_are_averaged(sizes):
    learned, factors = rbms(*sizes), doublings(len(sizes) - 1)
    made, top = DBM.from_rbms(learned), len(sizes) - 1
    x = [x[5:9] for x in every_state(*sizes)]
    for layer in range(len(sizes)):
        sides = []  # what each pre-trained machine says of this layer
        if layer > 0:
            sides.append(torch.logit(learned[layer - 1](factors[layer - 1][0] * x[layer - 1])))
        if layer < top:
            sides.append(torch.logit(learned[layer].visible(factors[layer][1] * x[layer + 1])))
        around = [x[layer - 1] if layer else None, x[layer + 1] if layer < top else None]
        assert_close(made.logit(layer, *around), torch.stack(sides).mean(0))


@pytest.mark.parametrize("sizes", [(5, 4, 3), (5, 4, 3, 2)])
def test_its_classifier_starts_at_the_mean_field(sizes):
    made, seen = machine(*sizes, scale=0.4), []
    made.sweeps = 200
    v, net = every_state(5)[0].reshape(-1, 1, 5), made.classifier(3)
    for i in range(1, len(sizes)):
        net.get_submodule(f"hidden{i}").register_forward_hook(lambda *a: seen.append(a[2]))
    assert net(v).shape == (32, 3)
    for found, wanted in zip(seen, made.mean_field(v.flatten(1)), strict=True):
        assert_close(found, wanted)  # a sweep more changes nothing


def test_its_classifier_learns_without_the_machine():
    made, gen = machine(6, 5, 4), torch.Generator().manual_seed(0)
    net, x = made.classifier(2), (torch.rand(40, 6, generator=gen) < 0.5).double()
    y = x[:, 0].long()
    held = [p.clone() for p in net.machine.parameters()]
    learns = [p for p in net.parameters() if p.requires_grad]
    assert len(learns) == 6
    method = Supervised(net, torch.optim.SGD(learns, 1.0))
    losses = fit(method, (x, y), epochs=40, batch=10)
    assert losses[-1] < 0.3 < losses[0]
    for p, q in zip(held, net.machine.parameters(), strict=True):
        assert torch.equal(p, q)


def test_the_jacobian_of_its_mean_field_is_read():
    made = machine(5, 4, 3)
    x = torch.rand(1, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    op = nakami.jacobian(made, x)
    assert_close(op.dense(), torch.autograd.functional.jacobian(made, x).reshape(3, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": (4, 3)}, r"sizes must name three layers or more, got \(4, 3\); for example"),
        ({"sizes": (4, 3, 0)}, "sizes must be a whole number from 1 on, got 0"),
        ({"sizes": (4, 3, 2), "sweeps": 0}, "sweeps must be a whole number from 1 on, got 0"),
    ],
)
def test_wrong_use(options, message):
    with pytest.raises(UsageError, match=message):
        DBM(**options)


@pytest.mark.parametrize("sizes", [(4, 3), (5, 4, 3)])
def test_machines_that_do_not_meet_are_not_composed(sizes):
    learned = rbms(*sizes)[::-1]
    with pytest.raises(UsageError, match="rbms must be two binary machines or more, each as wide"):
        DBM.from_rbms(learned)
