"""Old vectors as a start: fewer products, the same values."""

import pytest
import torch
from torch.testing import assert_close

from nakami.spectra import eigh, svd

KRYLOV = {"method": "krylov"}


def turned(spectrum, m=700, n=None, seed=0):
    """A random matrix with these singular values; symmetric, with these eigenvalues, by default."""
    gen = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(m, len(spectrum), generator=gen, dtype=torch.float64))[0]
    if n is None:
        return (left * spectrum) @ left.T
    right = torch.linalg.qr(torch.randn(n, len(spectrum), generator=gen, dtype=torch.float64))[0]
    return (left * spectrum) @ right.T


@pytest.mark.parametrize("k", [3, 20])
def test_eigh_takes_fewer_products_from_old_vectors(k):
    a = turned(1 / (1 + torch.arange(700).double()) ** 0.7)
    moved = a + 3e-4 * turned(torch.linspace(-1, 1, 700).double(), seed=1)
    old = eigh(a, k, **KRYLOV).vectors
    cold, warm = eigh(moved, k, **KRYLOV), eigh(moved, k, start=old, **KRYLOV)
    assert warm.converged
    assert warm.n_products <= 0.8 * cold.n_products
    assert warm.n_products <= {3: 29, 20: 65}[k]  # what it took before copies were certified
    assert_close(warm.values, cold.values, rtol=2e-4, atol=0)
    # vectors that know nothing give the same values
    useless = torch.eye(700, dtype=torch.float64)[:, -k:]
    again = eigh(moved, k, start=useless, **KRYLOV)
    assert_close(again.values, cold.values, rtol=2e-4, atol=0)


@pytest.mark.parametrize("start", [torch.zeros(700, 3), torch.ones(700, 30)])
def test_a_degenerate_start_does_no_harm(start):
    true = 1 / (1 + torch.arange(700).double())
    result = eigh(turned(true), 3, start=start, **KRYLOV)
    assert result.converged
    assert_close(result.values, true[:3], rtol=1e-4, atol=0)


@pytest.mark.parametrize(("k", "share"), [(3, 0.8), (10, 0.8), (20, 1.05)])
def test_svd_takes_fewer_products_for_few_values_and_hardly_more_for_many(k, share):
    a = turned(1 / (1 + torch.arange(600).double()) ** 0.7, m=700, n=600)
    moved = a + 3e-4 * turned(torch.linspace(1, 0, 600).double(), m=700, n=600, seed=1)
    old = svd(a, k, **KRYLOV).right
    cold, warm = svd(moved, k, **KRYLOV), svd(moved, k, start=old, **KRYLOV)
    assert warm.converged
    assert warm.n_products <= share * cold.n_products
    assert_close(warm.values, cold.values, rtol=2e-4, atol=0)
    with pytest.raises(ValueError, match=r"start must have shape \(600, p\) with p from 1"):
        svd(a, k, start=torch.ones(700, 2))
