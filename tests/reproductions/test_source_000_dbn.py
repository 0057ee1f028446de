"""The reproduction's road in a tiny size, and its rule of judging on made-up networks."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest
from scipy import stats

FOLDER = Path(__file__).resolve().parents[2] / "reproductions"


@pytest.fixture(scope="module")
def script():
    if not FOLDER.is_dir():
        pytest.skip("the reproductions are not part of this installation")
    spec = importlib.util.spec_from_file_location("source_000_dbn", FOLDER / "source_000_dbn.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["source_000_dbn"] = module
    path = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path


def record(seed, counts, rate=None, epochs=0, reconstruction="sample"):
    stages = {
        f"hidden{i}": {"count": c, "effective_rank": c, "largest": c}
        for i, c in enumerate(counts, 1)
    }
    return {
        "seed": seed, "reconstruction": reconstruction, "rate": rate, "epochs": epochs,
        "error": {"value": 2.0, "spread": 0.1}, "input": stages, "own": stages,
    }  # fmt: skip


def made_up(rise):
    """Three seeds, four images; counts fall with depth and move by ``rise[seed]`` in tuning."""
    before = [[40, 50, 45, 41], [15, 16, 14, 15], [9, 8, 9, 9]]
    records = []
    for seed in range(3):
        moved = [[c + rise[seed] for c in row] for row in before]
        records += [record(seed, before), record(seed, moved, 0.1, 5)]
    return [*records, record(0, before, None, 0, "mean"), record(0, before, 0.1, 5, "mean")]


def test_interval_is_students(script):
    x = [1.0, 2.0, 4.0]
    low, high = stats.t.interval(0.95, 2, loc=sum(x) / 3, scale=stats.sem(x))
    found = script.judge.__globals__["interval"](x)
    assert (found["low"], found["high"]) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("rise", "expected"),
    [
        ((2.0, 2.1, 2.2), "holds"),
        ((-2.0, -2.1, -2.2), "contradicted"),
        ((2.0, -1.0, 0.5), "not decided"),
        ((0, 0, 0), "not decided"),
    ],
)
def test_rule_of_judging(script, rise, expected):
    result = script.judge(made_up(rise))
    assert {row["verdict"] for row in result["depth"]} == {"holds"}
    assert {row["count"]["verdict"] for row in result["tuning"]} == {expected}
    assert result["sensitivity"][0]["count"]["verdict"] == "not decided"  # one seed decides nothing


@pytest.mark.slow
def test_tiny_run_goes_on_where_it_stopped(script, tmp_path, monkeypatch, capsys):
    plan = script.Plan((0, 1), (0.1,), (1, 2), 1, 2, (10, 8), 100, 50)
    monkeypatch.setattr(script, "TINY", plan)
    arguments = ["--tiny", "--out", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    script.main(arguments)
    written = json.loads((tmp_path / "results" / "source_000_dbn_tiny.json").read_text())
    assert [level["seed"] for level in written["levels"]] == [0, 0, 0, 1, 1, 1, 0, 0]
    units = sorted((tmp_path / "cache_tiny").glob("*.json"))
    assert len(units) == 8
    first = {unit.name: json.loads(unit.read_text()) for unit in units}
    for unit in units[::2]:
        unit.unlink()
    pieces = tmp_path / "cache_tiny" / "weights-sample-seed1" / "pieces"
    shutil.rmtree(pieces / "rate0.1-epochs2")
    script.main(arguments)
    for unit in units:
        again = json.loads(unit.read_text())
        assert {**again, "minutes": 0} == {**first[unit.name], "minutes": 0}
    page = (tmp_path / "results" / "source_000_dbn_tiny.md").read_text()
    assert "About" not in page
    assert "## Outcome" in page
    assert "about 0 minutes" in capsys.readouterr().out
