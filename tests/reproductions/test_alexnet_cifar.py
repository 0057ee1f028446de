"""How ``alexnet_cifar.py`` tells errors on the same pictures apart, against a mean by hand."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def script(reproduction):
    return reproduction("alexnet_cifar")


def test_the_difference_is_the_mean_of_paired_ones(script):
    wrong = np.random.default_rng(0).random((2, 50)) < 0.4
    records = [{"wrong": np.flatnonzero(row).tolist(), "tested": 50} for row in wrong]
    each = wrong[0].astype(float) - wrong[1]
    wanted = 100 * each.mean(), 100 * each.std() / 50**0.5
    assert script.difference(*records) == pytest.approx(wanted)


def test_all_runs_are_settings_of_the_recipe(script):
    for values in script.RUNS.values():
        script.with_values(script.SUBJECTS[script.NAME].settings, values)
