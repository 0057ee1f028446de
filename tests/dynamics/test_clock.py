"""Estimates of the remaining time, on costs that are known."""

import pytest

from nakami.dynamics._clock import Clock

COSTS = {"wide": 9.0, "narrow": 1.0}


def test_the_estimate_is_exact_once_every_kind_was_seen():
    todo = ["wide", "narrow"] * 5
    clock, left = Clock(todo), sum(COSTS[k] for k in todo)
    for i, kind in enumerate(todo):
        left -= COSTS[kind]
        said = clock.done(kind, COSTS[kind])
        if i >= 1:
            assert said == pytest.approx(left)
    assert said == 0


def test_one_mean_over_all_would_jump():
    """After the second input the old estimate was off by 5 x 4, for wide pieces come first."""
    todo = ["wide"] * 5 + ["narrow"] * 5
    clock = Clock(todo)
    said = [clock.done(k, COSTS[k]) for k in todo]
    assert said[5] == 4 * 1.0
    assert sum(COSTS[k] for k in todo[:6]) / 6 * 4 > 30


def test_the_warm_up_is_forgotten():
    clock = Clock(["a"] * 4)
    assert clock.done("a", 100.0) == 300
    assert clock.done("a", 2.0) == 4
    assert clock.done("a", 4.0) == 3
