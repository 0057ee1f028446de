"""What the count of RateControl calls saved, delayed, helped and harmed; its places on the grid."""

import json
import math

import pytest

control = pytest.importorskip("benchmarks.knobs.control", reason="the benchmarks are not installed")
from benchmarks.knobs import control_tables, tasks  # noqa: E402

CONSTANT = 2.0


def run(final, steps=600, total=0.0):
    return {"final": final, "steps": steps, "sum": total, "cpu_s": 1.0, "cost": 30.0, "log": []}


@pytest.mark.parametrize(
    ("plain", "other", "verdict"),
    [
        (run(None, 20), run(1.9), "saved"),
        (run(2.1), run(1.9), "saved"),
        (run(None, 20), run(None, 40), "delayed"),
        (run(None, 20), run(2.1), "delayed"),
        (run(None, 20), run(None, 20), "not saved"),
        (run(2.1), run(None, 500), "not saved"),
        (run(1.0), run(None, 500), "harmed"),
        (run(1.9), run(2.01), "harmed"),
        (run(1.0), run(math.exp(0.11)), "harmed"),
        (run(1.0), run(math.exp(0.09)), "same"),
        (run(1.0), run(math.exp(-0.11)), "helped"),
        (run(1.0), {"refused": "no"}, "refused"),
    ],
)
def test_verdicts(plain, other, verdict):
    found = control.judged(plain, other, run(0.5), CONSTANT)
    assert found["verdict"] == verdict
    if verdict == "saved":
        assert found["behind"] == pytest.approx(math.log(1.9 / 0.5))


def test_identical_runs_are_those_with_the_same_losses():
    assert control.judged(run(1.0, total=5.0), run(1.0, total=5.0), run(1.0), 2)["identical"]
    assert not control.judged(run(1.0, total=5.0), run(1.0, total=5.1), run(1.0), 2)["identical"]


def test_places_and_pairs(tmp_path, monkeypatch):
    if lacking := tasks.missing("friedman"):
        pytest.skip(lacking)
    monkeypatch.setattr(control, "NAMES", ("friedman",))
    path = tmp_path / "control.json"
    runs = {f"friedman|adamw|{place}|plain|0": run(5.0) for place in (-8, -5, -4, -2)}
    runs["friedman|adamw|-1|plain|0"] = run(None, 30)
    runs["friedman|adamw|-5|control|0"] = run(5.0)
    path.write_text(json.dumps(runs))
    counted = control.Counted(path)
    assert counted.places("friedman", "adamw", make=False) == {
        "creeps": -8, "good": -5, "high": -4, "lost": -1, "far": 1,
    }  # fmt: skip
    assert counted.places("friedman", "momentum", make=False)["lost"] == -5  # by its grid
    (pair,) = counted.pairs(0)
    assert (pair["kind"], pair["verdict"], pair["identical"]) == ("good", "same", True)
    told = control_tables.report([pair], "Seed 0")
    assert "| good, adamw | 1 | 0 |" in told
    assert "median 5.0%" in told
    assert "| good | 1 | 1 | 0 | 0 | 0 |" in control_tables.short([pair], [pair])
