"""What `nakami.tune` says of schedules and clipping is what the stored runs hold."""

import json
import math
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
clipping = pytest.importorskip("benchmarks.knobs.clipping", reason="benchmarks not installed")
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


def test_the_counts_of_clipping_are_those_of_the_runs():
    found = json.loads((ROOT / "benchmarks/knobs/results/clipping.json").read_text())
    gains = []
    for task in {key.split("|")[0] for key in found}:
        logs = {
            norm: sum(math.log(found[f"{task}|{seed}"][f"1|{norm}"]["final"]) for seed in (0, 1))
            / 2
            for norm in ("None", "1.0")
        }
        gains.append(logs["1.0"] - logs["None"])
    assert len(gains) == choices.TASKS
    lower, higher = sum(g < -0.02 for g in gains), sum(g > 0.02 for g in gains)
    assert {"lower": lower, "higher": higher} == choices.CLIPPED
    assert f"{lower} lower, {higher} higher" in clipping.report(found)


def test_a_run_that_only_clipping_saves_is_a_gain_without_end():
    lost = {"final": None, "clipped_share": 0.0}
    kept = {"final": 1.0, "clipped_share": 0.5}
    found = {f"waves|{seed}": {"1|None": lost, "1|1.0": kept} for seed in (0, 1)}
    assert clipping.gain(found, "waves", 1) == (-math.inf, 0.5)
    both = {f"waves|{seed}": {"1|None": lost, "1|1.0": lost} for seed in (0, 1)}
    assert clipping.gain(both, "waves", 1) == (0.0, 0.0)


def test_the_counts_beside_prodigy_are_those_of_the_held_back_run():
    found = json.loads((ROOT / "benchmarks/knobs/results/advice.held-back.json").read_text())
    regrets = {"nakami tune": [], "Prodigy": []}
    for key, case in found["cases"].items():
        method, horizon, _, _ = key.split("/")
        if horizon == "200" and method in regrets:
            regrets[method].append(math.inf if case["regret"] is None else case["regret"])
    ours, prodigy = (sum(r <= 0.1 for r in each) for each in regrets.values())
    assert {"prodigy": prodigy, "ours": ours, "cases": 24} == choices.PRODIGY
    assert all(len(each) == 24 for each in regrets.values())
