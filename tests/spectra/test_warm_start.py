"""Old vectors as a start: fewer products, the same values."""

import pytest
import torch
from torch.testing import assert_close

from nakami.spectra import eigh, svd


def turned(spectrum, m=1300, n=None, seed=0):
    """A random matrix with these singular values; symmetric, with these eigenvalues, by default."""
    gen = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(m, len(spectrum), generator=gen, dtype=torch.float64))[0]
    if n is None:
        return (left * spectrum) @ left.T
    right = torch.linalg.qr(torch.randn(n, len(spectrum), generator=gen, dtype=torch.float64))[0]
    return (left * spectrum) @ right.T


@pytest.mark.parametrize("k", [3, 20])
def test_eigh_takes_fewer_products_from_old_vectors(k):
    a = turned(1 / (1 + torch.arange(1300).double()) ** 0.7)
    moved = a + 1e-3 * turned(torch.linspace(-1, 1, 1300).double(), seed=1)
    old = eigh(a, k).vectors
    cold, warm = eigh(moved, k), eigh(moved, k, start=old)
    assert warm.converged
    assert warm.n_products < 0.8 * cold.n_products
    assert_close(warm.values, cold.values, rtol=2e-4, atol=0)
    # vectors that know nothing give the same values
    useless = torch.eye(1300, dtype=torch.float64)[:, -k:]
    assert_close(eigh(moved, k, start=useless).values, cold.values, rtol=2e-4, atol=0)


@pytest.mark.parametrize("start", [torch.zeros(1300, 3), torch.ones(1300, 30)])
def test_a_degenerate_start_does_no_harm(start):
    true = 1 / (1 + torch.arange(1300).double())
    result = eigh(turned(true), 3, start=start)
    assert result.converged
    assert_close(result.values, true[:3], rtol=1e-4, atol=0)


@pytest.mark.parametrize("k", [3, 20])
def test_svd_takes_fewer_products_from_old_vectors(k):
    a = turned(1 / (1 + torch.arange(1200).double()) ** 0.7, m=1300, n=1200)
    moved = a + 1e-3 * turned(torch.linspace(1, 0, 1200).double(), m=1300, n=1200, seed=1)
    old = svd(a, k).right
    cold, warm = svd(moved, k), svd(moved, k, start=old)
    assert warm.converged
    assert warm.n_products < 0.8 * cold.n_products
    assert_close(warm.values, cold.values, rtol=2e-4, atol=0)
    with pytest.raises(ValueError, match=r"start must have shape \(1200, p\) with p from 1"):
        svd(a, k, start=svd(a, k).left)
