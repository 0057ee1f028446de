"""A value that the random start cannot see is found by the search outside the basis."""

import pytest
import torch
from torch.testing import assert_close

import nakami
from nakami.spectra.krylov._complement import Outside
from nakami.spectra.krylov._decomposition import KrylovDecomposition
from nakami.spectra.krylov._lanczos import BlockLanczos

CASES = {  # function, class of its run, size and least value
    "svd": (nakami.svd, KrylovDecomposition, 1400, 0.1),
    "eigh": (nakami.eigh, BlockLanczos, 600, -8.0),
}


@pytest.fixture(params=CASES)
def case(request, monkeypatch):
    """A function and a diagonal matrix whose largest value the run's random directions miss."""
    function, run, n, least = CASES[request.param]
    values = torch.linspace(1, least, n, dtype=torch.float64)
    values[:40] = torch.linspace(9, 5, 40, dtype=torch.float64)
    draw = run._random

    def blind(self, count, basis, others):
        rows = draw(self, count, basis, others)
        if basis[:, 0].any() or others[:, 0].any():
            return rows  # the axis is known by now
        rows[:, 0] = 0
        return torch.linalg.qr(rows.T)[0].T

    monkeypatch.setattr(run, "_random", blind)
    return function, values.diag()


def test_a_missed_value_is_found(case):
    function, matrix = case
    result = function(matrix, 3, tol=1e-7, method="krylov")
    assert result.converged
    assert_close(result.values, matrix.diagonal()[:3], rtol=1e-6, atol=0)


def nothing_outside(product, basis, waiting, form, asked, generator):
    """A search that sees nothing and certifies all the same."""
    return Outside(-1e300, asked.level, torch.zeros(1), basis[:1], 1)


def test_without_the_search_it_would_be_missed(case, monkeypatch):
    function, matrix = case
    monkeypatch.setattr("nakami.spectra.krylov._driver.outside", nothing_outside)
    result = function(matrix, 3, method="krylov")
    assert result.converged
    assert float(result.values[0]) < 8.95  # the value 9 never shows
