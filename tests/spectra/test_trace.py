"""Traces against known sums: exact ones, and estimates whose standard errors tell the truth."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from nakami.results import NotConvergedWarning, RunError
from nakami.spectra import (
    DEFAULT_BUDGET,
    LinearOperator,
    MatrixOperator,
    Probes,
    budget_beside,
    trace,
)
from nakami.spectra._probes import _margin

N = 1000
RAMP = torch.arange(N, dtype=torch.float64)
SPECTRA = {
    "flat": torch.ones(N, dtype=torch.float64),
    "linear": torch.linspace(0, 1, N).double(),
    "slow": 1 / (1 + RAMP).sqrt(),
    "steep": 1 / (1 + RAMP),
    "indefinite": torch.linspace(-1, 1.5, N).double(),
    "rank-deficient": (RAMP < 20).double(),
    "zero": torch.zeros(N, dtype=torch.float64),
}


class Diagonal(LinearOperator):
    """Known by products alone; probes are Gaussian, so that the axes are as good as any."""

    route = "diagonal"

    def __init__(self, entries):
        self.entries, self.shape = entries, (len(entries),) * 2
        self.dtype, self.device = entries.dtype, entries.device

    def _matmat(self, block):
        return self.entries[:, None] * block

    _rmatmat = _matmat


def coverage(spectrum, runs=100, **options):
    """Share of seeds whose estimate lies within two standard errors of the truth."""
    true = float(spectrum.sum())
    found = [trace(Diagonal(spectrum), method="estimate", seed=s, **options) for s in range(runs)]
    inside = [abs(t.value - true) <= 2 * t.se + 1e-9 * abs(true) for t in found]
    return sum(inside) / runs, found


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("rtol", [0.01, 0.05])
def test_standard_errors_are_calibrated(name, rtol):
    share, found = coverage(SPECTRA[name], rtol=rtol)
    assert share >= 0.88  # 0.95 less three standard errors of a share over 100 runs
    assert all(t.converged and t.se <= rtol * abs(t.value) and t.n_probes >= 32 for t in found)


def test_the_calibration_can_fail(monkeypatch):
    share, _ = coverage(1.02 * SPECTRA["linear"])
    assert share >= 0.88
    found = [trace(Diagonal(SPECTRA["linear"]), method="estimate", seed=s) for s in range(100)]
    off = 1.05 * float(SPECTRA["linear"].sum())
    assert sum(abs(t.value - off) <= 2 * t.se for t in found) < 70


def test_the_estimate_is_not_biased():
    # The mean over seeds is ten times as sharp as one estimate.
    _, found = coverage(SPECTRA["indefinite"], rtol=0.05)
    values = torch.tensor([t.value for t in found], dtype=torch.float64)
    true = float(SPECTRA["indefinite"].sum())
    assert abs(float(values.mean()) - true) <= 3 * float(values.std()) / 10


def test_deflation_pays_where_few_directions_carry_the_trace():
    low = torch.cat([torch.full((10,), 100.0), torch.ones(N - 10)]).double()
    result = trace(Diagonal(low), method="estimate")
    assert result.n_deflated >= 10
    assert result.n_products < 120  # plain probes would need (sd / 0.01)^2, about 1000
    assert trace(Diagonal(SPECTRA["flat"]), method="estimate").n_deflated == 0


def test_exact_where_it_is_cheap():
    a = torch.randn(40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    at_hand = trace(a)
    assert (at_hand.exact, at_hand.se, at_hand.n_products) == (True, 0, 0)
    assert at_hand.value == pytest.approx(float(a.trace()), rel=1e-12)
    small = trace(Diagonal(RAMP[:300]))
    assert (small.exact, small.n_products, small.value) == (True, 300, float(RAMP[:300].sum()))
    large = trace(Diagonal(RAMP), method="exact")
    assert (large.n_products, large.value) == (N, float(RAMP.sum()))
    assert trace(torch.tensor([[-2.0]])).value == -2
    assert not trace(Diagonal(RAMP)).exact


def test_an_estimate_dearer_than_the_diagonal_becomes_exact():
    balanced = torch.linspace(-1, 1, N).double()
    result = trace(Diagonal(balanced))
    assert result.exact
    assert result.value == pytest.approx(0, abs=1e-9)
    assert N < result.n_products <= N + 100
    assert result.reason == "exact: the diagonal from 1,000 products"


def test_too_few_products_say_so_and_keep_the_standard_error():
    # Where two running means agree by chance, a peer stops; here only the standard error counts.
    balanced = torch.linspace(-1, 1, N).double()
    with pytest.warns(NotConvergedWarning, match=r"above rtol 0.01, 64 products spent; raise max"):
        result = trace(Diagonal(balanced), max_products=64)
    assert not result.converged
    assert result.n_products == 64
    assert abs(result.value) < 4 * result.se


def test_not_symmetric_and_half_the_precision():
    gen = torch.Generator().manual_seed(0)
    a = torch.randn(600, 600, generator=gen, dtype=torch.float64) + 20 * torch.eye(600).double()
    result = trace(MatrixOperator(a), method="estimate")
    assert abs(result.value - float(a.trace())) <= 3 * result.se
    single = trace(MatrixOperator(a.float()), method="estimate")
    assert single.value == pytest.approx(result.value, rel=1e-4)


class Rooted(Diagonal):
    """``R^T R`` of a diagonal ``R``."""

    @property
    def root(self):
        return Diagonal(self.entries.sqrt())


@pytest.mark.parametrize("name", ["linear", "slow", "steep", "rank-deficient"])
def test_a_root_halves_what_probes_cost(name):
    plain, rooted = (trace(kind(SPECTRA[name]), method="estimate") for kind in (Diagonal, Rooted))
    true = float(SPECTRA[name].sum())
    assert abs(rooted.value - true) <= 4 * rooted.se + 1e-9 * true
    assert rooted.converged
    passes = rooted.n_probes + 3 * rooted.n_deflated
    assert rooted.n_products == passes // 2
    assert rooted.n_products < 0.8 * plain.n_products


def test_standard_errors_by_a_root_are_calibrated():
    found = [trace(Rooted(SPECTRA["slow"]), 0.05, method="estimate", seed=s) for s in range(60)]
    true = float(SPECTRA["slow"].sum())
    assert sum(abs(t.value - true) <= 2 * t.se for t in found) >= 50


class Drawn(Probes):
    """Independent groups whose samples are squares of normal numbers, 3 on average."""

    def _more(self, count):
        gen = torch.Generator().manual_seed(1000 * self.seed + self.count)
        return 3 * torch.randn(5, count, generator=gen, dtype=torch.float64).square()


class Probed(Diagonal):
    """An operator with cheaper probes, whose products are not to be asked for."""

    probes = Drawn

    def trace_probes(self, seed):
        return self.probes(1 << 20, 100, seed)

    def exact_trace(self):
        return 15.0, "a sum", 0

    def _matmat(self, block):
        raise AssertionError("a product")


class Seldom(Drawn):
    """One group, of which one probe in eleven finds more than the others."""

    def _more(self, count):
        return torch.tensor([[5.0 + 4 * (i == 6) for i in range(self.count, self.count + count)]])


def test_few_probes_that_agree_are_not_taken_for_the_trace():
    op = Probed(RAMP)
    op.probes = Seldom
    found = trace(op, 0.1, method="estimate")
    assert found.n_probes >= 11
    assert found.se > 0


def test_probes_of_the_operator_are_taken_and_their_errors_are_calibrated():
    found = [trace(Probed(RAMP), 0.1, method="estimate", seed=s) for s in range(200)]
    assert all(t.converged and t.se <= 0.1 * t.value for t in found)
    assert sum(abs(t.value - 15) <= 2 * t.se for t in found) >= 0.88 * 200
    assert {t.n_products - (t.n_probes + 1) // 2 for t in found} == {0}
    few, many = trace(Probed(RAMP), 0.5), trace(Probed(RAMP), 0.01)
    assert (few.exact, many.exact, many.value) == (False, True, 15)  # which is cheaper
    assert few.n_probes < 10


def test_few_probes_leave_room_for_what_they_do_not_show():
    for degrees in (10, 15, 30):
        wanted = (degrees / chi2.ppf(0.05, degrees)) ** 0.5
        assert _margin(degrees) == pytest.approx(wanted, rel=2e-3)
    assert (_margin(9), _margin(31)) == (math.inf, 1)


def test_probes_that_are_not_finite_say_so():
    class Overflowing(Drawn):
        def _more(self, count):
            return torch.full((5, count), torch.inf, dtype=torch.float64)

    op = Probed(RAMP)
    op.probes = Overflowing
    with pytest.raises(RunError, match="not finite"):
        trace(op)


def test_a_small_budget_takes_fewer_probes_at_once():
    result = trace(Diagonal(SPECTRA["linear"]), memory_budget=8 * 8 * N)
    assert result.converged
    assert result.n_deflated == 0
    with pytest.raises(ValueError, match=r"memory_budget must hold 4 vectors of 1,000 components"):
        trace(Diagonal(SPECTRA["linear"]), memory_budget=100)


def test_a_trace_that_the_operator_knows_needs_no_vectors():
    """It was refused where four vectors do not fit: the exact one of 1e8 parameters was."""

    class Known(Diagonal):
        def exact_trace(self):
            return float(self.entries.sum()), "a sum", 0

    known = trace(Known(SPECTRA["linear"]), memory_budget=100)
    assert known.exact
    assert known.value == pytest.approx(float(SPECTRA["linear"].sum()))


def test_an_exact_trace_by_products_keeps_to_its_budget():
    """It multiplied 64 columns at once whatever the budget."""
    widths = []

    class Watched(Diagonal):
        def _matmat(self, block):
            widths.append(block.shape[1])
            return super()._matmat(block)

    ramp = RAMP[:300]
    small = trace(Watched(ramp), memory_budget=10 * 300 * 8)
    assert small.value == pytest.approx(float(ramp.sum()))
    assert max(widths) == 5  # and as many products
    with pytest.raises(ValueError, match=r"memory_budget must hold 4 vectors of 300 components"):
        trace(Watched(ramp), memory_budget=7199)


def test_default_budgets_hold_eight_vectors():
    assert budget_beside(None, 10**9, torch.float32) == 8 * 4 * 10**9
    assert budget_beside(None, 1000, torch.float32) == DEFAULT_BUDGET
    assert budget_beside(100, 10**9, torch.float32) == 100


def test_same_seed_same_bits_and_no_trace_in_the_global_generator():
    state = torch.get_rng_state()
    first, second = (trace(Diagonal(SPECTRA["steep"]), seed=4) for _ in range(2))
    assert first == second
    assert first.value != trace(Diagonal(SPECTRA["steep"]), seed=5).value
    assert torch.equal(state, torch.get_rng_state())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(0, 10**6))
def test_properties_of_random_matrices(n, seed):
    gen = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, n, n, generator=gen, dtype=torch.float64)
    assert trace(a @ b).value == pytest.approx(trace(b @ a).value, abs=1e-9)
    identity = trace(3 * torch.eye(n).double(), method="estimate")
    assert identity.value == pytest.approx(3 * n)
    assert identity.se <= 1e-9 * n


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rtol": 0}, r"rtol must lie between 0 and 1, got 0; use 0.01"),
        ({"method": "hutch"}, r"method must be one of auto, exact, estimate, got 'hutch'"),
        ({"max_products": 3}, r"max_products must be a whole number from 32 on, got 3; leave it"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        trace(torch.eye(4), **arguments)


def test_wrong_operators():
    with pytest.raises(ValueError, match=r"op must be square, got shape \(2, 3\)"):
        trace(torch.ones(2, 3))
    for method in ("exact", "estimate"):
        with pytest.raises(RunError, match="not finite"):
            trace(torch.full((3, 3), torch.inf), method=method)
