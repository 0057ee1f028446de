"""What `nakami.tune` says of schedules and clipping is what the stored runs hold."""

import json
import math
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
schedules = pytest.importorskip("benchmarks.knobs.schedules", reason="benchmarks not installed")
from nakami.geometry.setting import _choices as choices  # noqa: E402


def means(runs, horizon, schedule):
    """By task, the mean log final loss over the two seeds; read from the keys alone."""
    found = {}
    for key, run in runs.items():
        of, task, each, _ = key.split("|")
        if (of, each) == (horizon, schedule):
            found.setdefault(task, []).append(math.log(run["final"]))
    assert all(len(logs) == 2 for logs in found.values())
    return {task: sum(logs) / 2 for task, logs in found.items()}


def test_the_counts_of_tune_are_those_of_the_runs():
    runs = json.loads((ROOT / "benchmarks/knobs/results/schedules.json").read_text())
    linear = means(runs, "1500", "linear")
    assert len(linear) == choices.TASKS
    counts = {}
    for other in ("cosine", "constant"):
        beside = means(runs, "1500", other)
        counts[f"{other}_above"] = sum(beside[t] - linear[t] > 0.02 for t in linear)
        counts[f"{other}_below"] = sum(linear[t] - beside[t] > 0.02 for t in linear)
    assert counts == choices.LINEAR


def test_regrets_are_over_the_best_rate_of_the_grid():
    best = schedules.Case("waves", "adamw").log_losses("200")
    lowest = min(best.values(), key=lambda logs: logs.mean())
    runs = {
        f"200|waves|{schedule}|{seed}": {"final": math.exp(lowest[seed] + add)}
        for add, schedule in enumerate(schedules.SCHEDULES)
        for seed in (0, 1)
    }
    found = schedules.regrets(runs, "200")
    assert list(found) == ["waves"]
    assert found["waves"] == pytest.approx(dict(zip(schedules.SCHEDULES, range(4), strict=True)))
    del runs["200|waves|wsd|1"]
    assert schedules.regrets(runs, "200") == {}
    runs["200|waves|wsd|1"] = {"final": None}
    assert schedules.regrets(runs, "200")["waves"]["wsd"] == math.inf
