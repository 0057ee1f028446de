"""One basis or two: the same values, within the memory, and never in silence beyond its range."""

import pytest
import torch
from torch.testing import assert_close

import nakami.spectra.krylov._gram_lanczos as onesided
import nakami.spectra.krylov._runs as engine
from checks import check_triplets
from nakami.results import NotConvergedWarning, UsageError
from nakami.spectra import MatrixOperator, svd
from nakami.spectra.krylov._basis import lengths, turn
from nakami.spectra.krylov._plan import make_plan

FIRST, WHOLE = 60, 500


def graded(span, m=700, n=600, dtype=torch.float32):
    """A matrix whose first 60 values fall to ``span``, and these values."""
    gen = torch.Generator().manual_seed(0)
    top = torch.logspace(0, torch.log10(torch.tensor(span)).item(), FIRST, dtype=torch.float64)
    rest = span * torch.linspace(0.95, 0.1, WHOLE - FIRST, dtype=torch.float64)
    true = torch.cat([top, rest])
    left = torch.linalg.qr(torch.randn(m, WHOLE, generator=gen, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(n, WHOLE, generator=gen, dtype=torch.float64))[0]
    return ((left * true) @ right.T).to(dtype), top


@pytest.mark.parametrize("wide", [False, True], ids=["tall", "wide"])
@pytest.mark.parametrize(("span", "bases"), [(0.1, 1), (0.01, 1), (1e-3, 2), (1e-5, 2)])
def test_two_bases_take_over_where_the_squares_lose_the_small_values(span, bases, wide):
    a, true = graded(span)
    a = a.T.contiguous() if wide else a
    result = svd(a, FIRST, tol=1e-4, method="krylov")
    assert result.converged, result.reason
    assert result.settings["bases"] == bases
    eps = torch.finfo(torch.float32).eps
    assert_close(result.values, true, rtol=2e-6, atol=2 * eps)
    check_triplets(result, a, atol=30 * eps)


def test_without_the_hand_over_small_values_are_wrong_and_said_so(monkeypatch):
    monkeypatch.setattr(engine.GramLanczos, "check_range", lambda self: None)
    a, true = graded(1e-3)
    with pytest.warns(NotConvergedWarning, match="svd did not converge: "):
        result = svd(a, FIRST, tol=1e-4, method="krylov")
    wrong = (result.values - true).abs() / true > 1e-2
    assert wrong.any()
    assert (result.errors[wrong] > 1e-4).all()
    # the residuals reported are the real ones
    back = (a.T.double() @ result.left.double() - result.right.double() * result.values).norm(dim=0)
    assert_close(result.residuals, back, rtol=0.05, atol=1e-6)


def test_squares_alone_would_not_be_right():
    # What the scaled rows are for: the roots of the eigenvalues of A^T A are off by eps (s_1/s)^2.
    a, true = graded(0.006)
    plain = torch.linalg.eigvalsh((a.T @ a).double()).flip(0)[:FIRST].sqrt()
    mine = svd(a, FIRST, tol=1e-5, method="krylov").values  # the method's part, not the run's
    error = lambda values: float(((values - true) / true).norm())  # noqa: E731
    assert error(mine) < 0.3 * error(plain)


def test_values_without_room_for_the_images_are_the_same():
    a, _ = graded(0.05, m=3000, n=600)
    roomy = make_plan(MatrixOperator(a), FIRST, 1e-4, 1 << 30, None, "one")
    budget = 4 * 3600 * (FIRST + 120)
    tight = make_plan(MatrixOperator(a), FIRST, 1e-4, budget, None, "one")
    assert (roomy.images, tight.images) == (True, False)
    with_images = svd(a, FIRST, method="krylov")
    without = svd(a, FIRST, method="krylov", memory_budget=budget)
    assert without.n_products == with_images.n_products + FIRST
    assert_close(without.values, with_images.values, rtol=1e-6, atol=0)
    check_triplets(without, a, atol=1e-5)


def test_no_room_for_two_bases_is_no_silent_error():
    a, _ = graded(1e-4, m=2400, n=600)
    budget = 4 * 3000 * (FIRST + 40)
    with pytest.raises(UsageError, match=r"memory_budget must hold a basis for 60 vectors of 600"):
        make_plan(MatrixOperator(a.T), FIRST, 1e-4, budget, None, "two")
    with pytest.warns(NotConvergedWarning, match="above tol"):
        result = svd(a, FIRST, method="krylov", memory_budget=budget)
    assert result.settings["bases"] == 1


def test_restarts_keep_basis_and_images_together():
    gen = torch.Generator().manual_seed(0)
    true = torch.linspace(1, 0.5, 500, dtype=torch.float64)
    left = torch.linalg.qr(torch.randn(700, 500, generator=gen, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(500, 500, generator=gen, dtype=torch.float64))[0]
    a = (left * true) @ right.T
    op, begun = MatrixOperator(a), []
    restart = onesided.GramLanczos.restart

    def counted(self, keep):
        restart(self, keep)
        begun.append(keep)
        assert_close(self.images[:keep], self.basis[:keep] @ a.T, rtol=0, atol=1e-12)
        small = self.images[:keep] @ self.images[:keep].T
        assert_close(self.core[:keep, :keep], small, rtol=0, atol=1e-12)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onesided.GramLanczos, "restart", counted)
        result = svd(op, 30, tol=1e-8, method="krylov")
    assert len(begun) >= 2
    assert_close(result.values, true[:30], rtol=1e-8, atol=0)


def test_lengths_of_long_rows():
    rows = torch.rand(3, 300_000, generator=torch.Generator().manual_seed(0)) / 300
    exact = rows.double().norm(dim=1)
    assert_close(lengths(rows).double(), exact, rtol=2e-7, atol=0)


def test_a_basis_is_turned_in_place_or_into_new_memory(monkeypatch):
    monkeypatch.setattr("nakami.spectra.krylov._basis.TURN_BYTES", 1000)  # many slices
    basis = torch.randn(6, 501, dtype=torch.float64)
    small = torch.randn(6, 4, dtype=torch.float64)
    expected = small.T @ basis
    out = turn(basis, small, torch.empty(4, 501, dtype=torch.float64))
    assert_close(out, expected)
    assert turn(basis, small).data_ptr() == basis.data_ptr()
    assert_close(basis[:4], expected)
