"""``nakami lens``: the table, the JSON, the files it writes, and what it refuses."""

import json

import numpy as np
import pytest
import torch

from nakami.dynamics import load_jacobian_lens
from nakami.results import Lens

NETWORK = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 4)

    def forward(self, x):
        return x + self.down(torch.tanh(self.up(x.cumsum(1))))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.head = nn.Linear(4, 9)

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def make():
    return Decoder()
"""
MODEL = ("lens", "--model", "odd_net:make", "--data", "ids.npy")


@pytest.fixture
def ids(here):
    (here / "odd_net.py").write_text(NETWORK)
    np.save(here / "ids.npy", np.random.default_rng(0).integers(9, size=(6, 5)))
    return here


def test_table_and_files(nakami, ids):
    done = nakami(*MODEL, "--save", "kept", "--positions", "1:")
    assert done.code == 0, done.err
    for text in ("Jacobians to blocks.2, 6 examples", "blocks.0", "blocks.1", "Data: 6 examples"):
        assert text in done.out
    lens = Lens.load(ids / "kept" / "blocks.1.safetensors")
    assert (lens.stage, lens.n_prompts, lens.n_positions) == ("blocks.1", 6, 24)
    assert lens.settings["positions"] == [1, None, None]


def test_json_and_the_published_format(nakami, ids):
    done = nakami(*MODEL, "--json", "--save", "lens.pt", "--inputs", 4, "--dtype", "float64")
    assert done.code == 0, done.err
    body = json.loads(done.out)
    first = body["lenses"][0]
    assert first["stage"] == "blocks.0"
    assert first["n_prompts"] == 4
    assert first["error"] > 0
    assert first["identity_share"]["se"] > 0
    assert "mean" not in first
    found = load_jacobian_lens(ids / "lens.pt")
    assert list(found) == [0, 1]
    assert found[0].values[0] == pytest.approx(first["values"][0], rel=1e-2)
    assert torch.load(body["saved"][0], weights_only=True)["n_prompts"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lens",), "--model must be given, got none"),
        ((*MODEL, "--positions", "3"), "--positions must be two numbers with : between, got '3'"),
        ((*MODEL, "--stages", "blocks.7"), "--stages 'blocks.7' is unknown; nearest"),
        ((*MODEL, "--stages", "blocks.2", "--to", "blocks.0"), "--stages must come before --to"),
        ((*MODEL, "--positions", "9:"), "another --positions"),
    ],
)
def test_wrong_use(nakami, ids, arguments, message):
    done = nakami(*arguments)
    assert done.code == 2
    assert message in " ".join(done.err.split())
