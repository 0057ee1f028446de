"""Values without vectors: the same values, with the same doubt, by a shorter way."""

import pytest
import torch
from torch.testing import assert_close

from nakami.results import NotConvergedWarning
from nakami.spectra import MatrixOperator, svd
from nakami.spectra.krylov._plan import make_plan

EPS = torch.finfo(torch.float32).eps


def matrix(spectrum, m, n, dtype=torch.float32, seed=0):
    """A random ``m x n`` matrix with these singular values."""
    gen, r = torch.Generator().manual_seed(seed), len(spectrum)
    left = torch.linalg.qr(torch.randn(m, r, generator=gen, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(n, r, generator=gen, dtype=torch.float64))[0]
    return ((left * spectrum) @ right.T).to(dtype)


def falling(span, count=60, whole=400):
    """``count`` values that fall to ``span``, and smaller ones."""
    top = torch.logspace(0, torch.log10(torch.tensor(span)).item(), count, dtype=torch.float64)
    return torch.cat([top, span * torch.linspace(0.95, 0.1, whole - count, dtype=torch.float64)])


def both(a, k, tol, **more):
    """With vectors and without."""
    found = [svd(a, k, tol, vectors=v, method="krylov", **more) for v in (True, False)]
    assert found[1].left is None
    assert found[1].right is None
    return found


@pytest.mark.parametrize("wide", [False, True], ids=["tall", "wide"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("span", [0.5, 0.02, 1e-3])
def test_values_are_those_of_the_dense_matrix_whatever_they_span(span, dtype, wide):
    a = matrix(falling(span), 600, 500, dtype)
    a = a.T.contiguous() if wide else a
    tol = 1e-4
    true = torch.linalg.svdvals(a.double())[:60]
    whole, alone = both(a, 60, tol)
    assert alone.converged, alone.reason
    assert alone.reason == whole.reason
    assert alone.settings["bases"] == whole.settings["bases"]
    assert alone.n_products == whole.n_products
    assert alone.floor == pytest.approx(whole.floor, rel=1e-6)
    off = (alone.values - true).abs() / true
    assert (off <= alone.errors + 1e-14).all()
    assert (off <= tol / 4 + EPS / (true / true[0])).all()
    assert_close(alone.values, whole.values, rtol=tol / 4, atol=EPS)


def test_the_roots_of_squares_would_not_be_right():
    # float32: eps (s_1/s)^2 is a third of a per cent at the end, thirty times what was asked for.
    a = matrix(falling(0.006), 600, 500)
    true = torch.linalg.svdvals(a.double())[:60]
    squares = torch.linalg.eigvalsh((a.T @ a).double()).flip(0)[:60].sqrt()
    alone = both(a, 60, 2e-5)[1]
    error = lambda values: float(((values - true) / true).norm())  # noqa: E731
    assert error(alone.values) < 0.3 * error(squares)
    assert ((alone.values - true).abs() <= 2e-5 * true + EPS * true[0]).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_clusters_across_the_border_of_the_two_ways(dtype):
    # Ten equal values where the roots stop being good enough, and ten further down.
    parts = [torch.full((n,), s).double() for n, s in ((5, 1.0), (10, 0.07), (10, 0.05))]
    true = torch.cat([*parts, torch.linspace(0.02, 0.001, 375, dtype=torch.float64)])
    alone = both(matrix(true, 600, 500, dtype), 25, 1e-4)[1]
    assert alone.converged, alone.reason
    assert (alone.values[:-1] >= alone.values[1:]).all()
    assert_close(alone.values, true[:25], rtol=2e-5, atol=0)


@pytest.mark.parametrize("span", [0.5, 1e-4])
def test_residuals_are_those_of_the_vectors_that_were_not_made(span):
    whole, alone = both(matrix(falling(span), 600, 500), 60, 1e-4)
    assert (alone.residuals >= 0.5 * whole.residuals - 20 * EPS).all()
    assert_close(alone.residuals, whole.residuals, rtol=0.5, atol=30 * EPS)


def test_rounding_of_the_squares_stands_in_the_errors():
    whole, alone = both(matrix(falling(0.05), 600, 500), 60, 1e-4)
    s = alone.values / alone.values[0]
    added = EPS / s**2
    more = alone.errors - whole.errors
    rooted = added <= 1e-4 / 4
    assert 20 < int(rooted.sum()) < 60
    assert_close(more[rooted], added[rooted], rtol=0.05, atol=1e-7)
    assert (alone.errors <= 1e-4).all()


def test_without_room_for_images_products_take_their_place():
    a = matrix(falling(0.01), 3000, 500)
    budget = 4 * 3500 * 180
    assert not make_plan(MatrixOperator(a), 60, 1e-4, budget, None, "one").images
    roomy = svd(a, 60, vectors=False, method="krylov")
    tight = svd(a, 60, vectors=False, method="krylov", memory_budget=budget)
    assert roomy.n_products < tight.n_products < roomy.n_products + 70
    assert_close(tight.values, roomy.values, rtol=1e-6, atol=0)


def test_out_of_products_it_says_so_too():
    a = matrix(falling(0.5), 600, 500)
    with pytest.warns(NotConvergedWarning, match="svd did not converge: .* products spent"):
        alone = svd(a, 60, vectors=False, method="krylov", max_products=130)
    assert not alone.converged
    assert (alone.values <= torch.linalg.svdvals(a.double())[:60] * (1 + 1e-5)).all()


@pytest.mark.parametrize("method", ["dense", "gram"])
def test_dense_methods_leave_their_vectors_out(method):
    a = matrix(falling(0.1), 500, 450)
    whole, alone = (svd(a, 12, vectors=v, method=method) for v in (True, False))
    assert alone.left is None
    assert torch.equal(alone.values, whole.values)
    assert torch.equal(alone.residuals, whole.residuals)


def test_large_and_small_entries():
    a = matrix(falling(0.1), 600, 500)
    plain, large = (svd(x, 20, vectors=False, method="krylov") for x in (a, a * 2.0**60))
    assert_close(large.values, plain.values * 2.0**60, rtol=1e-6, atol=0)
    assert_close(large.errors, plain.errors, rtol=0.2, atol=1e-6)
