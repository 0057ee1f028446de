"""Some of many, evenly."""

import numpy as np
import pytest

from nakami.results import evenly


@pytest.mark.parametrize(
    ("every", "most", "wanted"),
    [
        (range(9), 3, [0, 4, 8]),
        (range(101), 6, [0, 20, 40, 60, 80, 100]),
        ("abc", 6, ["a", "b", "c"]),
        ("abc", 1, ["a"]),
        ((), 3, []),
    ],
)
def test_both_ends_are_taken_and_what_lies_between_evenly(every, most, wanted):
    assert evenly(every, most) == wanted


def test_the_places_are_those_of_numpy():
    for n in range(1, 80):
        for most in range(1, n + 1):
            wanted = np.linspace(0, n - 1, most).round().astype(int).tolist()
            assert evenly(range(n), most) == wanted == sorted(set(wanted))
