"""The engine against known spectra: flat, steep, clustered, rank-deficient, zero, thin."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import svds
from torch.testing import assert_close

from checks import check_operator, check_triplets
from nakami.results import NotConvergedWarning, RunError
from nakami.spectra import MatrixOperator, choose, svd

P = 240
RAMP = torch.arange(P, dtype=torch.float64)
SPECTRA = {
    "flat": torch.ones(P, dtype=torch.float64),
    "steep": 10.0 ** (-RAMP / 10),
    "slow": 1 / (1 + RAMP).sqrt(),
    "clustered": torch.cat([5 - (RAMP[:20] > 9) * 1e-3, torch.linspace(1, 0.1, P - 20).double()]),
    "rank-deficient": (3 - RAMP / 20).clamp_min(0) * (RAMP < 30),
    "zero": torch.zeros(P, dtype=torch.float64),
}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6}


def matrix(spectrum, m=400, n=P, dtype=torch.float64, seed=0):
    """A random ``m x n`` matrix with these singular values."""
    gen = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(m, n, generator=gen, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(n, n, generator=gen, dtype=torch.float64))[0]
    return ((left * spectrum) @ right.T).to(dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("method", ["dense", "gram", "krylov"])
@pytest.mark.parametrize("wide", [False, True], ids=["tall", "wide"])
def test_known_spectra(name, method, dtype, wide):
    true = SPECTRA[name]
    a = matrix(true, dtype=dtype)
    a = a.T.contiguous() if wide else a
    tol = 1e-6 if dtype == torch.float64 else 2e-6
    result = svd(a, 12, tol=tol, method=method)
    assert result.converged, result.reason
    assert result.method == method
    scale = float(true[0])
    # A Krylov value is right to tol, a dense one to the arithmetic; Gram has its floor.
    within = max(
        TOLERANCE[dtype], tol if method == "krylov" else 0, 1e-9 if method == "gram" else 0
    )
    assert_close(result.values, true[:12], rtol=0, atol=within * max(scale, 1.0))
    check_triplets(result, a, atol=30 * torch.finfo(dtype).eps * max(scale, 1.0))


@pytest.mark.parametrize("method", ["dense", "gram"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("shape", [(30, 200), (200, 30)])
def test_residuals_are_of_the_vectors_returned(method, dtype, shape):
    a = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    result = svd(a, 12, method=method)
    u, s, v = result.left.double(), result.values, result.right.double()
    forth = (a.double().T @ u - v * s).norm(dim=0)
    true = (a.double() @ v - u * s).norm(dim=0).maximum(forth)
    assert_close(result.residuals, true, rtol=1e-6, atol=1e-12)
    if dtype != torch.float64:
        assert float(true.min()) > 1e-7  # the rounding of the vectors shows


def test_all_values_of_a_steep_spectrum_are_marked_at_the_floor():
    a = matrix(SPECTRA["steep"], dtype=torch.float32)
    result = svd(a)
    floor = 10 * torch.finfo(torch.float32).eps
    assert result.floor == pytest.approx(floor, rel=1e-4)
    assert torch.equal(result.reliable, result.values > result.floor)
    assert int(result.reliable.sum()) == int((SPECTRA["steep"] > floor).sum())
    true = SPECTRA["steep"][result.reliable]
    assert_close(result.values[result.reliable], true, rtol=1e-2, atol=0)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1), (3, 2)])
def test_thin_matrices(shape):
    a = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result = svd(a)
    assert_close(result.values, torch.linalg.svdvals(a), rtol=1e-12, atol=1e-14)
    check_triplets(result, a, atol=1e-13)


def test_krylov_beyond_one_block_of_equal_values():
    # 30 equal values: a narrow block must come back for the rest, with help of the search.
    true = torch.cat([torch.full((30,), 2.0).double(), torch.linspace(1, 0.5, 970).double()])
    a = matrix(true, m=1200, n=1000)
    result = svd(a, 30, method="krylov")
    assert_close(result.values, true[:30], rtol=1e-4, atol=0)


def test_krylov_agrees_with_arpack_on_a_large_matrix():
    true = 1 / (1 + torch.arange(1050).double()) ** 0.7
    a = matrix(true, m=1100, n=1050, dtype=torch.float32)
    result = svd(a, 40, tol=1e-5)
    assert result.method == "krylov"
    _, peer, _ = svds(MatrixOperator(a.double()).to_scipy(), k=40, random_state=0)
    assert_close(result.values, torch.as_tensor(peer[::-1].copy()), rtol=1e-5, atol=0)


def test_the_comparison_can_fail():
    a = matrix(SPECTRA["slow"])
    result = svd(a * 1.001, 12)
    with pytest.raises(AssertionError, match="not close"):
        assert_close(result.values, SPECTRA["slow"][:12], rtol=0, atol=1e-6)
    with pytest.raises(AssertionError, match="not close"):
        check_triplets(result, a, atol=1e-9)


def test_too_few_products_say_so():
    a = matrix(1 / (1 + torch.arange(1050).double()) ** 0.2, m=1050, n=1050)
    with pytest.warns(
        NotConvergedWarning, match=r"values above tol 1e-08, .* products spent; raise"
    ):
        result = svd(a, 50, tol=1e-8, max_products=200)
    assert not result.converged
    assert (result.errors > 1e-8).any()
    every = torch.linalg.svdvals(a)
    assert (result.values <= every[:50] * (1 + 1e-12)).all()  # Ritz values approach from below
    # the residual bounds the distance to the nearest exact value, converged or not
    distance = (result.values[:, None] - every[None]).abs().amin(1)
    assert (distance <= result.residuals + 1e-12).all()


def test_methods_are_chosen_by_shape_and_budget():
    small = MatrixOperator(torch.zeros(900, 2000))
    large = MatrixOperator(torch.zeros(3000, 2000))
    assert choose(small, 5, 1 << 30, False) == "gram"
    assert choose(large, 5, 1 << 30, False) == "krylov"
    assert choose(large, 1000, 1 << 30, False) == "gram"
    assert choose(large, 1000, 1 << 20, False) == "krylov"
    assert choose(MatrixOperator(torch.zeros(9, 9).double()), 5, 1 << 30, False) == "dense"


def test_same_seed_same_bits_and_no_trace_in_the_global_generator():
    a = matrix(1 / (1 + torch.arange(1200).double()), m=1200, n=1200, dtype=torch.float32)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, second = svd(a, 10, seed=3), svd(a, 10, seed=3)
    assert torch.equal(first.values, second.values)
    assert torch.equal(first.right, second.right)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6))
def test_properties_of_random_matrices(m, n, seed):
    gen = torch.Generator().manual_seed(seed)
    a = torch.randn(m, n, generator=gen, dtype=torch.float64)
    for method in ("dense", "gram", "krylov"):
        s = svd(a, method=method).values
        assert float(s.square().sum()) == pytest.approx(float(a.square().sum()), rel=1e-10)
        assert_close(svd(3 * a.T, method=method).values, 3 * s, rtol=1e-6, atol=1e-6)


def test_vectors_can_be_left_out():
    result = svd(torch.eye(4), vectors=False)
    assert result.left is None
    assert result.right is None


def test_matrix_operator():
    dense = matrix(SPECTRA["slow"][:5], m=7, n=5)
    check_operator(MatrixOperator(dense), dense)
    with pytest.raises(AssertionError, match="not close"):
        check_operator(MatrixOperator(dense), 1.0001 * dense)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, r"k must be a whole number from 1 to 4 \(the smaller side\), got 0; pass"),
        ({"k": 5}, r"k must be a whole number from 1 to 4 .* got 5"),
        (
            {"tol": 1e-7},
            r"tol must be at least 1.2e-06 in float32, got 1e-07; pass tol=2e-06 or compute",
        ),
        ({"k": 2.0}, r"k must be a whole number .* got 2.0"),
        (
            {"tol": 0},
            r"tol must lie between 0 and 1, got 0; use 1e-4",
        ),
        ({"method": "magic"}, r"method must be one of auto, dense, gram, krylov, got 'magic'"),
        (
            {"memory_budget": 10, "method": "dense"},
            r"memory_budget must hold the dense 6 x 4 matrix",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        svd(torch.ones(6, 4), **arguments)


def test_a_budget_too_small_for_the_basis():
    with pytest.raises(
        ValueError, match=r"memory_budget must hold a basis for 20 vectors of 3000 \+ 2000"
    ):
        svd(torch.ones(3000, 2000), 20, memory_budget=1000)


def test_wrong_operators():
    with pytest.raises(
        TypeError, match=r"op must be a nakami operator or a 2-d torch.Tensor, got list"
    ):
        svd([[1.0]])
    with pytest.raises(ValueError, match="matrix must be real, floating and two-dimensional"):
        svd(torch.ones(2, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="op must have at least one row and one column"):
        svd(torch.ones(0, 2))


@pytest.mark.parametrize("method", ["dense", "gram", "krylov"])
def test_nan_never_leaves_in_silence(method):
    a = torch.ones(200, 150)
    a[3, 3] = float("nan")
    with pytest.raises(RunError, match="not finite"):
        svd(a, 3, method=method)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
def test_smallest_values_of_a_small_matrix(dtype):
    a = matrix(SPECTRA["slow"], dtype=dtype)
    result = svd(a, 5, which="smallest")
    assert result.converged
    assert_close(result.values, SPECTRA["slow"].flip(0)[:5], rtol=0, atol=TOLERANCE[dtype])
    left, right = result.left.double(), result.right.double()
    assert_close(a.double() @ right, left * result.values, rtol=0, atol=1e-6)
    assert result.floor == pytest.approx(svd(a, 1).floor)


@pytest.mark.parametrize("arguments", [{"method": "krylov"}, {"memory_budget": 1000}])
def test_smallest_values_need_the_dense_matrix(arguments):
    with pytest.raises(ValueError, match=r"which must be 'largest' unless a dense method fits"):
        svd(torch.ones(300, 200), 5, which="smallest", **arguments)


def test_rounding_of_the_products_counts_as_doubt():
    # float32 cannot know a value of 1e-5 s_1 to 1e-4, however small the residual is.
    a = matrix(SPECTRA["steep"], dtype=torch.float32)
    result = svd(a, 60)
    small = result.values < 1e-4 * result.values[0]
    assert (result.errors[small] > 1e-4).all()
    exact = SPECTRA["steep"][:60]
    assert ((result.values - exact).abs() / exact <= result.errors).all()
    assert result.converged
    assert "at the limit of the arithmetic" in result.reason
    assert svd(a.double(), 60).reason == "all 60 values within tol 0.0001"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_matrices_are_computed_in_float32(dtype):
    a = matrix(SPECTRA["slow"]).to(dtype)
    for method in ("gram", "krylov"):
        result = svd(a, 5, method=method)
        assert_close(result.values, torch.linalg.svdvals(a.double())[:5], rtol=1e-4, atol=0)


def test_results_print_on_one_line():
    text = repr(svd(torch.diag(torch.tensor([3.0, 2.0, 1.0]))))
    assert text.startswith("SVDResult(3 values 3 to 1, gram, 3 products, all 3 values within tol")
