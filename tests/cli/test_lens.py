"""``nakami lens``: the table, the JSON, the files it writes, and what it refuses."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nakami.dynamics import load_jacobian_lens
from nakami.results import Lens, load

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
    first = body["stages"]["blocks.0"]
    assert first["n_prompts"] == 4
    assert first["error"] > 0
    assert first["identity_share_se"] > 0
    assert "mean" not in first
    found = load_jacobian_lens(ids / "lens.pt")
    assert list(found) == [0, 1]
    assert found[0].values[0] == pytest.approx(first["values"][0], rel=1e-2)
    assert torch.load(body["saved"][0], weights_only=True)["n_prompts"] == 4


def test_a_run_is_kept_shown_continued_and_compared(nakami, ids):
    done = nakami(*MODEL)
    folder = ids / "nakami-out" / "make" / "lens"
    assert f"Run: {folder.relative_to(ids)}" in done.out
    assert "It" not in (folder / "report.html").read_text("utf-8")[:20]
    found = load(folder)
    assert list(found) == ["blocks.0", "blocks.1"]
    assert found.settings["data"] == "6 examples of ids.npy"
    shown = nakami("show", folder, "--out", "page.html")
    assert table_of(shown.out) == table_of(done.out)
    assert (ids / "page.html").is_file()
    shutil.rmtree(folder / "pieces" / "0004-blocks.1")
    for name in ("lens-blocks.0", "lens-blocks.1"):
        shutil.rmtree(folder / "pieces" / name)
    assert "5 of 6 groups so far; the same command continues the run" in nakami("show", folder).out
    assert nakami(*MODEL).code == 0
    assert load(folder)["blocks.1"].record() == found["blocks.1"].record()
    other = nakami(*MODEL, "--positions", "1:", "--seed", 3, "--no-page")
    assert other.code == 0, other.err
    place = "nakami-out/make/lens,positions-1_,seed-3"
    compared = [p for p in (ids / "nakami-out" / "make").iterdir() if "seed-3" in p.name]
    assert len(compared) == 1, place
    done = nakami("compare", folder, compared[0])
    assert done.code == 0, done.err
    assert "stages.blocks.0.identity_share" in done.out


def table_of(text):
    return [line.rstrip() for line in text.splitlines() if line.startswith(" ")]


def test_a_detached_lens(nakami, ids):
    done = nakami(*MODEL, "--detached", "--dtype", "float64")
    assert done.code == 0, done.err
    found = load(ids / "nakami-out" / "make" / "lens,detached,dtype-float64")
    assert found.settings["derivative"] == "detached"
    assert found["blocks.0"].settings["residual"] < 1e-12
    page = (found.folder / "report.html").read_text("utf-8")
    assert "is no derivative" in page


def test_a_model_of_language_reads_its_directions_as_words(nakami, here):
    folders = pytest.importorskip("hf_folders", reason="transformers is not installed (extra hf)")
    model = folders.save(folders.gpt2, here / "gpt2")
    (here / "texts.txt").write_text("once upon a time\n a cat was there\n once a cat\n")
    run = ("lens", "--model", "hf:gpt2", "--data", "texts.txt", "--dtype", "float64")
    done = nakami(*run)
    assert done.code == 0, done.err
    found = load(here / "nakami-out" / "gpt2" / "lens,dtype-float64")
    rows = model.lm_head.weight * model.transformer.ln_f.weight
    first = next(iter(found))
    words = list(folders.WORDS)
    assert found.words[first] == found[first].words(rows, words, 6, n=4)
    assert "Words at both ends" in Path(found.folder, "report.html").read_text("utf-8")


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


def test_what_stopped_before_its_first_piece_says_that_nothing_is_finished(
    nakami, ids, monkeypatch
):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("nakami.dynamics._lens_run._planned", stop)
        done = nakami(*MODEL, "--no-page")
    assert done.code == 130
    assert "interrupted; nothing was finished yet, start the same command again." in done.err
    shown = nakami("show", "nakami-out/make/lens")
    assert shown.code == 2
    assert "where nothing is yet; give the folder of a run, or start its command" in shown.err


def test_a_network_without_blocks_asks_for_stages(nakami, here):
    (here / "flat_net.py").write_text(
        "from torch import nn\n\n\ndef make():\n"
        "    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))\n"
    )
    np.save(here / "x.npy", np.eye(4, dtype=np.float32))
    done = nakami("lens", "--model", "flat_net:make", "--data", "x.npy")
    assert done.code == 2
    assert "--stages must be named where no blocks repeat, got none; pass --stages 0" in done.err
    alone = nakami("lens", "--model", "flat_net:make", "--data", "x.npy", "--stages", "0",
                   "--inputs", "1", "--no-page")  # fmt: skip
    assert alone.code == 0, alone.err
    assert "One example has no standard errors." in alone.out
    assert "agree" not in alone.out


def test_a_place_where_nothing_can_be_made_is_one_sentence(nakami, ids):
    if not Path("/proc/self").exists():
        pytest.skip("no /proc")
    done = nakami(*MODEL, "--out", "/proc/foo")
    assert done.code == 2
    assert "--out must be a place that can be written, got /proc/foo" in done.err
