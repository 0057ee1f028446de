"""The spectral norm against the dense one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nakami
from nakami.results import NotConvergedWarning, RunError
from nakami.spectra import norm


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (300, 200), (200, 300)])
def test_matches_the_dense_norm(shape):
    a = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    result = norm(a)
    true = float(torch.linalg.matrix_norm(a, 2))
    assert result.converged
    assert result.error <= 1e-4 * result.value
    assert abs(result.value - true) <= max(result.error, 1e-12)
    assert result.value == float(nakami.svd(a, 1, method="krylov").values)
    with pytest.raises(AssertionError, match="assert"):
        assert abs(result.value - 1.01 * true) <= max(result.error, 1e-12)


def test_zero_and_indefinite():
    zero = norm(torch.zeros(90, 80))
    assert (zero.value, zero.error, zero.converged) == (0, 0, True)
    assert norm(torch.diag(torch.linspace(-3, 1, 200))).value == pytest.approx(3, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6))
def test_norms_are_norms(m, n, seed):
    gen = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, m, n, generator=gen, dtype=torch.float64)
    assert norm(a + b).value <= norm(a).value + norm(b).value + 1e-12
    assert norm(-2 * a.T).value == pytest.approx(2 * norm(a).value)


def test_too_few_products_say_so():
    a = torch.randn(400, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.warns(
        NotConvergedWarning, match="1 of 1 values above tol 1e-08, .* products spent"
    ):
        result = norm(a, tol=1e-8, max_products=16)
    assert not result.converged
    assert result.error > 1e-8 * result.value
    assert result.value < 0.99 * float(torch.linalg.matrix_norm(a, 2))


def test_wrong_use():
    with pytest.raises(ValueError, match=r"tol must lie between 0 and 1, got 2; use 1e-4"):
        norm(torch.eye(3), tol=2)
    with pytest.raises(RunError, match="not finite"):
        norm(torch.full((3, 3), torch.nan))
