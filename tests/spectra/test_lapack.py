"""Where LAPACK's divide and conquer gives up, spectra are those of QR iteration."""

import numpy as np
import pytest
import torch

import nakami


@pytest.fixture
def given_up(monkeypatch):
    """Torch's decompositions fail, as they do on matrices with many equal eigenvalues."""

    def fails(*_, **__):
        raise torch.linalg.LinAlgError("linalg.eigh: The algorithm failed to converge")

    for name in ("eigh", "eigvalsh", "svd", "svdvals"):
        monkeypatch.setattr(torch.linalg, name, fails)


def matrix(m, n, dtype=torch.float64):
    """Blocks that are all alike: each value stands there many times."""
    g = torch.Generator().manual_seed(0)
    block = torch.randn(3, n // (m // 3), generator=g, dtype=torch.float64)
    return torch.kron(torch.eye(m // 3, dtype=torch.float64), block).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [4, 30])
def test_singular_values_come_all_the_same(given_up, dtype, k):
    a = matrix(30, 50, dtype)
    found = nakami.svd(a, k=k)
    exact = np.linalg.svd(a.double().numpy(), compute_uv=False)
    np.testing.assert_allclose(found.values, exact[:k], rtol=1e-5)
    assert found.converged
    residual = a @ found.right - found.left * torch.as_tensor(found.values).to(a)
    assert residual.norm(dim=0).max() < 1e-4 * exact[0]


def test_eigenvalues_come_all_the_same(given_up):
    a = matrix(30, 50)
    gram = a @ a.T
    found = nakami.eigh(gram, 30)
    exact = np.linalg.eigvalsh(gram.numpy())[::-1]
    np.testing.assert_allclose(found.values, exact, rtol=1e-8)


def test_shapes_types_and_order_are_those_of_torch(monkeypatch):
    from nakami.spectra import _lapack

    a = matrix(6, 10, torch.float32)
    gram = a @ a.T
    plain = [*_lapack.svd(a), *_lapack.svd(a, full_matrices=False), *_lapack.eigh(gram)]
    plain += [_lapack.eigvalsh(gram), _lapack.svdvals(a)]

    def fails(*_, **__):
        raise torch.linalg.LinAlgError("failed to converge")

    for name in ("eigh", "eigvalsh", "svd", "svdvals"):
        monkeypatch.setattr(torch.linalg, name, fails)
    other = [*_lapack.svd(a), *_lapack.svd(a, full_matrices=False), *_lapack.eigh(gram)]
    other += [_lapack.eigvalsh(gram), _lapack.svdvals(a)]
    for one, two in zip(plain, other, strict=True):
        assert (one.shape, one.dtype) == (two.shape, two.dtype)
    for i in (1, 4, 6, 8, 9):  # values
        torch.testing.assert_close(plain[i], other[i], rtol=1e-5, atol=1e-5)
