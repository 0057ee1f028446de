"""Shares with an interval that is open where all inputs agree."""

import math

import numpy as np
import pytest
from scipy import stats

from nakami.results import LinearProbe, Share, binomial_error
from nakami.results._share import share_of


def test_sixteen_of_sixteen_is_not_certain():
    found = share_of(np.ones(16))
    wanted = stats.binomtest(16, 16).proportion_ci(0.95, "wilson")
    assert (found.mean, found.low, found.high) == pytest.approx((1, wanted.low, 1))
    assert str(found) == "1 (0.81 to 1)"
    assert found.named("kept") == {"kept": 1, "kept_low": found.low, "kept_high": 1}


def test_a_share_of_0_or_1_has_the_bound_of_the_beta_distribution():
    for n in (1, 6, 30, 1000):
        bound = stats.beta.ppf(0.68, 1, n)  # Clopper and Pearson's, one-sided
        assert binomial_error(0, n) == pytest.approx(bound)
        assert binomial_error(1.0, n) == pytest.approx(bound)
        assert stats.binom.pmf(0, n, bound) == pytest.approx(0.32)


def test_other_shares_have_the_spread_of_counts():
    shares = np.array([0.1, 0.5, np.nan])
    found = binomial_error(shares, [50, 10, 7])
    assert found[:2] == pytest.approx(stats.binom.std([50, 10], shares[:2]) / [50, 10])
    assert np.isnan(found[2])
    probe = LinearProbe(("a", "b"), np.array([0, 0.1]), *[np.zeros(2)] * 5, 40, 50, 2)
    assert probe.standard_error == pytest.approx([1 - 0.32 ** (1 / 50), found[0]])


def test_several_draws_at_one_input_count_as_one():
    """The interval holds the true share at least 19 times in 20, if inputs differ or not."""
    rng = np.random.default_rng(0)
    for spread in (0.0, 0.5, 10.0):  # inputs alike; different; each all or nothing
        missed = 0
        for _ in range(400):
            odds = rng.normal(1.0, spread, 16) if spread else np.full(16, 1.0)
            draws = rng.random((16, 5)) < (1 / (1 + np.exp(-odds)))[:, None]
            many = rng.normal(1.0, spread, 4000) if spread else np.full(1, 1.0)
            true = (1 / (1 + np.exp(-many))).mean()
            found = share_of(draws.mean(1))
            missed += not found.low <= true <= found.high
        assert missed <= 400 * 0.05 + 3 * (400 * 0.05 * 0.95) ** 0.5


def test_nothing_known_is_no_interval():
    found = share_of(np.array([np.nan]))
    assert all(map(math.isnan, (found.mean, found.low, found.high)))
    assert str(found) == ""
    assert isinstance(found, Share)
