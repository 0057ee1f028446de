"""The deep Boltzmann machine against enumeration of all its states."""

import itertools

import pytest
import torch
from torch.testing import assert_close

import nakami
from nakami import sampling
from nakami.results import UsageError
from nakami.zoo.dbm import DBM


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
