"""``--batch-statistics``: what each command reads, what it says, and what it chooses itself."""

import json

import numpy as np
import pytest

NETS = """
import torch
from torch import nn


def fresh():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)
    )


def seen():
    net = fresh()
    net.train()(torch.randn(8, 1, 6, 6))
    return net


def dropped():
    net = fresh()
    net.insert(4, nn.Dropout(0.5))
    return net
"""


@pytest.fixture
def made(here):
    (here / "nets.py").write_text(NETS)
    drawn = np.random.default_rng(0)
    x, y = drawn.normal(size=(40, 1, 6, 6)).astype("float32"), drawn.integers(0, 3, 40)
    np.savez(here / "data.npz", x=x, y=y)
    np.save(here / "x.npy", x)
    return here


INIT = ("init", "--data", "x.npy", "--inputs", "8", "--probes", "2")
LR = ("lr", "--data", "data.npz", "--batch", "10", "--batches", "2", "--no-page")
XRAY = ("xray", "--data", "x.npy", "--inputs", "1", "--no-page")


@pytest.mark.parametrize("command", [INIT, LR])
def test_commands_of_whole_batches_choose_them_where_none_were_seen(command, nakami, made):
    own = nakami(*command, "--model", "nets:fresh")
    assert own.code == 0, own.err
    assert "so it is read by those of each batch" in own.err
    assert "Batch normalisation: statistics of the batch." in " ".join(own.out.split())
    running = nakami(*command, "--model", "nets:fresh", "--no-batch-statistics")
    assert "Batch normalisation: running statistics as made" in " ".join(running.out.split())
    seen = nakami(*command, "--model", "nets:seen")
    assert "Batch normalisation: running statistics." in " ".join(seen.out.split())
    assert "each batch" not in seen.err


@pytest.mark.filterwarnings("default::nakami.results.NakamiWarning")
def test_dropout_leaves_the_warning(nakami, made):
    read = nakami(*INIT, "--model", "nets:dropped")
    assert read.code == 0
    assert "untouched (mean 0, variance 1)" in read.err
    assert "--batch-statistics" in read.err


@pytest.mark.filterwarnings("default::nakami.results.NakamiWarning")
def test_an_xray_warns_and_names_the_option(nakami, made):
    read = nakami(*XRAY, "--model", "nets:fresh")
    assert read.code == 0, read.err
    assert read.err.count("untouched (mean 0, variance 1)") == 1
    assert "with --batch-statistics" in read.err
    by_batch = nakami(*XRAY, "--model", "nets:fresh", "--batch-statistics", "--out", "other")
    assert "untouched" not in by_batch.err
    assert "normalisation: statistics of the batch, here of each input alone." in " ".join(
        by_batch.out.split()
    )
    settings = json.loads((made / "other/fresh/run/run.json").read_text())
    assert settings["batch_normalisation"] == "statistics of the batch, here of each input alone"


def test_a_subject_has_no_batch_normalisation(nakami, made):
    read = nakami("xray", "--batch-statistics")
    assert read.code == 2
    assert "--batch-statistics must come with --model" in read.err


def test_long_work_is_announced(nakami, made, monkeypatch):
    monkeypatch.setattr("nakami.dynamics.expected_seconds", lambda *_, **__: 754.0)
    read = nakami(*XRAY, "--model", "nets:seen")
    assert "note: this will take about 12 min 34 s; --inputs, --stages and --top say" in read.err
