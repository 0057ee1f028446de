"""How ``pooling_and_sharing.py`` judges its expectations, on numbers made by hand."""

import pytest
from scipy import stats


@pytest.fixture(scope="module")
def page(reproduction):
    return reproduction("_pooling_report")


def records(**errors):
    return [
        {"variant": name, "seed": seed, "error": error}
        for name, each in errors.items()
        for seed, error in enumerate(each)
    ]


def test_differences_are_paired_by_seed(page):
    base, other = (3.0, 5.0, 9.0), (4.0, 6.5, 9.5)
    made = records(base=base, local=other)
    mean, half = page.paired(made[::-1], "local", lambda r: r["error"])
    low, high = stats.ttest_rel(other, base).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("mean", "half", "wanted", "found"),
    [
        (-2, 1, "lower", "yes"),
        (2, 1, "lower", "no, the other way"),
        (2, 1, "higher", "yes"),
        (-1, 1, "lower", "cannot be told"),
        (-1, float("nan"), "lower", "cannot be told"),
    ],
)
def test_what_is_said_of_a_difference(page, mean, half, wanted, found):
    assert page.judged(mean, half, wanted) == found
