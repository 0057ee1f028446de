"""One eigenvalue: a run from one vector, and what makes a missed value improbable."""

import math

import pytest
import torch

import nakami
from nakami.spectra._operator import LinearOperator, MatrixOperator
from nakami.spectra.krylov._lanczos import BlockLanczos
from nakami.spectra.krylov._plan import make_plan
from nakami.spectra.krylov._vector_lanczos import UNLIKELY, first_vector


class Diagonal(LinearOperator):
    """Known by its products alone."""

    route = "diagonal"

    def __init__(self, values: torch.Tensor):
        self.values, self.columns = values, 0
        self.shape, self.dtype, self.device = (len(values),) * 2, values.dtype, values.device

    def _matmat(self, block: torch.Tensor) -> torch.Tensor:
        self.columns += block.shape[1]
        return self.values[:, None] * block

    _rmatmat = _matmat


def spectrum(*outliers: float, bulk: float = 0.2, n: int = 3000) -> torch.Tensor:
    rest = bulk * torch.rand(n - len(outliers), generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.tensor(outliers), rest])


def test_the_polynomial_makes_the_last_vector_of_the_first():
    values = torch.linspace(0.1, 1, 300, dtype=torch.float64)
    values[-1] = 1.3
    op = Diagonal(values)
    start, _ = first_vector(op, torch.Generator().manual_seed(0))
    plan = make_plan(op, 1, 1e-4, 1 << 30, None, "symmetric", 1)
    run = BlockLanczos(op, plan, torch.Generator().manual_seed(0), "largest", start)
    for _ in range(6):
        run.expand()
    last, first = run.basis[run.filled], run.basis[0]
    ratio = abs(float(last[-1] / first[-1]))
    assert math.exp(run.polynomial(1.3)) == pytest.approx(ratio, rel=1e-8)


@pytest.mark.parametrize("guessed", [False, True])
def test_a_first_vector_seldom_lacks_a_direction(guessed):
    op, direction = Diagonal(spectrum()), torch.zeros(3000)
    direction[7] = 1
    guess = spectrum(n=3000)[:, None]
    guess[7] = 0  # the worst of guesses: it knows nothing of the direction
    shares, below = [], []
    for seed in range(400):
        generator = torch.Generator().manual_seed(seed)
        v, needed = first_vector(op, generator, guess if guessed else None)
        shares.append(abs(float(v[:, 0] @ direction)) * math.exp(needed) * UNLIKELY)
        below.append(float(v.norm()))
    # The chance of a share below x times that of UNLIKELY is x UNLIKELY.
    small = sum(share < 0.1 for share in shares) / len(shares)
    assert small == pytest.approx(0.1, abs=3 * (0.09 / 400) ** 0.5)
    assert max(abs(length - 1) for length in below) < 1e-5


@pytest.mark.parametrize("outliers", [(1.0,), (5.0, 4.95), (1.0, 0.99, 0.98, 0.97, 0.96), (0.21,)])
def test_right_from_every_seed(outliers):
    op = Diagonal(spectrum(*outliers))
    for seed in range(8):
        found = nakami.eigh(op, 1, tol=1e-3, seed=seed)
        assert found.converged
        assert float(found.values[0]) == pytest.approx(outliers[0], rel=1e-3)
        assert float(found.residuals[0]) <= 1e-3 * outliers[0]
        assert found.settings["unlikely"] == UNLIKELY


def test_a_guess_orthogonal_to_the_top_does_not_hide_it():
    op = Diagonal(spectrum(1.0, 0.9))
    guess = torch.zeros(3000, 1)
    guess[1] = 1  # the second eigenvector, to all digits
    found = nakami.eigh(op, 1, start=guess)
    assert float(found.values[0]) == pytest.approx(1.0, rel=1e-4)


def test_a_good_guess_saves_products():
    op = Diagonal(spectrum(1.0, 0.99, 0.98, 0.97, 0.96))
    cold, used = nakami.eigh(op, 1), op.columns
    warm = nakami.eigh(op, 1, start=cold.vectors)
    assert used == cold.n_products
    assert warm.n_products < 0.8 * cold.n_products


def test_the_other_end_and_matrices_at_hand():
    values = spectrum(1.0)
    low = nakami.eigh(Diagonal(-values), 1, which="smallest")
    assert float(low.values[0]) == pytest.approx(-1.0, rel=1e-4)
    matrix = MatrixOperator(torch.diag(values[:1100]))
    top = nakami.eigh(matrix, 1, method="krylov")
    assert float(top.values[0]) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_by_a_root_of_small_and_large_entries(size):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1200, 1500, generator=generator)
    rows[0] *= 4

    class Root(LinearOperator):
        route, dtype, device, shape = "rows", torch.float32, rows.device, (1200, 1500)

        def _matmat(self, block: torch.Tensor) -> torch.Tensor:
            return size * (rows @ block)

        def _rmatmat(self, block: torch.Tensor) -> torch.Tensor:
            return size * (rows.T @ block)

    found = nakami.eigh(Root().T.gram(), 1, tol=1e-3)
    exact = torch.linalg.svdvals(rows.double())[0] ** 2
    assert found.settings["side"] == "dual"
    assert float(found.values[0]) / size**2 == pytest.approx(float(exact), rel=1e-3)
    v = found.vectors[:, 0].double()
    away = (rows.double().T @ (rows.double() @ v) - exact * v).norm() / exact
    assert away < 0.05
