"""``--select``: one output of a network of several, in every command that reads a network."""

import json
import re

import numpy as np
import pytest
import torch

NETWORK = """
import torch
from torch import nn


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 5)
        self.boxes, self.logits = nn.Linear(5, 8), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return {"boxes": (self.boxes(h), h), "logits": self.logits(h)}


make = Heads
"""
MODEL = ("--model", "heads_net.py:make")


@pytest.fixture
def two_heads(here):
    (here / "heads_net.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    np.save(here / "x.npy", x)
    np.savez(here / "xy.npz", x=x, y=y)
    return here


def body_of(done):
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_stages_and_an_x_ray_end_at_the_output_named(nakami, two_heads):
    read = (*MODEL, "--data", "x.npy", "--json")
    for select, size in ((None, 8), ("boxes.1", 5), ("logits", 3)):
        more = () if select is None else ("--select", select)
        last = body_of(nakami("stages", *read, *more))["stages"][-1]
        assert (last["name"], last["size"]) == ("output", size)
    run = (*read, "--inputs", "2", "--stages", "output", "--no-page", "--select", "logits")
    (found,) = body_of(nakami("xray", *run))["runs"]
    assert found["settings"]["select"] == "logits"
    import heads_net

    torch.manual_seed(0)
    model, x = heads_net.make(), torch.from_numpy(np.load("x.npy"))
    wanted = [
        torch.autograd.functional.jacobian(lambda x: model(x)["logits"], one[None]).reshape(3, 6)
        for one in x[:2]
    ]
    largest = np.mean([float(torch.linalg.svdvals(one)[0]) for one in wanted])
    assert found["summary"][0]["largest"]["mean"] == pytest.approx(largest, rel=1e-5)
    assert found["folder"].endswith("run,select-logits")
    (other,) = body_of(nakami("xray", *run[:-1], "boxes.0"))["runs"]
    assert other["folder"].endswith("run,select-boxes.0")


def test_the_output_read_is_said_on_the_screen(nakami, two_heads):
    read = (*MODEL, "--data", "x.npy", "--select", "logits")
    for command in (
        ("xray", *read, "--inputs", "2", "--stages", "output", "--no-page"),
        ("show", "nakami-out/make/run,select-logits"),
        ("stages", *read),
        ("init", *read),
        ("lr", *MODEL, "--data", "xy.npz", "--select", "logits", "--no-page", "--batch", "20"),
        ("lens", *read, "--stages", "body", "--to", "logits", "--no-page"),
    ):
        done = nakami(*command)
        assert done.code == 0, done.err
        assert "Output read: logits." in done.out, command
    assert "Output read" not in nakami("stages", *read[:-2]).out


def test_learning_rates_and_scales_are_read_at_it(nakami, two_heads):
    rate = ("lr", *MODEL, "--data", "xy.npz", "--json", "--no-page", "--batch", "20")
    folder = body_of(nakami(*rate, "--select", "logits"))["folder"]
    assert "select-logits" in folder
    assert json.loads((two_heads / folder / "run.json").read_text())["select"] == "logits"
    wrong = nakami("lr", *MODEL, "--data", "xy.npz", "--select", "boxes", "--no-page")
    assert wrong.code == 2
    assert wrong.err.splitlines()[-1] == (
        "nakami: --select must name a floating tensor of the model's output, got 'boxes'; names "
        "there: boxes.0, boxes.1, logits."
    )
    scales = ("init", *MODEL, "--data", "x.npy", "--json", "--select")
    assert "select-boxes.1" in body_of(nakami(*scales, "boxes.1"))["folder"]
    wrong = nakami(*scales, "box")
    assert (wrong.code, "names there: boxes.0, boxes.1, logits" in wrong.err) == (2, True)


def test_a_loss_of_one_tensor_says_how_to_choose_it(nakami, two_heads):
    text = (two_heads / "heads_net.py").read_text().replace('"logits": self', '"scores": self')
    (two_heads / "scored_net.py").write_text(text)
    done = nakami("lr", "--model", "scored_net.py:make", "--data", "xy.npz", "--no-page")
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert "got 'boxes.0' of shape (20, 8), 'boxes.1'" in re.sub(r"\(\d+, 8\)", "(20, 8)", last)
    assert last.endswith("; pass --select boxes.0.")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("xray", "--select", "logits"), "--select must come with --model, got none"),
        (("lr", "--select", "logits"), "--select must come with --model, got none"),
        (("init", "--select", "logits"), "--select must come with --model, got none"),
        (("xray", "--recurrent", *MODEL, "--data", "x.npy", "--select", "logits"),
         "--select must be left out with --recurrent"),
        (("stages", *MODEL, "--data", "x.npy", "--select", "mask"), "names there: boxes.0"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_sentence(nakami, two_heads, command, message):
    done = nakami(*command)
    assert (done.code, done.out) == (2, "")
    assert message in done.err.splitlines()[-1]
