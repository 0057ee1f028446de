"""``nakami train``: settings from files and options, weights, what is refused."""

import json
import shlex
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from nakami import load, recipes
from nakami.results import read_record, training_report

TINY = ("--set", "hidden=8,6", "--set", "pretrain_epochs=1", "--set", "finetune_epochs=1")
FOLDER = Path("nakami-out/dbn-digits/weights-set-hidden-8+6,pretrain_epochs-1,finetune_epochs-1")


@pytest.fixture
def train(nakami, here):
    def run(*arguments, code=0):
        outcome = nakami("train", *arguments)
        assert outcome.code == code, outcome.err
        return outcome

    return run


def test_weights_figures_and_the_settings_that_made_them(train, nakami):
    seen = train("dbn-digits", *TINY)
    assert "layer1" in seen.out
    assert "test error" in seen.out
    first = load_file(FOLDER / "networks/finetuned.safetensors")
    assert first["linear1.weight"].shape == (8, 784)
    again = train("dbn-digits", "--settings", FOLDER / "settings.toml", "--json")
    body = json.loads(again.out)
    assert body["weights"]["finetuned"] == str(FOLDER / "networks/finetuned.safetensors")
    assert body["networks"]["finetuned"]["facts"]["test error"]["value"] > 10
    assert "finetuned" in nakami("show", FOLDER).out


def test_the_first_word_of_a_recipe_will_do(train, nakami):
    train("dbn", *TINY, "--no-page")
    assert (FOLDER / "networks/finetuned.safetensors").exists()
    assert "recipe 'dbm-dig' is unknown" in nakami("xray", "dbm-dig").err
    assert "'nosuch'" in nakami("xray", "dbm", "--stages", "nosuch").err  # a recipe it is
    Path("dbm").mkdir()  # a folder of that name goes before the recipe
    assert "recipe" not in (seen := nakami("xray", "dbm").err)
    assert "dbm" in seen


def test_a_training_goes_where_out_says_also_if_the_usual_folder_has_it(train):
    for out in ("nakami-out", "mine"):
        train("dbn-digits", *TINY, "--out", out, "--no-page")
        assert (out / FOLDER.relative_to("nakami-out") / "networks/finetuned.safetensors").exists()


def test_settings_printed_are_settings_read(train):
    Path("my.toml").write_text(train("sdae-digits", "--print-settings", "--seed", 5).out)
    assert "# Share of the entries" in Path("my.toml").read_text()
    seen = train(
        "sdae-digits", "--settings", "my.toml", "--print-settings", "--set", "noise=0.5",
        "--set", "hidden=[7]",
    )  # fmt: skip
    assert "noise = 0.5" in seen.out
    assert "hidden = [7]" in seen.out
    assert "seed = 5" in seen.out
    as_json = train("sdae-digits", "--settings", "my.toml", "--print-settings", "--json").out
    Path("my.json").write_text(as_json)
    again = train("sdae-digits", "--settings", "my.json", "--print-settings")
    assert again.out == Path("my.toml").read_text()
    assert not Path("nakami-out").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("btch=3", "setting 'btch' is unknown; nearest of 7: 'batch'."),
        ("batch=0", "setting batch must be a whole number from 1 on, got 0; write batch = 100, "),
        ("batch=x", "setting batch must be a whole number from 1 on, got 'x'; write batch"),
        ("momentum=1", "setting momentum must be a number from 0 to 1, not 1, got 1; write"),
        (
            "hidden=[]",
            "setting hidden must be a list of one or more, each a whole number from 1 on, got []",
        ),
        ("batch", "--set must be NAME=VALUE, got 'batch'; write --set batch=50."),
        ("seed=-1", "seed must be a whole number from 0 to 2^64 - 1, got -1; 0 is the default."),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(train, text, expected):
    assert expected in train("dbn-digits", "--set", text, code=2).err
    assert not Path("nakami-out").exists()


UNLABELLED = '''
"""The mean of the examples, learned."""

from dataclasses import dataclass

import torch

from nakami.recipes import Network, Recipe, digits_from
from nakami.training import Autoencoding
from nakami.zoo.autoencoder import Autoencoder


@dataclass(frozen=True)
class Settings:
    """Of the test.

    Attributes:
        hidden: Units.
    """

    hidden: int = 3


def train(training, train, test, settings):
    x = train.inputs.flatten(1)
    net = Autoencoder(x.shape[1], settings.hidden)
    method = Autoencoding(net, torch.optim.SGD(net.parameters(), 0.01))
    training.run("all", method, lambda: (x,), batch=10)
    y = test.inputs.flatten(1)
    error = (net.reconstruct(y) - y).square().mean().item()
    fact = {"label": "error", "value": error, "spread": None, "spread_kind": "", "unit": ""}
    return [Network("coder", net, "1 epoch", [fact])]


ENTRY = Recipe(
    settings=Settings(),
    examples=digits_from,
    untrained=lambda settings: Autoencoder(784, settings.hidden),
    epochs=lambda settings: {"all": 1},
    train=train,
    labelled=False,
)
'''


@pytest.fixture
def coder(here, monkeypatch):
    """A recipe that takes examples without labels."""
    (here / "more").mkdir()
    (here / "more/coder.py").write_text(UNLABELLED)
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(here / "more")])
    yield
    sys.modules.pop("nakami.recipes.coder", None)


def write_idx(path, array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.tobytes())


def bytes_like(shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def kinds_of_data(here):
    """A path of each kind, without labels but for the first, and how many values an example has."""
    np.savez("labelled.npz", x=bytes_like((40, 1, 5, 5)), y=np.arange(40) % 4)
    np.save("values.npy", np.random.default_rng(0).random((30, 7)).astype(np.float32))
    Path("pictures").mkdir()
    for i, picture in enumerate(bytes_like((20, 6, 6))):
        Image.fromarray(picture).save(f"pictures/{i}.png")
    write_idx(here / "one.idx3-ubyte", bytes_like((30, 4, 4)))
    return {"labelled.npz": 25, "values.npy": 7, "pictures": 36, "one.idx3-ubyte": 16}


def test_each_kind_of_data_trains_a_recipe_without_labels(train, coder, here):
    for path, width in kinds_of_data(here).items():
        train("coder", "--data", path)
        folder = Path("nakami-out/coder") / f"weights-data-{path}"
        assert load_file(folder / "networks/coder.safetensors")["weight"].shape == (3, width)
        assert f"of {path}" in (folder / "settings.toml").read_text()


def test_labels_decide_the_outputs_and_are_asked_for(train, here):
    kinds_of_data(here)
    train("dbn-digits", *TINY, "--data", "labelled.npz")
    (folder,) = Path("nakami-out/dbn-digits").glob("weights-data-labelled.npz*")
    weights = load_file(folder / "networks/finetuned.safetensors")
    assert weights["output.weight"].shape == (4, 6)
    seen = train("dbn-digits", *TINY, "--data", "values.npy", code=2)
    expected = (
        "--data must hold labels, which dbn-digits needs, got none (30 examples of values.npy"
    )
    assert expected in seen.err
    assert "give an .npz with the arrays x and y" in seen.err


def test_a_tenth_of_the_examples_is_held_out_unless_others_are_named(train, coder, here):
    kinds_of_data(here)
    train("coder", "--data", "values.npy")
    np.save("test.npy", np.zeros((3, 7), np.float32))
    train("coder", "--data", "values.npy", "--test", "test.npy")
    found = {}
    for name in ("values.npy", "values.npy-test-test.npy"):
        run = load(f"nakami-out/coder/weights-data-{name}")
        found[name] = run.settings["data"]["examples"]
    assert list(found.values()) == [27, 30]
    np.save("test.npy", np.zeros((3, 6), np.float32))
    seen = train("coder", "--data", "values.npy", "--test", "test.npy", code=2)
    assert "--test must hold examples of the shape of those to train on, (7,), got (6,)" in seen.err
    np.save("few.npy", np.zeros((9, 7), np.float32))
    seen = train("coder", "--data", "few.npy", code=2)
    assert "--data must hold 10 examples or more" in seen.err
    assert "got 9; pass examples to test on as --test PATH." in seen.err
    assert "--key must come with --data" in train("coder", "--key", "x", code=2).err


def test_data_out_of_range_are_refused_and_leave_no_folder_in_the_way(train, here):
    x = np.random.default_rng(0).random((40, 9)).astype(np.float32)
    np.savez("x.npz", x=10 * x, y=np.arange(40) % 3)
    seen = train("dbn-digits", *TINY, "--data", "x.npz", code=2)
    assert "--data must lie in 0..1" in seen.err
    assert not list(Path("nakami-out").rglob("*.*"))
    np.savez("x.npz", x=x, y=np.arange(40) % 3)
    train("dbn-digits", *TINY, "--data", "x.npz", "--no-page")
    np.savez("x.npz", x=x / 2, y=np.arange(40) % 3)
    seen = train("dbn-digits", *TINY, "--data", "x.npz", code=2)  # what was trained stays
    assert "data.sha256" in seen.err
    assert list(Path("nakami-out").rglob("finetuned.safetensors"))


def test_devices_that_are_not_there_are_refused(train):
    assert (
        "--device must be one of cpu, cuda, mps, got 'tpu'"
        in train("dbn-digits", "--device", "tpu", code=2).err
    )
    assert not Path("nakami-out").exists()


def test_a_page_with_pictures_that_is_drawn_again(train, nakami):
    seen = train("sdae-digits", *TINY)
    folder = Path(str(FOLDER).replace("dbn", "sdae"))
    assert f"Page: {folder}/report.html" in seen.out
    page = (folder / "report.html").read_text()
    assert "Filters of the first layer" in page
    assert "with noise" in page
    assert nakami("show", folder, "--out", "again.html").code == 0
    assert Path("again.html").read_text() == page
    report = training_report(read_record(folder))
    assert [p.images.shape for p in report.pictures] == [(1, 8, 1, 28, 28), (4, 10, 1, 28, 28)]
    shown = train("sdae-digits", *TINY, "--no-page")
    assert "Page:" not in shown.out


def test_xray_reads_the_folder_of_a_training_with_its_settings_and_data(train, nakami, here):
    kinds_of_data(here)
    train("dbn-digits", *TINY, "--data", "labelled.npz", "--no-page")
    (folder,) = Path("nakami-out/dbn-digits").glob("weights-*")
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    seen = nakami("xray", folder, "--inputs", 2, "--no-page")
    assert seen.code == 0, seen.err
    (run,) = Path("nakami-out/dbn-digits").glob("*,inputs-2/finetuned")
    assert run.parent.name.startswith("data-labelled.npz")
    assert load(run).inputs.shape == (2, 1, 5, 5)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    seen = nakami("xray", folder, "--train-seed", 1)
    assert "--train-seed must be left out with the folder of a training, got 1" in seen.err
    Path("empty").mkdir()
    assert "must hold a run.json, got empty, where nothing is yet" in nakami("xray", "empty").err


def test_reading_a_training_leaves_its_figures_of_the_last_test_data(train, nakami, here):
    x, y = np.random.default_rng(0).random((60, 9)).astype(np.float32), np.arange(60) % 3
    np.savez("x.npz", x=x, y=y)
    for part, wrong in (("one", 0), ("other", 1)):
        Path(part).mkdir()
        np.savez(f"{part}/test.npz", x=x[:5], y=(y[:5] + wrong) % 3)
        train("dbn-digits", *TINY, "--data", "x.npz", "--test", f"{part}/test.npz", "--no-page")
    (folder,) = Path("nakami-out/dbn-digits").glob("weights-*")  # read back for the second
    before = nakami("show", folder).out
    assert nakami("xray", folder, "--no-page").code == 0  # as many inputs as there are
    assert nakami("show", folder).out == before
    assert recipes.trained_as(folder)[1]["data"].test == str(here / "other/test.npz")
    assert "between 1 and 5, got 6" in nakami("xray", folder, "--inputs", 6).err


def test_the_command_in_the_settings_file_makes_the_same_bits(train, here, monkeypatch):
    kinds_of_data(here)
    train("dbn-digits", *TINY, "--data", "labelled.npz", "--seed", 4, "--no-page")
    (folder,) = Path("nakami-out/dbn-digits").glob("weights-*")
    command = shlex.split((folder / "settings.toml").read_text().splitlines()[0].lstrip("# "))
    monkeypatch.chdir(folder)
    train(*command[2:], "--out", here / "other", "--no-page")
    (again,) = (here / "other/dbn-digits").glob("weights-*")
    first, second = (here / f / "networks/finetuned.safetensors" for f in (folder, again))
    assert first.read_bytes() == second.read_bytes()


def test_a_killed_training_goes_on_to_the_same_bits(train, here):
    arguments = ["train", "dbn-digits", "--set", "hidden=40,30", "--set", "pretrain_epochs=3"]
    arguments += ["--set", "finetune_epochs=3", "--no-page", "--out"]
    cut = Path("cut/dbn-digits")
    cut.mkdir(parents=True)  # a folder that comes while it is searched stops the search
    command = [sys.executable, "-m", "nakami", *arguments, "cut"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as started:
        while not list(cut.glob("*/pieces/layer2/result.json")):
            assert started.poll() is None
            time.sleep(0.01)
        started.kill()  # SIGKILL
    assert not list(Path("cut").rglob("networks/*"))
    train(*arguments[1:], "cut")
    train(*arguments[1:], "whole")
    files = [next(Path(f).rglob("finetuned.safetensors")) for f in ("cut", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()
