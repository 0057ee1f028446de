"""What is said of a network has a doubt or a bound, also where all examples are alike."""

import math

import pytest
import torch
from scipy import stats

from nakami.recipes._facts import mean_fact, resampled_fact, share_fact
from nakami.recipes._left import table_of_facts
from nakami.recipes._subject import Network


def row_of(fact):
    (row,) = table_of_facts([Network("net", torch.nn.Identity(), "", [fact])])["rows"]
    return row


@pytest.mark.parametrize(("value", "n"), [(False, 6), (False, 12), (True, 30)])
def test_a_share_of_0_or_1_has_a_bound(value, n):
    fact = share_fact("test error", torch.full((n,), value), "digit", "; a guess: 10")
    assert fact["value"] == 100 * value
    assert fact["spread"] == pytest.approx(100 * stats.beta.ppf(0.68, 1, n))
    assert fact["spread_kind"] == f"one-sided bound of 68 %, {n} digits all alike; a guess: 10"
    assert row_of(fact)[3] == f"{fact['spread']:.{1 if n > 12 else 1 if n == 12 else 0}f} %"


def test_other_shares_have_their_standard_error():
    which = torch.arange(50) < 5
    fact = share_fact("test error", which, "digit")
    assert fact["spread"] == pytest.approx(100 * stats.binom.std(50, 0.1) / 50)
    assert fact["spread_kind"] == "binomial standard error, 50 digits"


def test_repeats_that_are_all_alike_have_the_bound_of_their_parts():
    found = resampled_fact("precision", 0.0, 0.0, 12, "test scene", "drawn again")
    assert found["spread"] == pytest.approx(100 * stats.beta.ppf(0.68, 1, 12))
    assert found["spread_kind"] == "one-sided bound of 68 %, 12 test scenes all alike"
    usual = resampled_fact("precision", 0.5, 0.03, 12, "test scene", "drawn again")
    assert (usual["spread"], usual["spread_kind"]) == (3.0, "standard error, drawn again")


def test_of_one_alone_the_error_is_unknown_and_says_so():
    for fact in (
        resampled_fact("precision", 0.5, 0.0, 1, "test scene", ""),
        mean_fact(torch.ones(1), "mean", "", "test scene"),
    ):
        assert fact["spread"] is None
        assert row_of(fact)[3:] == ("", "unknown of 1 test scene")
    undefined = resampled_fact("MOTA", math.nan, math.nan, 5, "film part", "")
    assert row_of(undefined)[2:] == ("nan %", "", "unknown of 5 film parts")


def test_values_that_are_all_alike_have_no_error():
    fact = mean_fact(torch.full((20,), 13.27583351001347367), "bits", "bits", "piece")
    assert (fact["spread"], fact["spread_kind"]) == (None, "unknown of 20 pieces, all alike")
    assert row_of(mean_fact(torch.full((4,), 2.0), "units", "", "digit"))[2:4] == ("2", "")
    fact = mean_fact(torch.tensor([1.0, 2.0, 3.0, 4.0]), "bits", "bits", "piece")
    assert fact["spread"] == pytest.approx((5 / 3) ** 0.5 / 2)
