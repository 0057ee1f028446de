"""Numbers of Python, NumPy and torch are taken alike; what is none is refused."""

import numpy as np
import pytest
import torch

from nakami.results import (
    UsageError,
    check_at_least,
    check_budget,
    check_count,
    check_ends,
    check_fraction,
    check_seed,
    check_sizes,
    is_number,
    is_whole,
)

WHOLE = (3, np.int64(3), np.array(3), torch.tensor(3))


@pytest.mark.parametrize("value", WHOLE)
def test_whole_numbers(value):
    for found in (
        check_at_least("k", value, 1, "use 1"),
        check_count("k", value, 3, "its size", "use 1"),
        check_seed(value),
        check_budget(value),
    ):
        assert type(found) is int
        assert found == 3


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), torch.tensor(0.5)])
def test_real_numbers(value):
    assert is_number(value)
    assert not is_whole(value)
    check_fraction("tol", value, "use 0.1")
    with pytest.raises(UsageError, match="k must be a whole number from 1 on"):
        check_at_least("k", value, 1, "use 1")


@pytest.mark.parametrize("value", [(1, 2), [1.0, 2.0], np.array([1, 2]), torch.tensor([1.0, 2])])
def test_two_ends(value):
    assert check_ends("ends", value, 0, 3, "be two numbers", "write (1, 2)") == (1.0, 2.0)


@pytest.mark.parametrize(
    "value", [(2, 1), (1, 4), (-1, 2), (1, float("nan")), (0, 1, 2), 1, "12", None, ("1", "2")]
)
def test_what_is_no_two_ends(value):
    with pytest.raises(UsageError, match=r"ends must be two numbers, got .*; write \(1, 2\)"):
        check_ends("ends", value, 0, 3, "be two numbers", "write (1, 2)")
    with pytest.raises(UsageError, match="ends must"):
        check_ends("ends", (0, float("inf")), 0, float("inf"), "be finite", "write (1, 2)")


def test_sizes():
    for value in ((3, 4), [np.int64(3), torch.tensor(4)], torch.Size([3, 4])):
        for count in (2, None):
            assert check_sizes("shape", value, count, "be two", "write (3, 4)") == (3, 4)
    for value in ((3,), (3, 0), (3, 4.5), "34", 3, None, (3, True), (), {3, 4}):
        with pytest.raises(UsageError, match=r"shape must be two, got .*; write \(3, 4\)"):
            check_sizes("shape", value, 2, "be two", "write (3, 4)")
    with pytest.raises(UsageError, match="shape must be any"):
        check_sizes("shape", (), None, "be any", "write (3, 4)")


@pytest.mark.parametrize("value", ["3", None, [3], torch.ones(2), np.ones(1), 1j])
def test_what_is_no_number(value):
    assert not is_number(value)
    with pytest.raises(UsageError, match=r"tol must lie between 0 and 1, got .*; use 0.1"):
        check_fraction("tol", value, "use 0.1")


@pytest.mark.parametrize("value", [True, 2.5, "1GiB", 0, torch.tensor(True)])
def test_what_is_no_budget(value):
    with pytest.raises(UsageError, match=r"memory_budget must be a whole number of bytes.*2\*\*30"):
        check_budget(value)


def test_a_budget_may_be_written_as_a_power_of_ten():
    assert check_budget(2e9) == 2_000_000_000
