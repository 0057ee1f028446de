"""Errors of means over pairs beside the spread of repeats, where pairs share units."""

import numpy as np
import pytest
import torch

from nakami.recipes._dyads import correlation, dyadic_error
from nakami.recipes._embedding_drift import principal_angles


def both_ways(n):
    """All pairs of different units."""
    units = torch.cartesian_prod(torch.arange(n), torch.arange(n))
    return units[units[:, 0] != units[:, 1]]


def repeats(n, of_units, of_pairs, times=400):
    """Means over repeats, and the variance that is found in each."""
    g, units = torch.Generator().manual_seed(0), both_ways(n)
    means, found = [], []
    for _ in range(times):
        own = of_units * torch.randn(n, generator=g)
        values = own[units].sum(1) + of_pairs * torch.randn(len(units), generator=g)
        means.append(float(values.mean()))
        found.append(dyadic_error(values, units) ** 2)
    return np.var(means, ddof=1), np.mean(found), float(values.var()) / len(units)


@pytest.mark.parametrize(("n", "of_units", "of_pairs"), [(6, 1, 1), (12, 1, 0), (30, 0.3, 1)])
def test_the_error_of_a_mean_is_that_of_repeats(n, of_units, of_pairs):
    wanted, found, single = repeats(n, of_units, of_pairs)
    assert found / wanted == pytest.approx(1, abs=0.3)  # of 400 repeats: 7 %
    assert single < 0.3 * wanted  # as if pairs were independent


def test_without_effects_of_units_the_error_is_that_of_independent_pairs():
    wanted, found, _ = repeats(12, 0, 1)
    assert 1 <= (found / wanted) ** 0.5 < 1.3


def test_pairs_of_one_unit_are_counted_once():
    units = torch.arange(9)[:, None].expand(9, 2)
    values = torch.arange(9.0)
    few = 9 * 8 / (7 * 6)
    wanted = few**0.5 * float(values.std(correction=0)) / 3
    assert dyadic_error(values, units) == pytest.approx(wanted)


def test_of_few_units_nothing_is_known():
    assert np.isnan(dyadic_error(torch.ones(6), both_ways(3)))


def test_the_error_of_a_correlation_is_that_of_repeats():
    g, units = torch.Generator().manual_seed(0), both_ways(60)
    found, errors = [], []
    for _ in range(200):
        a, b = torch.randn(2, 60, generator=g)
        x = a[units].sum(1)
        y = x + b[units].sum(1) + torch.randn(len(units), generator=g)
        r, error = correlation(x, y, units)
        assert r == pytest.approx(float(np.corrcoef(x, y)[0, 1]))
        found.append(r)
        errors.append(error**2)
    assert np.mean(errors) / np.var(found) == pytest.approx(1, abs=0.4)
    single = (1 - np.mean(found) ** 2) ** 2 / len(units)
    assert single < 0.3 * np.var(found)


def test_principal_angles_are_those_of_scipy_also_where_they_are_small():
    linalg = pytest.importorskip("scipy.linalg")
    g = torch.Generator().manual_seed(0)
    a = torch.linalg.qr(torch.randn(30, 4, generator=g, dtype=torch.float64))[0]
    moved = a.clone()
    moved[:, 0] += 1e-9 * torch.randn(30, generator=g, dtype=torch.float64)
    moved[:, 1] += torch.randn(30, generator=g, dtype=torch.float64)
    b = torch.linalg.qr(moved)[0]
    wanted = np.rad2deg(linalg.subspace_angles(a.numpy(), b.numpy()))[::-1]
    assert principal_angles(a, b).numpy() == pytest.approx(wanted, rel=1e-6, abs=1e-13)
