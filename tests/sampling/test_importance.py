"""Annealed importance sampling against enumeration."""

import math

import pytest
import torch

from nakami import sampling
from nakami.results import NakamiWarning, UsageError
from nakami.sampling import annealed_importance_sampling, log_likelihood, states, stationary
from nakami.zoo.rbm import RBM
from small_machines import LOG_PARTITIONS, random_machine


@pytest.mark.parametrize("scale", [1.5, 3.0])
def test_estimate_lies_within_its_errors(scale):
    for seed, steps in ((0, 10), (1, 100)):
        found = annealed_importance_sampling(
            random_machine(scale), runs=1000, temperatures=steps,
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        wrong = found.value - LOG_PARTITIONS[scale]
        assert abs(wrong) < 3 * found.standard_error
        assert found.lower < LOG_PARTITIONS[scale] + 3 * found.lower_error
        assert found.standard_error < 0.05
        assert math.isnan(found.upper)


def test_errors_are_those_of_repeated_runs():
    machine, found = random_machine(1.5), []
    for seed in range(60):
        g = torch.Generator().manual_seed(seed)
        found.append(annealed_importance_sampling(machine, runs=200, temperatures=10, generator=g))
    z = torch.tensor([(f.value - LOG_PARTITIONS[1.5]) / f.standard_error for f in found])
    assert 0.7 < z.std() < 1.35
    assert z.mean().abs() < 0.5


def test_one_step_is_plain_importance_sampling():
    """With one temperature the weight's moments are sums over states."""
    machine = random_machine(0.7, 4, 3)
    base = torch.tensor([0.5, -1.0, 0.0, 1.0], dtype=torch.float64)
    found = annealed_importance_sampling(machine, runs=40_000, temperatures=1, base=base)
    v = states(4, base)
    log_q = (v @ base) - torch.nn.functional.softplus(base).sum()
    log_w = machine.log_weight(v) - log_q
    q = log_q.exp()
    mean = float(q @ log_w)
    assert abs(found.lower - mean) < 4 * found.lower_error
    relative = (log_w - sampling.log_partition(machine)).exp()
    error = float(((q @ relative.square()) - 1) / 40_000) ** 0.5
    assert found.standard_error == pytest.approx(error, rel=0.1)
    assert found.effective_sample_size == pytest.approx(40_000 / float(q @ relative**2), rel=0.1)


def test_runs_back_bound_from_above():
    machine, g = random_machine(3.0), torch.Generator().manual_seed(4)
    index = torch.multinomial(stationary(machine), 1000, replacement=True, generator=g)
    samples = states(8, machine.weight)[index]
    found = annealed_importance_sampling(
        machine, runs=1000, temperatures=50, samples=samples, generator=g
    )
    assert found.lower + 3 * found.lower_error < LOG_PARTITIONS[3.0]
    assert found.upper - 3 * found.upper_error > LOG_PARTITIONS[3.0]
    tighter = annealed_importance_sampling(
        machine, runs=1000, temperatures=500, samples=samples, generator=g
    )
    assert tighter.upper - tighter.lower < 0.3 * (found.upper - found.lower)


def test_float32_weights_are_summed_in_float64():
    machine = random_machine(1.5)
    single = sampling.Machine(
        machine.weight.float(), machine.visible_bias.float(), machine.hidden_bias.float()
    )
    found = annealed_importance_sampling(single, runs=1000, temperatures=300)
    assert found.log_weights.dtype == torch.float64
    assert abs(found.value - LOG_PARTITIONS[1.5]) < 3 * found.standard_error


def test_the_base_at_the_machine_itself_needs_no_runs():
    """Without couplings every run has the exact weight."""
    a, b = torch.tensor([0.3, -2.0, 1.0]), torch.tensor([0.4, 0.1])
    machine = sampling.Machine(torch.zeros(2, 3), a, b)
    found = annealed_importance_sampling(machine, runs=5, temperatures=7, base=a)
    wanted = float(torch.nn.functional.softplus(torch.cat([a, b]).double()).sum())
    assert found.value == pytest.approx(wanted, abs=1e-5)
    assert found.standard_error < 1e-6
    assert found.effective_sample_size == pytest.approx(5)


def test_temperatures_may_be_given_and_batches_do_not_matter():
    machine = random_machine(1.5)
    betas = torch.tensor([0.0, 0.1, 0.3, 0.6, 1.0])
    found = annealed_importance_sampling(machine, runs=900, temperatures=betas, batch=100)
    assert abs(found.value - LOG_PARTITIONS[1.5]) < 3.5 * found.standard_error
    assert found.runs == 900


def test_measuring_leaves_no_trace():
    rbm, before = RBM(6, 3), torch.get_rng_state()
    weights = {name: p.clone() for name, p in rbm.state_dict().items()}
    data = torch.tensor([[0.0, 1] * 3, [1.0, 1] * 3])
    first, second = (log_likelihood(rbm, data, runs=20, temperatures=5) for _ in range(2))
    assert first.value == second.value
    assert torch.equal(before, torch.get_rng_state())
    for name, p in rbm.named_parameters():
        assert torch.equal(p, weights[name])
        assert p.requires_grad
        assert p.grad is None
    assert rbm.training


def test_few_effective_runs_are_said():
    with pytest.warns(NakamiWarning, match=r"only .* of 20 runs carry the estimate of log Z; take"):
        found = annealed_importance_sampling(random_machine(3.0), runs=20, temperatures=2)
    assert not found.converged
    with pytest.warns(NakamiWarning) as given:
        log_likelihood(random_machine(3.0), torch.ones(2, 8), runs=20, temperatures=2)
    assert given[0].filename == __file__


def test_log_likelihood_is_that_of_enumeration():
    rbm = RBM(8, 5, dtype=torch.float64)  # its parameters require gradients
    machine = random_machine(1.5)
    with torch.no_grad():
        rbm.weight.copy_(machine.weight)
        rbm.visible_bias.copy_(machine.visible_bias)
        rbm.hidden_bias.copy_(machine.hidden_bias)
    data = states(8, machine.weight)[[3, 100, 100, 255]]
    wanted = float(stationary(rbm).log()[[3, 100, 100, 255]].mean())
    exact = log_likelihood(rbm, data, log_partition=sampling.log_partition(rbm))
    assert exact.value == pytest.approx(wanted, rel=1e-12)
    assert exact.standard_error == 0
    g = torch.Generator().manual_seed(1)
    found = log_likelihood(rbm, data, runs=500, temperatures=100, generator=g)
    assert abs(found.value - wanted) < 3 * found.standard_error
    again = log_likelihood(rbm, data, log_partition=found.log_partition, batch=3)
    assert again.value == pytest.approx(found.value, rel=1e-14)
    assert found.examples.shape == (4,)
    assert not found.examples.requires_grad
    assert found.spread == pytest.approx(float(found.examples.std()) / 2)


MACHINE = random_machine(0.7)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: annealed_importance_sampling(MACHINE, temperatures=torch.tensor([0, 0.5, 0.4])),
            r"temperatures must rise from 0 to 1, got 0, 0\.5, 0\.4, \.\.\.; pass torch\.linspace",
        ),
        (
            lambda: annealed_importance_sampling(MACHINE, temperatures=0),
            r"temperatures must be a whole number from 1 on, got 0",
        ),
        (
            lambda: annealed_importance_sampling(MACHINE, runs=1),
            r"runs must be a whole number from 2 on, got 1",
        ),
        (
            lambda: annealed_importance_sampling(MACHINE, base=torch.zeros(3)),
            r"base must be finite, of shape \(8,\), got \(3,\)",
        ),
        (
            lambda: annealed_importance_sampling(MACHINE, samples=torch.rand(3, 8)),
            r"samples must be zeros and ones, got 0\.",
        ),
        (
            lambda: log_likelihood(MACHINE, torch.full((3, 8), 0.5)),
            r"data must be zeros and ones, got 0\.5 to 0\.5; pass \(data > 0\.5\)\.float\(\)",
        ),
        (lambda: log_likelihood(MACHINE, torch.ones(3, 7)), r"data must have shape \(N, 8\)"),
        (
            lambda: log_likelihood(MACHINE, torch.ones(3, 8), log_partition=math.nan),
            r"log_partition must be a finite number, got nan",
        ),
    ],
)
def test_wrong_use_is_one_sentence(call, match):
    with pytest.raises(UsageError, match=match):
        call()
