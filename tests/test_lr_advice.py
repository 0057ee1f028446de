"""The benchmark of advice: rates of the grid have its regret; held-back tasks run once."""

import json
import math

import numpy as np
import pytest

grid = pytest.importorskip("benchmarks.lr.grid", reason="the benchmarks are not installed")
from benchmarks.lr import advice, tasks  # noqa: E402

from test_lr_protocol import synthetic  # noqa: E402


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A grid of one case on random examples, run for three rates, twelve steps."""
    monkeypatch.setattr(grid, "RESULTS", tmp_path)
    monkeypatch.setitem(grid.RUN, "steps", 12)
    task = tasks.task("mlp-mnist", synthetic("mlp-mnist"))
    case = grid.read("mlp-mnist", "sgd", tmp_path)
    case.losses = np.full((3, 13, 12), np.nan, np.float32)
    case.seconds[:] = 1.0
    for seed in range(3):
        for at in (5, 6, 7):
            case.losses[seed, at] = grid.train(task, "sgd", seed, task.rates("sgd")[at])
    monkeypatch.setattr(grid, "read", lambda *_: case)
    return task, case


def says(*rates):
    """A method that advises these rates, seed by seed, at a cost of 10."""
    return lambda task, model, steps, seed: advice.Said(rates[seed], 10.0, {})


def test_a_rate_of_the_grid_has_the_regret_of_the_grid(small, monkeypatch):
    task, case = small
    best = advice.score.best_rate(case.final)
    rate = task.rates("sgd")[best]
    monkeypatch.setitem(advice.METHODS, "told", says(rate, rate, rate))
    found = advice.case(task, "sgd", "told")
    assert found["regret"] == pytest.approx(0, abs=1e-6)
    assert found["passed"]
    assert found["final"] == pytest.approx(list(case.final[:, best]))
    assert found["cost"] == [10.0] * 3


def test_no_advice_and_a_failing_method_fail_the_case(small, monkeypatch):
    task, _ = small
    monkeypatch.setitem(advice.METHODS, "told", says(0.1, None, float("nan")))
    found = advice.case(task, "sgd", "told")
    assert found["regret"] == math.inf
    assert not found["passed"]
    assert [math.isinf(f) for f in found["final"]] == [False, True, True]
    monkeypatch.setitem(advice.METHODS, "told", lambda *_: 1 / 0)
    found = advice.case(task, "sgd", "told")
    assert found["more"][0] == {"failed": "ZeroDivisionError: division by zero"}
    assert not found["passed"]


def test_held_back_tasks_are_not_run_again_without_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "RESULTS", tmp_path)
    done = {"runs": [{}], "cases": {"nakami/gru-nottingham/sgd": {"regret": 0.0}}}
    (tmp_path / "advice.held-back.json").write_text(json.dumps(done))
    with pytest.raises(SystemExit, match="reason of a further run with --because"):
        advice.run("held back", ["nakami"], True, "")


def test_summary_counts_what_the_protocol_asks_for():
    cases = {
        "nakami/a/sgd": {"regret": 0.05, "passed": True, "cost": [130] * 3, "final": [1, 1, 1]},
        "nakami/b/sgd": {"regret": 0.2, "passed": True, "cost": [260] * 3, "final": [1, 1, 1]},
        "nakami/c/sgd": {
            "regret": math.inf, "passed": False, "cost": [0] * 3, "final": [1, math.inf, 1],
        },
        "torch-lr-finder/a/sgd": {"missing": "No module named 'torch_lr_finder'"},
    }  # fmt: skip
    row = advice.summary("nakami", cases)
    assert row == ["2 of 3", "1", "0.200", "inf", "1 of 9", "130 (5.0%)"]
    assert advice.summary("torch-lr-finder", cases)[0] == "not installed"
    cases["nakami/b/sgd"]["more"] = [{"advice_cost": 230.0}] * 3  # the rest was a limit
    assert advice.summary("nakami", cases)[-1] == "120 (4.6%)"
