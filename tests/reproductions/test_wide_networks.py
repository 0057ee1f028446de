"""The scripts on wide random networks, in small sizes."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import nakami

FOLDER = Path(__file__).resolve().parents[2] / "reproductions"
NAMES = (
    "source_003_learning_rate_map",
    "karakida_2019_statistics",
    "karakida_2019_mean_subtraction",
    "karakida_2020_natural_step",
)


@pytest.fixture(scope="module")
def scripts():
    if not FOLDER.is_dir():
        pytest.skip("the reproductions are not part of this installation")
    path, found = list(sys.path), {}
    for name in NAMES:
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        found[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    yield found
    sys.path[:] = path


def test_slope_is_least_squares(scripts):
    x, y = [1.0, 2, 5, 10], [3.0, 1.4, 0.7, 0.28]
    wanted = stats.linregress(np.log(x), np.log(y))
    found = scripts["karakida_2019_statistics"].log_slope(x, y)
    assert found == pytest.approx((wanted.slope, wanted.stderr))


def test_records_are_kept_and_other_settings_refused(scripts, tmp_path):
    kept_class = scripts["karakida_2019_statistics"].Kept
    kept = kept_class(tmp_path / "a.json", {"law": (1, 2)})
    kept.add("one", {"x": 1.5})
    again = kept_class(tmp_path / "a.json", {"law": (1, 2)})
    assert again.records == {"one": {"x": 1.5}}
    assert again.missing(["one", "two"]) == ["two"]
    with pytest.raises(SystemExit, match="made with other settings; move it away"):
        kept_class(tmp_path / "a.json", {"law": (1, 3)})


def test_statistics_near_theory(scripts):
    script = scripts["karakida_2019_statistics"]
    found = script.ratios(script.measure("tanh", 2, 150, 0), "tanh", 2, 150)
    assert 0.85 < found["m"] < 1.15
    assert 0.7 < found["edge"] < 1.3
    assert found["max"] >= found["top"]


def test_statistics_against_the_jacobian(scripts):
    script = scripts["karakida_2019_statistics"]
    record = script.measure("tanh", 2, 12, 3)
    source = script.generator(0, 2, 12, 3)
    model = script.network((12, 12, 12, 2), "tanh", source)
    x = torch.randn(100, 12, generator=source)
    weights = dict(model.named_parameters())
    parts = torch.func.jacrev(lambda w: torch.func.functional_call(model, w, (x,)))(weights)
    rows = torch.cat([p.reshape(200, -1) for p in parts.values()], 1).detach().double()
    values = torch.linalg.eigvalsh(rows.T @ rows / 100)
    assert record["parameters"] == len(values)
    assert record["trace"] == pytest.approx(float(values.sum()), rel=1e-4)
    assert record["square"] == pytest.approx(float(values.square().sum()), rel=1e-4)
    assert record["top"] == pytest.approx(float(values[-2:].mean()), rel=1e-4)


def test_mean_subtraction_is_that_of_the_outputs(scripts):
    script = scripts["karakida_2019_mean_subtraction"]
    source = script.generator(1)
    model = script.network((15, 15, 15, 1), "tanh", source, torch.float64)
    x = torch.randn(20, 15, generator=source, dtype=torch.float64)
    data = x, torch.zeros(20, 1, dtype=torch.float64)
    plain = nakami.fisher(model, data, nn.MSELoss())
    less = nakami.fisher(
        nakami.View(model, forward=lambda m, x: m(x) - m(x).mean(0)), data, nn.MSELoss()
    )
    dual = plain.kernel.dense()
    found = script.largest(script.centred(dual))
    assert found == pytest.approx(float(nakami.eigh(less, 1, 1e-8).values[0]), rel=1e-6)
    assert found < 0.9 * script.largest(dual)


def test_natural_step_solves_the_linear_network(scripts):
    script = scripts["karakida_2020_natural_step"]
    found = script.measure("linear", 100, 0)
    for way, blocks in (("whole", 1), ("by layers", 3)):
        wanted = [abs(1 - blocks * rate) for rate in script.RATES]
        assert found[way] == pytest.approx(wanted, abs=0.02)


def test_natural_step_against_the_matrix(scripts):
    script = scripts["karakida_2020_natural_step"]
    source = script.generator(2)
    model = script.network((5, 4, 4, 2), "tanh", source, torch.float64)
    x = torch.randn(3, 5, generator=source, dtype=torch.float64)
    y = torch.randn(3, 2, generator=source, dtype=torch.float64)
    op = nakami.fisher(model, (x, y), nn.MSELoss())
    matrix = op.dense()
    gradient = op.gradient()  # MSELoss over two outputs is half the squared error, summed
    matrix += script.DAMPING * matrix.trace() * torch.eye(len(matrix))
    wanted = -torch.linalg.solve(matrix, gradient)
    found = script.natural_step(op, (model(x) - y).detach(), ("*",))
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_map_goes_on_where_it_stopped(scripts, tmp_path, capsys):
    script = scripts["source_003_learning_rate_map"]
    task = replace(script.TASKS["artificial"], widths=(30,), rates=(0.3, 2, 10), trials=1)
    task = replace(task, batch=20, steps=40)
    script.fill(task, tmp_path, None)
    assert capsys.readouterr().out.count("CPU") == 3
    script.fill(task, tmp_path, None)
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "artificial-tanh.json").read_text())["records"].keys() == {"30/0"}
    for phi in script.LAWS:
        reading = script.Reading(task, tmp_path, phi, 30)
        assert reading.converged[0].tolist()[::2] == [True, False]
        assert reading.borders[0] in (0.3, 2)
    page = "\n".join(script.report(tmp_path, [task]))
    assert "| tanh | 30 |" in page


def test_catapult_rises_and_comes_back(scripts, tmp_path):
    script = scripts["source_003_learning_rate_map"]
    task = replace(script.TASKS["artificial"], widths=(7,), rates=(1.0, 2.0, 3.0), trials=1)
    record = {"eta_c": 1, "measured": 1, "first": 2.0, "cpu": 0}
    record |= {"peak": [2.0, 9.0, 9.0], "last": [0.1, 0.1, 3.0]}
    script.kept(task, tmp_path, "relu").add("7/0", record)
    reading = script.Reading(task, tmp_path, "relu", 7)
    assert reading.catapult.tolist() == [[False, True, False]]
    assert reading.borders.tolist() == [2.0]
    assert reading.fastest == 1.0
