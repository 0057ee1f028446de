"""Diagnostics against processes whose autocorrelation time is known in closed form."""

import pytest
import torch

from nakami import sampling
from nakami.results import UsageError
from nakami.sampling import autocorrelation_time, effective_sample_size, split_rhat
from small_machines import random_machine


def autoregressive(rho, steps, chains, seed=0):
    """``x_t = rho x_(t-1) + sqrt(1 - rho^2) noise``, at rest: ``tau = (1 + rho) / (1 - rho)``."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(steps, chains, generator=g, dtype=torch.float64)
    x = noise.clone()
    for t in range(1, steps):
        x[t] = rho * x[t - 1] + (1 - rho**2) ** 0.5 * noise[t]
    return x


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.9])
@pytest.mark.parametrize("method", ["sokal", "geyer"])
def test_time_of_an_autoregression_lies_within_its_error(rho, method):
    x, tau = autoregressive(rho, 4000, 20), (1 + rho) / (1 - rho)
    found = autocorrelation_time(x, method)
    assert abs(found.value - tau) < 4 * found.standard_error + 0.02 * tau  # bias of the window
    assert found.standard_error < 0.1 * tau
    assert found.converged
    assert effective_sample_size(x) == pytest.approx(80_000 / tau, rel=0.15)


def test_error_is_that_of_repeated_runs():
    x = autoregressive(0.8, 2000, 200)
    found = autocorrelation_time(x.T.reshape(200, 2000).T.unsqueeze(1))  # one chain each
    assert found.value.shape == (200,)
    assert float(found.value.std()) == pytest.approx(float(found.standard_error.mean()), rel=0.35)


def test_many_statistics_are_their_parts():
    x = autoregressive(0.5, 500, 6)
    both = torch.stack([x, x.square()], 2)
    for measure in (
        lambda y: autocorrelation_time(y).value,
        lambda y: autocorrelation_time(y, "geyer").value,
        split_rhat, effective_sample_size,
    ):  # fmt: skip
        torch.testing.assert_close(measure(both)[1], measure(x.square()))


@pytest.mark.parametrize("kernel", [sampling.BlockGibbs(), sampling.CollapsedSuwaTodo(2)])
def test_measured_time_of_a_sampler_is_that_of_its_matrix(kernel):
    machine, g = random_machine(1.0, 4, 3, seed=5), torch.Generator().manual_seed(0)
    law = sampling.stationary(machine)
    v = sampling.states(4, law)[torch.multinomial(law, 50, replacement=True, generator=g)]
    sums = []
    for _ in range(1000):
        v = kernel.sweep(machine, v, g)
        sums.append(v.sum(1))
    found = autocorrelation_time(torch.stack(sums))
    matrix = sampling.transition_matrix(machine, kernel)
    exact = sampling.exact_autocorrelation_time(matrix, law, sampling.states(4, law).sum(1))
    assert abs(found.value - exact) < 4 * found.standard_error + 0.02


def test_chains_that_do_not_meet_show():
    x = autoregressive(0.3, 1000, 4)
    apart = x.clone()
    apart[:, 0] += 2
    wider = x.clone()
    wider[:, 0] *= 4
    for rank in (True, False):
        assert split_rhat(x, rank) < 1.01
        assert split_rhat(apart, rank) > 1.1
    assert split_rhat(wider) > 1.1
    assert split_rhat(wider, rank=False) < 1.02  # equal means: only the folded ranks see it
    assert effective_sample_size(apart) < 30 < 1000 < effective_sample_size(x)
    drift = x + torch.linspace(0, 3, 1000, dtype=x.dtype)[:, None]
    assert split_rhat(drift) > 1.1  # alike between chains, not between halves
    assert not autocorrelation_time(apart[:100]).converged


def test_rank_normalisation_is_for_heavy_tails_and_ties():
    x = autoregressive(0.3, 1000, 4)
    assert split_rhat(x) == pytest.approx(float(split_rhat(x**3)), abs=0.01)
    assert effective_sample_size(x, rank=True) == pytest.approx(
        float(effective_sample_size(x.exp(), rank=True)), rel=1e-12
    )
    bits = (x > 0.5).float()
    assert split_rhat(bits) < 1.01


def test_what_never_changes_has_no_time():
    still = torch.ones(50, 3)
    assert autocorrelation_time(still).value.isnan()
    assert split_rhat(still).isnan()
    assert effective_sample_size(still).isnan()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: split_rhat(torch.ones(3)), r"chains must have at least 4 steps .* got \(3,\)"),
        (lambda: split_rhat(torch.full((9, 2), torch.nan)), r"chains must be finite"),
        (
            lambda: autocorrelation_time(torch.rand(9), "gayer"),
            r"method must be one of sokal, geyer",
        ),
        (lambda: autocorrelation_time(torch.rand(9), window=0), r"window must be positive, got 0"),
    ],
)
def test_wrong_use_is_one_sentence(call, match):
    with pytest.raises(UsageError, match=match):
        call()
