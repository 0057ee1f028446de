"""Estimates of the remaining time, on costs that are known."""

from types import SimpleNamespace

import pytest

from nakami.results import Work, _progress, share

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


def test_time_left_counts_the_works_to_come(monkeypatch):
    said = []
    clock = iter([0.0, 1.0, 4.0, 10.0])
    monkeypatch.setattr(_progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    tell = share(lambda *a: said.append(a[:3]), 0, 2, "first")
    tell(2, 4, 9.0, "one piece was kept")  # 1 + 9 seconds for three of four pieces
    tell(3, 4, 6.0, "two")
    tell(4, 4, 0.0, "three")
    later = 10 * 4 / 3
    assert said == [
        (2, 8, pytest.approx(9 + later)),
        (3, 8, pytest.approx(6 + later)),
        (4, 8, pytest.approx(later)),
    ]
