"""Means over pairs of inputs: their errors against a simulation."""

import numpy as np
import pytest

from nakami.results import pair_contrast


def sums(numbers):
    """What a pair of inputs has: the sum of a number of each."""
    return numbers[:, None] + numbers


def test_the_jackknife_knows_that_pairs_share_inputs():
    rng = np.random.default_rng(0)
    n, classes = 12, [0] * 12
    found = [pair_contrast(sums(rng.normal(size=n)), classes, 0.0) for _ in range(400)]
    means = np.array([each.same.mean for each in found])
    said = np.mean([each.same.se**2 for each in found])
    assert said == pytest.approx(4 / n, rel=0.1)  # the variance of twice a mean of n numbers
    assert means.var() == pytest.approx(4 / n, rel=0.25)
    naive = np.mean([(2.0 / (n * (n - 1) / 2)) for _ in found])  # as if pairs were independent
    assert naive < said / 5
    assert found[0].verdict == "not known"  # no pair of different classes
    assert found[0].different.pairs == 0


def test_the_contrast_covers_zero_as_often_as_it_says():
    rng = np.random.default_rng(1)
    classes = [0, 1, 2, 3] * 4
    noise = rng.normal(size=(300, 16, 16))
    found = [pair_contrast(e + e.T + sums(rng.normal(size=16)), classes, 0.0) for e in noise]
    wrong = np.mean([each.verdict != "not distinguishable" for each in found])
    assert wrong < 0.09
    alike = np.equal.outer(classes, classes)
    raised = [pair_contrast(e + e.T + 3 * alike, classes, 0.0) for e in noise]
    assert np.mean([each.verdict == "higher" for each in raised]) > 0.95


def test_pairs_that_are_not_known_are_left_out():
    values = np.array([[0, 1, np.nan], [1, 0, 3], [np.nan, 3, 0]])
    found = pair_contrast(values, [0, 0, 1], 0.5)
    assert (found.same.mean, found.different.mean) == (1, 3)
    assert (found.same.pairs, found.different.pairs, found.chance) == (1, 1, 0.5)
    assert np.isnan(found.difference.se)
    assert found.verdict == "not known"
