"""Matrices of any size of entries, and clusters: the same answers, with vectors that stay apart."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from nakami.results import RunError
from nakami.spectra import MatrixOperator, eigh, norm, svd
from nakami.spectra._rescale import Rescaled, rescaled

TRUE = 1 / (1 + torch.arange(300, dtype=torch.float64)) ** 0.5


def turned(true, m, n, dtype, seed=0):
    gen = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(m, len(true), generator=gen, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(n, len(true), generator=gen, dtype=torch.float64))[0]
    return ((left * true) @ right.T).to(dtype)


@pytest.mark.parametrize("method", ["krylov", "gram", "dense"])
@pytest.mark.parametrize(
    ("size", "dtype"),
    [
        (1e10, torch.float32),
        (1e30, torch.float32),
        (1e-30, torch.float32),
        (1e-200, torch.float64),
        (1e200, torch.float64),
    ],
)
def test_size_changes_nothing(method, size, dtype):
    a = turned(TRUE, 320, 400, dtype)
    for matrix in (a * size, Hidden(a * size)):
        result = svd(matrix, 12, tol=1e-5, method=method)
        assert result.converged, result.reason
        assert_close(result.values / size, TRUE[:12], rtol=1e-5, atol=0)
        assert torch.isfinite(result.residuals).all()
        assert result.floor < 1e-4 * size
    assert norm(a * size).value / size == pytest.approx(1, rel=1e-4)


class Hidden(MatrixOperator):
    """A matrix whose entries are not at hand."""

    stored = False

    def __init__(self, matrix):
        super().__init__(matrix)


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_eigenvalues_of_any_size(size):
    q = torch.linalg.qr(torch.randn(300, 300, dtype=torch.float64))[0]
    true = torch.linspace(1, -1, 300, dtype=torch.float64)
    a = (q * true) @ q.T * size
    for method in ("krylov", "dense"):
        result = eigh(a, 3, tol=1e-6, method=method)
        assert result.converged
        assert_close(result.values / size, true[:3], rtol=1e-6, atol=0)


def test_an_exploding_network():
    torch.manual_seed(0)
    net = nn.Sequential(*[nn.Linear(300, 300, bias=False) for _ in range(12)])
    for layer in net:
        nn.init.normal_(layer.weight, 0, 0.4)
    op = nakami.jacobian(net, torch.randn(1, 300))
    exact = torch.linalg.svdvals(nakami.jacobian(net, torch.randn(1, 300)).dense().double())
    assert float(exact[0]) > 1e10
    result = svd(op, 5, method="krylov")
    assert result.converged
    assert_close(result.values, exact[:5], rtol=1e-4, atol=0)


def test_moderate_matrices_are_left_alone_and_overflow_is_said():
    op = MatrixOperator(torch.eye(9))
    assert rescaled(op, 0) == (op, 0, 0)
    scaled, power, spent = rescaled(MatrixOperator(3e20 * torch.eye(9)), 0)
    assert isinstance(scaled, Rescaled)
    assert 0.5 <= float(scaled.dense().max()) <= 1
    assert (2.0**power * float(scaled.dense().max()), spent) == (pytest.approx(3e20), 0)
    with pytest.raises(RunError, match="not finite"):
        svd(torch.full((200, 300), 1e300, dtype=torch.float64).float(), 2)


@pytest.mark.parametrize("seed", range(3))
def test_vectors_of_a_cluster_stay_orthogonal(seed):
    true = torch.cat([torch.ones(40), torch.logspace(-1, -8, 60)]).double()
    a = turned(true, 700, 600, torch.float32, seed)
    result = svd(a, 39, method="krylov")
    eps = torch.finfo(torch.float32).eps
    assert_close(result.values, true[:39], rtol=4 * eps, atol=0)
    assert_close(result.left.T @ result.left, torch.eye(39), rtol=0, atol=10 * eps)
    assert_close(result.right.T @ result.right, torch.eye(39), rtol=0, atol=10 * eps)
