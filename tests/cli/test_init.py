"""``nakami init``: the table, the JSON, the weights it writes, and what it refuses."""

import json

import pytest
import torch
from safetensors.torch import load_file

from nakami.cli._groups import DataOptions, ModelOptions
from nakami.cli.commands import init

MODEL = ("init", "--model", "small_net:make", "--data", "x.npy")


def test_table_and_sentences(nakami, here):
    done = nakami(*MODEL)
    assert done.code == 0, done.err
    assert done.out.startswith("small_net:make, 3 examples")
    for text in ("first", "second", "head", "Standard errors, from 16 probes"):
        assert text in done.out
    assert "Signal survives: over 2 layers the mean square of the difference" in done.out
    assert "Gradient survives: over 2 layers back" in done.out
    assert "No theory: model must be a fully connected network, got Conv2d at 'first'" in done.out
    assert "Proposal: layer by layer" in done.out
    assert "Then gradient survives" in done.out


def test_json_and_weights(nakami, here):
    done = nakami(*MODEL, "--json", "--save", "new.safetensors", "--probes", 8)
    assert done.code == 0, done.err
    body = json.loads(done.out)
    assert [layer["name"] for layer in body["measured"]["layers"]] == ["first", "second", "head"]
    assert body["measured"]["gradient"]["verdict"] == "survives"
    assert body["theory"] is None
    saved = load_file(here / "new.safetensors")
    for name, scale in body["proposal"]["plan"]["scales"].items():
        assert float(saved[name].square().mean().sqrt()) == pytest.approx(scale, rel=1e-5)
    again = nakami(*MODEL, "--json", "--weights", "new.safetensors", "--probes", 8)
    layers = json.loads(again.out)["measured"]["layers"]
    assert layers == body["proposal"]["after"]["layers"]
    assert torch.all(saved["head.bias"] == 0)


def test_long_tables_leave_the_middle_out(nakami, here):
    (here / "odd_net.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    parts = [nn.Linear(192, 9), *(nn.Linear(9, 9) for _ in range(29))]\n"
        "    return nn.Sequential(nn.Flatten(), *parts)\n"
    )
    done = nakami("init", "--model", "odd_net:make", "--data", "x.npy", "--probes", 2)
    assert done.code == 0, done.err
    rows = [line.split()[0] for line in done.out.splitlines() if line[:2] == "  " and line.strip()]
    assert rows[1:18] == [*map(str, range(1, 9)), "…", *map(str, range(23, 31))]
    assert "χ theory" in done.out
    assert "Theory: ordered" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("init", "--data", "x.npy"), "--data must come with --model, got none"),
        ((*MODEL, "--method", "lsuv"), "--method must be one of auto, critical, data"),
        ((*MODEL, "--method", "critical"), "--method must be one that covers the network"),
        ((*MODEL, "--directions", "x"), "--directions must be one of kept, orthogonal"),
        ((*MODEL, "--save", "w.pt"), "--save must end in .safetensors, got 'w.pt'"),
        ((*MODEL, "--dtype", "int8"), "--dtype must be torch.float32 or torch.float64, got 'int8'"),
        ((*MODEL, "--inputs", "1"), "--inputs"),
        (("init", "--model", "small_net:poisoned", "--data", "x.npy"), "holds NaN or infinite"),
    ],
)
def test_wrong_use_is_one_sentence(nakami, here, arguments, message):
    done = nakami(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert message in done.err
    assert done.err.count("\n") == 1


def test_without_arguments_the_deep_network_is_read():
    title, network, examples = init._subject(ModelOptions(), DataOptions(), 8)
    assert "50 layers" in title
    assert len(examples.inputs) == 8
    assert sum(isinstance(m, torch.nn.Linear) for m in network.modules()) == 50


def test_the_run_is_shown_again(nakami, here):
    made = nakami(*MODEL)
    assert nakami("show", here / "nakami-out" / "make" / "init").out == made.out
