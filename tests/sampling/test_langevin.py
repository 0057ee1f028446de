"""Langevin pairs against closed forms, the discrete Lyapunov equation and steps written by hand."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov

from nakami.results import UsageError
from nakami.sampling import UnadjustedLangevin, autocorrelation_time

CURVATURE = 2.0
DOUBLE = torch.float64
PRECISION = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 1.5]])


def gaussian(gamma, step, chains, seed=0):
    """Pairs in one dimension, at rest in their own law."""
    g = torch.Generator().manual_seed(seed)
    variance = 1 / CURVATURE / (1 - step * CURVATURE * (1 + gamma**2) / 2)
    start = variance**0.5 * torch.randn(chains, 2, generator=g, dtype=DOUBLE)
    run = UnadjustedLangevin(
        gradient=lambda x: CURVATURE * x, start=start[:, :, None], step=step, gamma=gamma,
        generator=g,
    )  # fmt: skip
    return run, variance, 2 / (step * CURVATURE * (1 + gamma**2)) - 1


def square_time(gamma, step, both):
    """Of ``x^2``, alone or its mean over the pair: correlations of Gaussians are squared."""
    t = np.arange(20_000)
    turning = (1 - step * CURVATURE + 1j * step * CURVATURE * gamma) ** t
    rho = np.abs(turning) ** 2 if both else turning.real**2
    return 2 * rho.sum() - 1


def covariance(precision, gamma, step, sign=-1.0):
    """Stationary covariance of both replicas; ``sign=1`` is a coupling that is not circular."""
    n = len(precision)
    drift = np.block([[-precision, gamma * precision], [sign * gamma * precision, -precision]])
    return solve_discrete_lyapunov(np.eye(2 * n) + step * drift, 2 * step * np.eye(2 * n))


@pytest.mark.parametrize(("gamma", "step"), [(0.0, 0.1), (1.0, 0.05), (-1.0, 0.1), (2.0, 0.1)])
def test_gaussian_law_and_time_are_the_closed_forms(gamma, step):
    run, variance, tau = gaussian(gamma, step, 1000)
    x = run.record(lambda x: x[:, :, 0], 300)
    squares = x.square().mean((0, 2))
    assert abs(squares.mean() - variance) < 4 * squares.std() / 1000**0.5
    found = autocorrelation_time(x[:, :, 0])
    assert abs(found.value - tau) < 4 * found.standard_error + 0.02 * tau  # bias of the window
    assert found.standard_error < 0.05 * tau
    wanted = covariance(np.array([[CURVATURE]]), gamma, step)
    np.testing.assert_allclose(wanted, variance * np.eye(2), rtol=1e-12, atol=1e-13)


def test_at_equal_bias_means_gain_nothing_and_squares_lose():
    times = []
    for gamma, step in ((0.0, 0.1), (1.0, 0.05)):
        run, variance, tau = gaussian(gamma, step, 800)
        assert (round(variance, 4), round(tau, 12)) == (0.5556, 9)
        x = run.record(lambda x: x[:, :, 0], 400)
        for both, squares in ((False, x[:, :, 0] ** 2), (True, x.square().mean(2))):
            found, exact = autocorrelation_time(squares), square_time(gamma, step, both)
            assert abs(found.value - exact) < 4 * found.standard_error + 0.02 * exact
            times.append(exact)
    assert times == pytest.approx([4.556, 4.556, 7.318, 10.111], abs=1e-3)


def test_covariance_solves_the_lyapunov_equation_and_no_symmetric_one():
    gamma, step, g = 0.5, 0.15, torch.Generator().manual_seed(1)
    q = torch.tensor(PRECISION)
    run = UnadjustedLangevin(
        lambda x: 0.5 * (x @ q * x).sum(1), start=torch.zeros(2000, 2, 3, dtype=DOUBLE),
        step=step, gamma=gamma, generator=g,
    )  # fmt: skip
    run.sweep(60)
    z = run.record(lambda x: x.flatten(1), 100)
    each = torch.einsum("tci,tcj->cij", z, z) / len(z)
    found, error = each.mean(0).numpy(), (each.std(0) / 2000**0.5).numpy()
    wanted = covariance(PRECISION, gamma, step)
    assert (np.abs(found - wanted) < 4.5 * error).all()
    assert error.max() < 0.02
    other = covariance(PRECISION, gamma, step, sign=1.0)
    assert (np.abs(found - other) > 10 * error).any()  # the check can fail


@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_a_sweep_is_the_step_of_the_paper(gamma):
    start = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(2), dtype=DOUBLE)
    run = UnadjustedLangevin(lambda x: (x**4).sum(1) / 4, start=start, step=0.01, gamma=gamma)
    x, y = start.unbind(1)
    g = torch.Generator().manual_seed(0)
    for _ in range(3):
        noise = 0.02**0.5 * torch.randn(3, 2, 4, generator=g, dtype=DOUBLE)
        x, y = (
            x + 0.01 * (-(x**3) + gamma * y**3) + noise[:, 0],
            y + 0.01 * (-(y**3) - gamma * x**3) + noise[:, 1],
        )
    torch.testing.assert_close(run.sweep(3), torch.stack([x, y], 1), rtol=1e-12, atol=1e-14)


def test_law_of_an_energy_that_is_not_quadratic():
    """``U = x^4 / 4``: the mean of ``x^2`` is ``2 Gamma(3/4) / Gamma(1/4)``."""
    exact = 2 * 1.2254167024651776 / 3.6256099082219083
    run = UnadjustedLangevin(
        gradient=lambda x: x**3, start=torch.randn(4000, 2, 1) / 1.2, step=0.01, gamma=1.0
    )
    squares = run.record(lambda x: x.square().mean((1, 2)), 400)[100:].mean(0)
    error = squares.std() / 4000**0.5
    assert abs(squares.mean() - exact) < 4 * error + 0.02 * exact  # bias of the step
    assert error < 0.01


def test_parameters_and_random_numbers_of_the_caller_are_not_touched():
    model, before = torch.nn.Linear(3, 1), torch.get_rng_state()
    run, again = (
        UnadjustedLangevin(lambda x: model(x.sin()).square()[:, 0], start=start, step=0.1, gamma=1)
        for start in (torch.ones(2, 2, 3), torch.zeros(2, 2, 3))
    )
    again.load_state_dict(run.state_dict())
    assert torch.equal(run.sweep(5), again.sweep(5))
    assert not run.states.requires_grad
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(before, torch.get_rng_state())


START = torch.ones(3, 2, 4)


def made(energy=lambda x: x.square().sum(1), start=START, step=0.1, **options):
    return UnadjustedLangevin(energy, start=start, step=step, **options)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: made(step=0), r"step must be a finite number above 0, got 0; pass step=0\.01"),
        (lambda: made(step=float("inf")), r"step must be a finite number above 0, got inf"),
        (lambda: made(gamma=float("nan")), r"gamma must be a finite number, got nan; pass gamma=0"),
        (lambda: made(None), r"energy must be given, or gradient in its place, got neither"),
        (lambda: made(gradient=torch.sin), r"energy must be given, .* got both; pass one of the"),
        (lambda: made("x"), r"energy must be a function, called as energy\(x\), got 'x'"),
        (lambda: made(start=[0.0]), r"start must be a tensor, got list; pass torch\.randn\(100"),
        (lambda: made(start=torch.ones(3, 4)), r"start must have shape \(chains, 2, units\), got "),
        (lambda: made(start=START.int()), r"start must be floating, got torch\.int32"),
        (lambda: made(start=START / 0), r"start must be finite, got NaN or infinite values"),
        (
            lambda: made(lambda x: x.log().sum(1), start=0 * START),
            r"start must have a finite gradient of the energy, got NaN or infinite values there",
        ),
        (
            lambda: made(lambda x: x.square().sum()),
            r"energy must give one number a state, shape \(6,\), got \(\); sum over the units",
        ),
        (
            lambda: made(lambda x: x.detach().sum(1)),
            r"energy must be differentiable by its states, got a value that autograd cannot",
        ),
        (
            lambda: made(None, gradient=lambda x: x.sum(1)),
            r"gradient must give the shape of its states, \(6, 4\), got \(6,\)",
        ),
        (
            lambda: made(step=1.5, gamma=1).sweep(500),
            r"step must be below 2 .*, got states that overflow .*; pass step=0\.38 or begin where",
        ),
        (lambda: made().sweep(0), r"count must be a whole number from 1 on, got 0"),
    ],
)
def test_wrong_use_is_one_sentence(call, match):
    with pytest.raises(UsageError, match=match):
        call()
