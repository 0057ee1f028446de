"""Small, thin, rank-deficient matrices and entries at the ends of the range, against NumPy."""

import numpy as np
import pytest
import torch

import nakami
from nakami.results import NotConvergedWarning
from nakami.spectra import (
    DEFAULT_BUDGET,
    Gram,
    LinearOperator,
    MatrixOperator,
    _result,
    budget_beside,
    density,
    eigh,
    svd,
)
from nakami.spectra._result import residuals_of


class Products(LinearOperator):
    """A matrix known by its products alone; its root may be that of another one."""

    route = "products"

    def __init__(self, matrix: torch.Tensor, root: LinearOperator | None = None):
        self.matrix, self.shape, self.other = matrix, tuple(matrix.shape), root
        self.dtype, self.device = matrix.dtype, matrix.device

    @property
    def root(self) -> LinearOperator | None:
        return self.other

    def _matmat(self, block: torch.Tensor) -> torch.Tensor:
        return self.matrix @ block

    def _rmatmat(self, block: torch.Tensor) -> torch.Tensor:
        return self.matrix.T @ block


def normal(m: int, n: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(m, n, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("kind", [MatrixOperator, Products])
@pytest.mark.parametrize("shape", [(7, 1), (40, 3), (5, 5), (3, 40), (70, 20)])
def test_the_largest_eigenvalue_of_a_gram_matrix_with_a_short_root(shape, kind):
    a = normal(*shape)
    found = eigh(Gram(kind(a)), 1)
    assert found.converged
    true = np.linalg.svd(a.numpy(), compute_uv=False)[0] ** 2
    assert float(found.values[0]) == pytest.approx(true, rel=1e-4)


@pytest.mark.parametrize("shape", [(5, 5), (40, 3), (3, 40), (300, 90)])
@pytest.mark.parametrize("k", [1, 3])
def test_squares_of_small_entries_are_not_zero(shape, k):
    a = 1e-30 * normal(*shape, torch.float32)  # squares are 1e-60, below float32
    found = eigh(Gram(Products(a)), k)
    assert found.converged
    true = np.linalg.svd(a.double().numpy(), compute_uv=False)[:k] ** 2
    np.testing.assert_allclose(found.values.numpy(), true, rtol=1e-4)


@pytest.mark.parametrize("m", [61, 100])
def test_null_vectors_of_a_rank_deficient_matrix_are_null_vectors(m):
    a = normal(m, 61, torch.float32)
    a[:, ::2] = 0
    found = svd(a, 61)
    assert found.converged, found.reason
    exact = np.linalg.svd(a.double().numpy(), compute_uv=False)
    np.testing.assert_allclose(found.values.numpy(), exact, atol=2e-6 * exact[0])
    left, right = found.left.double(), found.right.double()
    assert float((a.double() @ right[:, 30:]).norm(dim=0).max()) < 2e-6 * exact[0]
    for q in (left, right):
        assert float((q.T @ q - torch.eye(61)).abs().max()) < 1e-5


@pytest.mark.parametrize("size", [1e-200, 1e-100, 1.0, 1e200])
@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_a_density_of_any_size_of_entries(size, method):
    a = normal(60, 60)
    a = a + a.T
    found = density(a * size, method=method, steps=30, probes=4)
    plain = density(a, method=method, steps=30, probes=4)
    np.testing.assert_allclose(found.nodes / size, plain.nodes, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.cumulative, plain.cumulative, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_one_eigenvalue_by_the_root_of_another_matrix_is_not_called_right(scale):
    root = scale * normal(200, 300, torch.float32)
    root[0] *= 4
    a = root.T @ root
    assert eigh(Products(a, MatrixOperator(root)), 1).converged
    with pytest.warns(NotConvergedWarning, match="eigh did not converge"):
        found = eigh(Products(1.5 * a, MatrixOperator(root)), 1)
    assert float(found.residuals[0]) > 0.1 * float(found.values[0])
    assert float(found.errors[0]) > 0.1


def test_a_tensor_of_one_number_is_a_number_of_values():
    assert len(nakami.svd(normal(9, 9), torch.tensor(2)).values) == 2
    assert len(nakami.eigh(normal(9, 9) * 0, np.int64(2)).values) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rank", [1, 5])
def test_a_density_whose_runs_end_at_different_steps(dtype, rank):
    a = normal(160, rank, dtype)
    a = a * torch.arange(rank, 0, -1).to(dtype)
    product = a @ a.T
    found = density(product, method="lanczos", steps=20, probes=4, seed=1)
    assert bool(torch.isfinite(found.density).all())
    assert float(found.weights.sum()) == pytest.approx(1)
    largest = np.linalg.eigvalsh(product.double().numpy())[-1]
    assert float(found.nodes.max()) == pytest.approx(largest, rel=1e-4)


@pytest.mark.parametrize("start", [None, torch.eye(90, 3)])
def test_one_eigenvalue_by_magnitude_goes_by_the_root_too(start):
    a = normal(90, 200, torch.float32)
    found = eigh(Gram(Products(a.T.contiguous())), 1, which="magnitude")
    warm = eigh(Gram(Products(a)).base.gram(), 1, which="magnitude", start=start)
    true = np.linalg.svd(a.double().numpy(), compute_uv=False)[0] ** 2
    for result in (found, warm):
        assert float(result.values[0]) == pytest.approx(true, rel=1e-4)
    assert found.settings["side"] == "dual"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_one_eigenvalue_of_a_zero_matrix_has_a_vector(dtype):
    found = eigh(Gram(Products(torch.zeros(130, 70, dtype=dtype))), 1)
    assert found.converged
    assert float(found.values[0]) == 0
    assert float(found.vectors.norm()) == pytest.approx(1)


def test_the_default_budget_grows_with_the_side():
    assert budget_beside(None, 10, torch.float32) == DEFAULT_BUDGET
    assert budget_beside(None, 2**28, torch.float32) == 8 * 4 * 2**28
    assert budget_beside(1000, 2**28, torch.float32) == 1000


def test_residuals_are_summed_in_parts(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(30, 30, generator=generator)
    s, u, v = torch.tensor([2.0, 3.0]), *torch.randn(2, 30, 2, generator=generator)
    monkeypatch.setattr(_result, "ROWS", 7)
    one = (a @ v).double() - s * u.double()
    other = (a.T @ u).double() - s * v.double()
    wanted = one.norm(dim=0).maximum(other.norm(dim=0))
    torch.testing.assert_close(residuals_of(MatrixOperator(a), s, u, v), wanted)
