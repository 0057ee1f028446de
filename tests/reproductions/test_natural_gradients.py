"""The comparison of natural gradients: its nets, its trainings, how a setting is chosen."""

import importlib.util
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "reproductions" / "natural_gradients.py"


@pytest.fixture(scope="module")
def script():
    if not SCRIPT.exists():
        pytest.skip("the reproductions are not part of this installation")
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location("natural_gradients", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["natural_gradients"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["natural_gradients"]
    sys.path[:] = path


@pytest.fixture(scope="module")
def few():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(40) % 10
    x = torch.rand(40, 1, 28, 28, generator=generator) + y.view(-1, 1, 1, 1) / 5
    return SimpleNamespace(x=x, y=y)


def test_nets_have_the_layers_that_are_named(script):
    def numbers(name):
        return [tuple(p.shape) for p in script.TASKS[name].net().parameters() if p.ndim > 1]

    assert numbers("mlp") == [(1000, 784), (1000, 1000), (1000, 1000), (10, 1000)]
    half = [(1000, 784), (500, 1000), (250, 500), (30, 250)]
    assert numbers("autoencoder") == [*half, *((i, o) for o, i in reversed(half))]
    kinds = [type(m).__name__ for m in script.TASKS["autoencoder"].net()]
    assert kinds == [
        "Flatten",
        *["Linear", "Tanh"] * 3,
        "Linear",
        *["Linear", "Tanh"] * 3,
        "Linear",
    ]
    assert numbers("gru") == [(192, 28), (192, 64), (10, 64)]
    assert numbers("cnn") == [(16, 1, 5, 5), (32, 16, 5, 5), (128, 1568), (10, 128)]


@pytest.mark.parametrize("method", ["momentum", "adam", "ekfac", "quasi-diagonal"])
def test_a_training_lowers_the_loss_and_is_the_same_twice(script, few, method):
    task, setting = script.TASKS["gru"], script.settings(method)[0]
    runs = [script.train(task, few, method, setting, 0, -math.inf, 3) for _ in range(2)]
    assert runs[0]["loss"] == runs[1]["loss"] < 2.4
    assert (runs[0]["reached"], runs[0]["epochs"]) == (False, 3)
    easy = script.train(task, few, method, setting, 0, runs[0]["loss"] * 1.001, 9)
    assert (easy["reached"], easy["epochs"]) == (True, 3) or easy["epochs"] < 3


def test_a_training_that_runs_away_is_stopped_and_says_so(script, few):
    found = script.train(script.TASKS["cnn"], few, "momentum", (0.9, 1e6), 0, 0.0, 9)
    assert not found["reached"]
    assert found["epochs"] == 1
    assert not found["loss"] < 10


def test_fewest_epochs_are_chosen_then_the_lowest_loss(script, tmp_path):
    file = script.Kept(tmp_path / "kept.json", {})
    for i, setting in enumerate(script.settings("ekfac")):
        row = {"reached": i in (2, 5, 7), "epochs": 4 if i in (5, 7) else 9, "loss": 0.5 - i / 100}
        file.add(script.label("ekfac", setting, 0), row)
    assert script.chosen(file, "ekfac") == script.settings("ekfac")[7]
    assert script.chosen(file, "kfac") == script.settings("ekfac")[7]
    none = script.Kept(tmp_path / "none.json", {})
    for i, setting in enumerate(script.settings("adam")):
        none.add(
            script.label("adam", setting, 0),
            {"reached": False, "epochs": 9, "loss": (3.0, math.nan, 1.0)[min(i, 2)]},
        )
    assert script.chosen(none, "adam") == script.settings("adam")[2]
