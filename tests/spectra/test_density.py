"""Densities of eigenvalues against all eigenvalues."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from nakami.results import RunError, UsageError
from nakami.spectra import density

N = 400
RAMP = torch.arange(N, dtype=torch.float64)
SPECTRA = {
    "flat": torch.ones(N, dtype=torch.float64),
    "linear": torch.linspace(0, 1, N).double(),
    "clustered": torch.cat([torch.full((150,), 5.0), torch.linspace(-1, 1, N - 150)]).double(),
    "steep": 1 / (1 + RAMP),
    "rank-deficient": (3 - RAMP / 20).clamp_min(0) * (RAMP < 30),
    "zero": torch.zeros(N, dtype=torch.float64),
}


def symmetric(spectrum, dtype=torch.float64):
    gen = torch.Generator().manual_seed(0)
    n = len(spectrum)
    q = torch.linalg.qr(torch.randn(n, n, generator=gen, dtype=torch.float64))[0]
    return ((q * spectrum) @ q.T).to(dtype)


def curves(spectrum, points, width):
    """Smoothed density and cumulative share, written another way."""
    normal = torch.distributions.Normal(spectrum, width)
    at = points[:, None]
    return normal.log_prob(at).exp().mean(1), normal.cdf(at).mean(1)


@pytest.mark.parametrize("name", SPECTRA)
def test_all_eigenvalues_where_the_matrix_is_small(name):
    result = density(symmetric(SPECTRA[name]), steps=32)
    assert result.exact
    assert result.n_probes == 0
    true, share = curves(SPECTRA[name], result.points, result.width)
    assert_close(result.density, true, rtol=1e-6, atol=1e-8)
    assert_close(result.cumulative, share, rtol=1e-6, atol=1e-8)
    assert float(result.density_se.max()) == 0
    assert float(torch.trapezoid(result.density, result.points)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", SPECTRA)
def test_standard_errors_are_calibrated(name, dtype):
    a, inside = symmetric(SPECTRA[name], dtype), []
    low, high = float(SPECTRA[name].min()), float(SPECTRA[name].max())
    width = (high - low or 1) / 32
    points = torch.linspace(low - width, high + width, 9, dtype=torch.float64)
    true, share = curves(SPECTRA[name], points, width)
    for seed in range(12):
        found = density(a, points, width=width, steps=40, method="lanczos", seed=seed)
        slack = 1e-5 if dtype == torch.float32 else 1e-9
        inside += [
            (found.density - true).abs() <= 2 * found.density_se + slack * float(true.max()),
            (found.cumulative - share).abs() <= 2 * found.cumulative_se + slack,
        ]
    # 16 probes are 0.94 of a t distribution; points are correlated, and a lone eigenvalue's
    # weight is skewed
    assert float(torch.stack(inside).double().mean()) >= 0.82


def test_the_calibration_can_fail():
    a = symmetric(SPECTRA["linear"])
    points = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
    true, _ = curves(SPECTRA["linear"] * 0.8, points, 0.03)
    found = density(a, points, width=0.03, method="lanczos")
    assert float(((found.density - true).abs() <= 2 * found.density_se).double().mean()) < 0.5


def test_nodes_and_weights():
    a = symmetric(SPECTRA["clustered"])
    result = density(a, steps=20, probes=6, method="lanczos")
    assert result.nodes.shape == result.weights.shape == (6, 20)
    assert float(result.weights.sum()) == pytest.approx(1, abs=1e-12)
    assert float(result.weights.min()) >= 0
    assert result.n_products == 6 * 20 + 2  # and one random pair to see that it is symmetric
    # a probe's first two moments are z^T A z and z^T A^2 z: their means estimate the traces
    result = density(a, steps=20, probes=60, method="lanczos")
    for power in (1, 2):
        mean = (60 * result.weights * result.nodes**power).sum(1)
        true = float(SPECTRA["clustered"].pow(power).mean())
        assert abs(float(mean.mean()) - true) <= 3 * float(mean.std()) / 60**0.5


def test_by_decade_counts_every_positive_eigenvalue():
    spectrum = SPECTRA["steep"]
    points = torch.logspace(-4, 1, 400, dtype=torch.float64)
    found, error = density(symmetric(spectrum), method="dense").per_decade(points, 0.05)
    normal = torch.distributions.Normal(spectrum.log10(), 0.05)
    wanted = normal.log_prob(points.log10()[:, None]).exp().mean(1)
    assert_close(found, wanted, rtol=1e-8, atol=1e-12)
    assert not error.any()
    total = float(torch.trapezoid(found, points.log10()))
    assert total == pytest.approx(1, abs=1e-3)
    half = density(symmetric(SPECTRA["rank-deficient"]), method="dense").per_decade(points)[0]
    assert float(torch.trapezoid(half, points.log10())) < 0.1  # 30 of 400, zeros left out
    rough, error = density(symmetric(spectrum), steps=60, probes=20).per_decade(points, 0.2)
    exact = density(symmetric(spectrum), method="dense").per_decade(points, 0.2)[0]
    wide = points > 3e-3
    assert bool(((rough - exact).abs() < 5 * error + 0.02)[wide].all())
    with pytest.raises(UsageError, match="points must lie above 0, got 0"):
        density(symmetric(spectrum)).per_decade([0.0, 1.0])
    with pytest.raises(UsageError, match="width must be positive and finite"):
        density(symmetric(spectrum)).per_decade([1.0], 0)


def test_an_exhausted_run_keeps_its_weights():
    # Rank 3: after 4 steps nothing new comes, and the rest must weigh nothing.
    entries = torch.zeros(100).double()
    entries[:3] = torch.tensor([3.0, 2.0, 1.0])
    result = density(symmetric(entries), steps=30, probes=4, method="lanczos")
    heavy = result.nodes[result.weights > 1e-12]
    distance = (heavy[:, None] - torch.tensor([0.0, 1.0, 2.0, 3.0])).abs().amin(1)
    assert float(distance.max()) < 1e-8
    assert float(result.weights.sum()) == pytest.approx(1, abs=1e-12)


def test_a_small_budget_runs_the_same_probes_in_parts():
    a = symmetric(SPECTRA["linear"])
    options = {"steps": 10, "probes": 5, "method": "lanczos"}
    whole, parts = density(a, **options), density(a, memory_budget=2 * 14 * N * 8, **options)
    assert_close(whole.nodes, parts.nodes, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match=r"memory_budget must hold 10 vectors of 400 components"):
        density(a, memory_budget=100, **options)


def test_same_seed_same_bits_and_no_trace_in_the_global_generator():
    a, state = symmetric(SPECTRA["steep"]), torch.get_rng_state()
    first, second = (density(a, method="lanczos", seed=2) for _ in range(2))
    assert torch.equal(first.density, second.density)
    assert torch.equal(state, torch.get_rng_state())


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10**6), st.sampled_from(["dense", "lanczos"]))
def test_properties_of_random_matrices(n, seed, method):
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    a = a + a.T
    result = density(a, method=method, probes=3)
    every = torch.linalg.eigvalsh(a)
    assert float(result.weights.sum()) == pytest.approx(1)
    assert float(every[0]) - 1e-9 <= float(result.nodes.min())
    assert float(result.nodes.max()) <= float(every[-1]) + 1e-9
    assert (result.cumulative.diff() >= -1e-12).all()
    assert_close(density(a + 2 * torch.eye(n), method=method, probes=3).nodes, result.nodes + 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, r"steps must be a whole number from 1 on, got 0; use 64"),
        ({"probes": 1}, r"probes must be a whole number from 2 on, got 1; use 16; one probe has"),
        ({"width": 0}, r"width must be positive and finite, got 0; leave it out"),
        (
            {"points": [[1.0]]},
            r"points must be a finite list of numbers, got shape \(1, 1\); leave",
        ),
        ({"method": "slq"}, r"method must be one of auto, dense, lanczos, got 'slq'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        density(torch.eye(4), **arguments)


def test_wrong_operators():
    with pytest.raises(ValueError, match=r"op must be symmetric, got <u, A v> ="):
        density(torch.ones(50, 50).triu())
    with pytest.raises(RunError, match="not finite"):
        density(torch.full((3, 3), torch.nan))


def test_a_run_that_has_ended_adds_no_node_outside_the_spectrum():
    # Two eigenvalues: after two steps nothing is left, and zeros would stretch grid and width.
    a = torch.diag(torch.tensor([100.0] * 10 + [101.0] * 10, dtype=torch.float64))
    found = density(a, method="lanczos", steps=10, probes=4)
    assert found.width == pytest.approx((101 - 100) / 10)
    assert float(found.points.min()) > 99
    assert bool((found.nodes > 99.9).all())
    assert bool((found.nodes < 101.1).all())
    mean = float((found.weights * found.nodes).sum())
    assert mean == pytest.approx(float(a.diagonal().mean()), abs=0.2)
