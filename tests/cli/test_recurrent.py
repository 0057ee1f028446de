"""``nakami xray --recurrent``: table, JSON, page, and one sentence where something is wrong."""

import json
import re

import numpy as np
import pytest

from nakami import recurrent

NETWORK = """
from torch import nn


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(2, 3, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]


make = Reader
"""
MODEL = ("--model", "odd_net.py:make", "--data", "s.npy")


@pytest.fixture
def sequences(here):
    (here / "odd_net.py").write_text(NETWORK)
    x = np.random.default_rng(0).normal(size=(12, 30, 2)).astype(np.float32)
    np.save(here / "s.npy", x)
    return here


def test_table_json_page_and_again(nakami, sequences):
    import torch

    run = ("xray", "--recurrent", *MODEL, "--inputs", "10", "--seed", "2", "--at", "mean")
    done = nakami(*run, "--json")
    assert done.code == 0, done.err
    body = json.loads(done.out)
    folder = "nakami-out/make/recurrent,inputs-10,at-mean,seed-2"
    assert (body["folder"], body["page"]) == (folder, f"{folder}/report.html")
    torch.manual_seed(2)
    import odd_net

    torch.manual_seed(2)
    x = torch.from_numpy(np.load("s.npy")[:10])
    wanted = recurrent.xray(odd_net.make(), x, at="mean", seed=2)["rnn"]
    got = body["layers"]["rnn"]
    assert got["largest_exponent"] == pytest.approx(wanted.exponents.exponents[0], rel=1e-9)
    assert got["spectrum"]["standard_errors"] == pytest.approx(wanted.exponents.standard_errors)
    assert got["rest"]["radii"] == pytest.approx(wanted.fixed_points.radii)
    over = [r for r in got["over_time"] if r["source"] == "inputs"]
    assert [r["steps"] for r in over] == [1, 5, 10, 20]
    assert over[-1]["largest"] == pytest.approx(wanted.over_time.of("inputs")[:, -1, 0].mean())
    assert got["left_after_steps"] == 20
    page = (sequences / folder / "report.html").read_text(encoding="utf-8")
    assert "Lyapunov spectrum along the inputs" in page
    table = nakami(*run).out
    for word in (
        "Λ₁",
        "10 sequences of 30 steps joined",
        "at the mean input",
        "σ₁(W_hn)",
        "rnn: what is left after t steps",
    ):
        assert word in " ".join(table.split())
    again = nakami("show", folder, "--out", "again.html")
    assert again.out.splitlines()[:12] == table.splitlines()[:12]
    assert (sequences / "again.html").read_text(encoding="utf-8") == page
    nakami(*run[:-2], "--no-page")
    compared = nakami("compare", folder, "nakami-out/make/recurrent,inputs-10,seed-2")
    assert compared.code == 0, compared.err
    assert "constant" in compared.out
    assert "least_radius" in compared.out


def test_without_a_model_the_shipped_gru(nakami, here):
    done = nakami("xray", "--recurrent", "--inputs", "20", "--no-page", "--json")
    assert done.code == 0, done.err
    body = json.loads(done.out)
    assert body["settings"]["training"] == "shipped weights, trained on the 4,000 shipped digits"
    assert body["layers"]["rnn"]["state_size"] == 32
    assert body["layers"]["rnn"]["sigma"] == pytest.approx(3.27, abs=0.01)


WRONG = {
    "subject": (("dbn-digits",), r"a subject must hold recurrent layers, which --recurrent reads"),
    "train seed": (("--train-seed", "1"), r"--train-seed must come with a subject where --recurr"),
    "stages": (("--stages", "rnn"), r"--stages must be left out with --recurrent"),
    "experiments": (("--experiments", "noise"), r"--experiments must be left out with --recurrent"),
    "dtype": (("--dtype", "float32"), r"--dtype must be left out with --recurrent"),
    "weights": (("--weights", "s.npy"), r"--weights must come with --model"),
    "data": (("--data", "s.npy"), r"--data must come with --model, got none"),
    "at": (("--at", "one"), r"--at must be one of zero, mean, got 'one'"),
    "steps": ((*MODEL, "--steps", "1;2"), r"--steps must be whole numbers with commas between, "),
    "falling": ((*MODEL, "--steps", "5,2"), r"--steps must be rising whole numbers from 1, got "),
    "top": (
        (*MODEL, "--top", "9"),
        r"--top must be a whole number from 1 to 3 \(the state of",
    ),
    "other net": (("--model", "mlp"), r"--model must hold an nn\.RNN, nn\.GRU or nn\.LSTM, got "),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_one_sentence(nakami, sequences, case):
    arguments, message = WRONG[case]
    done = nakami("xray", "--recurrent", *arguments)
    assert (done.code, done.out) == (2, ""), done.err
    last = done.err.strip().splitlines()[-1]
    assert re.search(message, last), done.err
    assert not list(sequences.glob("nakami-out/**/run.json"))


def test_steps_are_chosen(nakami, sequences):
    run = ("xray", "--recurrent", *MODEL, "--no-page", "--json", "--steps")
    done = nakami(*run, "2, 3,30")
    assert done.code == 0, done.err
    body = json.loads(done.out)
    assert body["folder"] == "nakami-out/make/recurrent,steps-2+3+30"
    assert body["settings"]["steps"] == [2, 3, 30]
    over = body["layers"]["rnn"]["over_time"]
    assert [row["steps"] for row in over[:3]] == [2, 3, 30]
    done = nakami(*run, "2,40")
    assert (done.code, done.out) == (2, "")
    assert "--steps must be at most 30, the length of the longest sequence, got 40" in done.err
    done = nakami("xray", "--steps", "2")
    assert "--steps must come with --recurrent" in done.err


def test_where_comes_with_recurrent(nakami, here):
    done = nakami("xray", "--at", "mean")
    assert done.code == 2
    assert done.err == "nakami: --at must come with --recurrent, got an x-ray; leave it out.\n"


def test_the_networks_of_a_training_are_read(nakami, sequences):
    settings = ("hidden=4", "layers=2", "epochs=1", "batch=4", "window=10")
    options = [part for text in settings for part in ("--set", text)]
    (sequences / "text.txt").write_text("the cat sat on the mat.\n" * 60, encoding="utf-8")
    made = nakami("train", "rnnlm-text", "--data", "text.txt", "--no-page", *options)
    folder = next((sequences / "nakami-out/rnnlm-text").glob("weights-*"))
    assert made.code == 0, made.err
    run = ("xray", str(folder), "--recurrent", "--no-page", "--inputs", "5")
    done = nakami(*run, "--json")
    body = json.loads(done.out)
    assert list(body["layers"]) == ["layer1", "layer2"]
    assert body["settings"]["subject"] == "rnnlm-text/tanh"
    assert body["settings"]["layers"][0]["sequences"] == 5
    assert "tanh units" in body["settings"]["training"]
    assert body["folder"].startswith("nakami-out/rnnlm-text/recurrent,data-text.txt")
    again = nakami(*run)
    assert again.code == 0, again.err
    assert "layer2" in again.out
