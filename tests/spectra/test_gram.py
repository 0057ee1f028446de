"""Gram matrices of operators, and eigenpairs by way of the root."""

import pytest
import torch
from torch.testing import assert_close

import nakami
from checks import check_operator
from nakami.results import NotConvergedWarning
from nakami.spectra import Gram, MatrixOperator


class Hidden(MatrixOperator):
    """A matrix known by its products alone."""

    stored = False


def tall(rows, columns, decay=0.9, seed=0):
    gen = torch.Generator().manual_seed(seed)
    draw = torch.randn(rows, columns, generator=gen, dtype=torch.float64)
    left, right = torch.linalg.qr(draw)
    values = decay ** torch.arange(columns, dtype=torch.float64)
    return left * values @ torch.linalg.qr(right)[0], values


def test_products_and_trace():
    a, values = tall(30, 8)
    gram = Gram(Hidden(a))
    check_operator(gram, a @ a.T)
    assert_close(gram.root.dense(), a.T)
    found = nakami.trace(gram)
    assert found.value == pytest.approx(float(values.square().sum()))
    assert (found.exact, found.n_products) == (True, 8)
    assert found.reason == "exact: the squared norm of a 30 x 8 matrix"
    assert not nakami.trace(gram, 0.1, method="estimate").exact


def test_blocks_are_narrow_where_the_middle_is_long(monkeypatch):
    a, _ = tall(30, 8)
    gram = Gram(Hidden(a.T))
    monkeypatch.setattr("nakami.spectra._operator.MIDDLE", 500)
    widths = []
    monkeypatch.setattr(
        gram.base, "_matmat", lambda block: widths.append(block.shape[1]) or a.T @ block
    )
    assert_close(gram @ torch.eye(8, dtype=torch.float64), a.T @ a)
    assert max(widths) == 2
    assert gram.exact_trace() is None  # the matrix itself is longer than that


@pytest.mark.parametrize(
    ("shape", "budget", "way"),
    [((90, 20), None, "dense"), ((90, 20), 20_000, "dual"), ((800, 300), None, "krylov")],
)
def test_eigenpairs_by_the_root(shape, budget, way):
    a, values = tall(*shape)
    gram = Gram(Hidden(a))
    top = nakami.eigh(gram, 4, tol=1e-8, memory_budget=budget)
    assert (top.method, top.settings["root"], top.converged) == ("root", way, True)
    miss = (top.values / values[:4].square() - 1).abs()
    assert (miss <= top.errors + 1e-13).all()
    dense = a @ a.T
    real = (dense @ top.vectors - top.vectors * top.values).norm(dim=0)
    assert_close(top.residuals, real, rtol=1e-6, atol=1e-14)
    assert_close(top.vectors.T @ top.vectors, torch.eye(4).double(), rtol=0, atol=1e-12)


def test_the_root_is_left_where_it_does_not_help():
    a, _ = tall(90, 20)
    gram = Gram(Hidden(a))
    assert nakami.eigh(gram, 21).method == "dense"  # more than the rank
    assert nakami.eigh(gram, 4, method="krylov").method == "krylov"
    assert nakami.eigh(gram, 4, which="smallest").method != "root"
    assert nakami.eigh(Gram(Hidden(a.T)), 4).method == "dense"  # the root is the longer


def test_a_root_that_does_not_converge_says_so():
    a, _ = tall(800, 300, decay=0.999)
    with pytest.warns(UserWarning, match=r"eigh did not converge: \d of 4 values above tol 1e-08"):
        top = nakami.eigh(Gram(Hidden(a)), 4, tol=1e-8, max_products=10)
    assert not top.converged


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_a_gram_matrix_that_is_not_that_of_the_matrix_is_noticed(factor):
    a, values = tall(30, 8)

    class Root(Hidden):
        def gram(self):
            return MatrixOperator(factor * self.matrix @ self.matrix.T)

    class Square(Hidden):
        root = Root(a.T)

    if factor == 1:
        found = nakami.eigh(Square(a @ a.T), 3)
        assert found.converged
        assert_close(found.values, values[:3].square())
        return
    with pytest.warns(NotConvergedWarning, match="3 of 3 values above tol"):
        found = nakami.eigh(Square(a @ a.T), 3)
    assert (found.errors >= 0.009).all()  # they are off by a hundredth
