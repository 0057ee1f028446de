"""Eigenpairs against known spectra: flat, steep, clustered, indefinite, rank-deficient, zero."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh
from torch.testing import assert_close

import nakami
from nakami.results import NotConvergedWarning, RunError
from nakami.spectra import LinearOperator, MatrixOperator, eigh

N = 240
RAMP = torch.arange(N, dtype=torch.float64)
SPECTRA = {
    "flat": torch.ones(N, dtype=torch.float64),
    "steep": 10.0 ** (-RAMP / 10),
    "slow": 1 / (1 + RAMP).sqrt(),
    "clustered": torch.cat([5 - (RAMP[:20] > 9) * 1e-3, torch.linspace(1, 0.1, N - 20).double()]),
    "indefinite": torch.linspace(2.5, -3, N).double(),
    "negative": -1 - RAMP / 50,
    "rank-deficient": (3 - RAMP / 20).clamp_min(0) * (RAMP < 30),
    "zero": torch.zeros(N, dtype=torch.float64),
}
KEYS = {"largest": lambda a: a, "smallest": lambda a: -a, "magnitude": torch.abs}


def symmetric(spectrum, dtype=torch.float64, seed=0):
    """A random symmetric matrix with these eigenvalues."""
    gen = torch.Generator().manual_seed(seed)
    n = len(spectrum)
    q = torch.linalg.qr(torch.randn(n, n, generator=gen, dtype=torch.float64))[0]
    return ((q * spectrum) @ q.T).to(dtype)


def wanted(spectrum, which, k):
    return spectrum[KEYS[which](spectrum).argsort(descending=True)[:k]]


def check_pairs(result, dense, atol):
    """Properties that any eigendecomposition has, whatever the method."""
    a, v = dense.double(), result.vectors.double()
    key = KEYS[result.settings["which"]](result.values)
    assert (key[:-1] >= key[1:] - atol).all()
    assert_close(v.T @ v, torch.eye(v.shape[1], dtype=torch.float64), rtol=0, atol=2e-6)
    true = (a @ v - v * result.values).norm(dim=0)
    assert_close(result.residuals, true, rtol=1e-3, atol=atol)  # the residuals say the truth


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "which", "method"),
    [
        case
        for case in product(SPECTRA, KEYS, ["dense", "krylov"])
        if case != ("steep", "smallest", "krylov")  # values from 1e-24 up to the rounding, no gaps
    ],
)
def test_known_spectra(name, method, which, dtype):
    a = symmetric(SPECTRA[name], dtype)
    tol = 1e-6 if dtype == torch.float64 else 2e-6
    result = eigh(a, 12, tol=tol, which=which, method=method)
    assert result.converged, result.reason
    assert result.method == method
    scale = max(1.0, float(SPECTRA[name].abs().max()))
    within = tol if method == "krylov" else 1e-12 if dtype == torch.float64 else 1e-6
    true = wanted(SPECTRA[name], which, 12)
    key = KEYS["magnitude"] if which == "magnitude" else KEYS["largest"]  # signs may tie in size
    assert_close(key(result.values), key(true), rtol=0, atol=within * scale)
    check_pairs(result, a, atol=300 * torch.finfo(dtype).eps * scale)


def test_the_comparison_can_fail():
    a = symmetric(SPECTRA["slow"])
    result = eigh(1.001 * a, 12)
    with pytest.raises(AssertionError, match="not close"):
        assert_close(result.values, wanted(SPECTRA["slow"], "largest", 12), rtol=0, atol=1e-6)
    with pytest.raises(AssertionError, match="not close"):
        check_pairs(result, a, atol=1e-9)


def test_one_by_one_and_the_whole_spectrum():
    assert float(eigh(torch.tensor([[-3.0]]), 1).values) == -3
    a = symmetric(SPECTRA["indefinite"][:7])
    assert_close(eigh(a, 7, which="smallest").values, torch.linalg.eigvalsh(a))


@pytest.mark.parametrize("which", KEYS)
def test_krylov_agrees_with_arpack_on_a_large_matrix(which):
    true = torch.cat([1 / (1 + torch.arange(600).double()) ** 0.7, -torch.linspace(0, 0.3, 100)])
    a = symmetric(true)
    result = eigh(a, 20, tol=1e-5, which=which, method="krylov")
    assert result.method == "krylov"
    name = {"largest": "LA", "smallest": "SA", "magnitude": "LM"}[which]
    peer = torch.as_tensor(eigsh(MatrixOperator(a).to_scipy(), k=20, which=name, v0=[1.0] * 700)[0])
    peer = peer[KEYS[which](peer).argsort(descending=True)]
    assert_close(result.values, peer, rtol=1e-5, atol=0)


def test_one_value_takes_enough_steps():
    # Two Lanczos steps, a peer's default for k = 1, miss this value by a fifth and say nothing.
    true = torch.cat([torch.tensor([1.0]).double(), torch.linspace(0.7, 0, 699).double()])
    a = symmetric(true)
    result = eigh(a, 1, method="krylov")
    assert result.converged
    assert float(result.values) == pytest.approx(1.0, rel=1e-4)
    with pytest.warns(NotConvergedWarning, match="eigh did not converge: 1 of 1 values above"):
        short = eigh(a, 1, method="krylov", max_products=6)
    assert float(short.values) < 0.95
    assert float(short.errors) > 1e-4


def test_a_bound_below_the_first_k_directions_still_gives_k_values():
    a = symmetric(1 / (1 + torch.arange(700).double()))
    with pytest.warns(NotConvergedWarning, match="products spent"):
        result = eigh(a, 50, method="krylov", tol=1e-8, max_products=1)
    assert result.values.shape == (50,)
    every = torch.linalg.eigvalsh(a)
    distance = (result.values[:, None] - every[None]).abs().amin(1)
    assert (distance <= result.residuals + 1e-12).all()  # the residual bounds the distance
    with pytest.warns(NotConvergedWarning, match="svd did not converge"):
        assert nakami.svd(a, 50, method="krylov", max_products=1).values.shape == (50,)


def test_floor_marks():
    result = eigh(symmetric(SPECTRA["rank-deficient"]), 40)
    assert result.floor == pytest.approx(10 * torch.finfo(torch.float64).eps * 3)
    assert torch.equal(result.reliable, result.values.abs() > result.floor)
    assert int(result.reliable.sum()) == 30


def test_same_seed_same_bits_and_no_trace_in_the_global_generator():
    a = symmetric(1 / (1 + torch.arange(500).double()), torch.float32)
    state = torch.get_rng_state()
    first, second = (eigh(a, 10, seed=3, method="krylov") for _ in range(2))
    assert torch.equal(first.values, second.values)
    assert torch.equal(first.vectors, second.vectors)
    assert torch.equal(state, torch.get_rng_state())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10**6), st.sampled_from(["dense", "krylov"]))
def test_properties_of_random_matrices(n, seed, method):
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    a = a + a.T
    top, low = eigh(a, n, method=method), eigh(-a, n, which="smallest", method=method)
    assert float(top.values.sum()) == pytest.approx(float(a.trace()), abs=1e-9)
    assert_close(top.values, -low.values, rtol=1e-9, atol=1e-9)
    size = eigh(a, n, which="magnitude", method=method).values.abs()
    assert_close(size, nakami.svd(a).values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, r"k must be a whole number from 1 to 4 \(the side of the matrix\), got 0; pass"),
        ({"k": None}, r"k must be a whole number .* got None"),
        ({"tol": 1}, r"tol must lie between 0 and 1, got 1; use 1e-4"),
        ({"method": "gram"}, r"method must be one of auto, dense, krylov, got 'gram'; use 'auto'"),
        ({"which": "LM"}, r"which must be one of largest, smallest, magnitude, got 'LM'"),
        ({"max_products": 0}, r"max_products must be a whole number from 1 on, got 0; leave"),
        ({"memory_budget": 9, "method": "dense"}, r"memory_budget must hold the dense 4 x 4"),
        ({"start": torch.ones(3, 1)}, r"start must have shape \(4, p\) with p from 1 to 4, got"),
        ({"start": torch.ones(4, 5)}, r"start must have shape .* got \(4, 5\); pass vectors"),
        (
            {"start": torch.full((4, 1), torch.nan)},
            r"start must be finite, got 4 values that are not",
        ),
        ({"start": [1.0]}, r"start must be a torch.Tensor, got list; convert it"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        eigh(torch.eye(4), **{"k": 2, **arguments})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_residuals_are_of_the_vectors_returned(dtype):
    a = torch.randn(80, 80, generator=torch.Generator().manual_seed(0), dtype=dtype)
    a = a + a.T
    result = eigh(a, 12, method="dense")
    v = result.vectors.double()
    true = (a.double() @ v - v * result.values).norm(dim=0)
    assert_close(result.residuals, true, rtol=1e-6, atol=1e-12)
    assert dtype == torch.float64 or float(true.min()) > 1e-7  # the rounding of the vectors shows


def test_wrong_operators():
    with pytest.raises(ValueError, match=r"op must be square, got shape \(2, 3\); call nakami.svd"):
        eigh(torch.ones(2, 3), 1)
    lopsided = torch.eye(200).double()
    lopsided[0, 1] = 1e-3
    with pytest.raises(
        ValueError, match=r"op must be symmetric, got <u, A v> = .* call nakami.svd"
    ):
        eigh(lopsided, 1)
    with pytest.raises(
        ValueError, match=r"memory_budget must hold a basis for 5 vectors of 2000 c"
    ):
        eigh(torch.eye(2000), 5, memory_budget=1000)


@pytest.mark.parametrize("method", ["dense", "krylov"])
def test_nan_never_leaves_in_silence(method):
    a = torch.eye(200)
    a[3, 3] = float("nan")
    with pytest.raises(RunError, match="not finite"):
        eigh(a, 3, method=method)


class Products(LinearOperator):
    """A matrix whose entries are not at hand."""

    route = "products"

    def __init__(self, matrix):
        self.matrix, self.shape = matrix, tuple(matrix.shape)
        self.dtype, self.device = matrix.dtype, matrix.device

    def _matmat(self, block):
        return self.matrix @ block

    def _rmatmat(self, block):
        return self.matrix.T @ block


def test_a_matrix_that_float32_inside_makes_skew_is_read_and_a_skew_one_is_not():
    a = symmetric(1 / (1 + torch.arange(60).double()))
    skew = torch.randn(60, 60, generator=torch.Generator().manual_seed(3)).double()
    skew = (skew - skew.T) / torch.linalg.matrix_norm(skew - skew.T, 2)
    found = eigh(Products(a + 2e-7 * skew), 3)
    assert_close(found.values, 1 / (1 + torch.arange(3).double()), rtol=1e-5, atol=0)
    assert eigh(a + 1e-11 * skew, 3).converged
    for wrong in (Products(a + 1e-4 * skew), a + 2e-7 * skew):  # of entries more is asked
        with pytest.raises(ValueError, match="op must be symmetric"):
            eigh(wrong, 3)
