"""Estimates of the remaining time, on costs that are known."""

import pytest

from nakami.results import Work

COSTS = {"wide": 9.0, "narrow": 1.0}


def test_the_estimate_is_exact_once_every_kind_was_seen():
    todo = ["wide", "narrow"] * 5
    work, left = Work(todo), sum(COSTS[k] for k in todo)
    for i, kind in enumerate(todo):
        left -= COSTS[kind]
        said = work.done("", kind, COSTS[kind])
        if i >= 1:
            assert said == pytest.approx(left)
    assert said == 0


def test_one_mean_over_all_would_jump():
    """After the second input the old estimate was off by 5 x 4, for wide pieces come first."""
    todo = ["wide"] * 5 + ["narrow"] * 5
    work = Work(todo)
    said = [work.done("", k, COSTS[k]) for k in todo]
    assert said[5] == 4 * 1.0
    assert sum(COSTS[k] for k in todo[:6]) / 6 * 4 > 30


def test_the_warm_up_is_forgotten():
    work = Work(["a"] * 4)
    assert work.done("", "a", 100.0) == 300
    assert work.done("", "a", 2.0) == 4
    assert work.done("", "a", 4.0) == 3


def test_every_piece_is_reported():
    seen = []
    work = Work(["a"] * 2, lambda *said: seen.append(said), before=3)
    work.done("first", "a", 2.0)
    work.done("second", "a", 4.0)
    assert seen == [(4, 5, 2.0, "first"), (5, 5, 0.0, "second")]
