"""Eigenvalues by a root's short side: what its products went through gives the eigenvector."""

import pytest
import torch

import nakami
from nakami.spectra import LinearOperator
from nakami.spectra._rooted import Remembered


class Rows(LinearOperator):
    """A matrix that counts its products each way."""

    route = "rows"

    def __init__(self, matrix):
        self.matrix, self.shape, self.ups, self.downs = matrix, tuple(matrix.shape), 0, 0
        self.dtype, self.device = matrix.dtype, matrix.device

    def _matmat(self, block):
        self.ups += block.shape[1]
        return self.matrix @ block

    def _rmatmat(self, block):
        self.downs += block.shape[1]
        return self.matrix.T @ block


def rows(m, n):
    generator = torch.Generator().manual_seed(0)
    found = torch.randn(m, n, generator=generator, dtype=torch.float64)
    found[0] *= 3
    return found


@pytest.mark.parametrize(("budget", "lifts"), [(None, 0), (409600, 1)])
def test_the_eigenvector_takes_no_product_where_its_parts_are_remembered(budget, lifts):
    a = rows(200, 300)
    op = Rows(a)
    found = nakami.eigh(op.T.gram(), 1, tol=1e-4, memory_budget=budget)
    assert found.converged
    assert found.settings["side"] == "dual"
    v = found.vectors[:, 0]
    true = torch.linalg.svdvals(a)[0].square()
    torch.testing.assert_close(found.values[0], true, rtol=1e-6, atol=0)
    assert float((a.T @ (a @ v) - true * v).norm()) < 1e-3 * float(true)
    assert op.downs - op.ups == lifts


def test_sums_of_vectors_that_were_met_and_others():
    a = rows(20, 30)
    gram = Remembered(Rows(a).gram(), 1 << 20)
    met = torch.linalg.qr(rows(20, 3))[0]
    for i in range(3):
        torch.testing.assert_close(gram @ met[:, i], a @ (a.T @ met[:, i]))
    one = met @ torch.tensor([[0.3], [-2.0], [1e-3]], dtype=torch.float64)
    torch.testing.assert_close(gram.lifted(one), a.T @ one)
    assert gram.lifted(one + 1e-3) is None
    small = Remembered(Rows(a).gram(), 500)
    assert small @ met[:, 0] is not None
    assert small.lifted(met[:, :1]) is not None
    assert small @ met[:, 1] is not None
    assert small.lifted(met[:, :1]) is None  # there was no room
