"""A shipped subject: trained once, read as often as one likes, each reading in its own folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nakami import data, zoo
from nakami.cli import _app, _folders, _model, _xray
from nakami.recipes import DBNSettings

TINY = DBNSettings(hidden=(12, 9), pretrain_epochs=1, finetune_epochs=1)
SUBJECT = Path("nakami-out/dbn-digits")


@pytest.fixture
def small(here, monkeypatch):
    """The default subject in a tiny size."""
    monkeypatch.setattr("nakami.recipes._dbn_digits.DBNSettings", lambda: TINY)
    return here


def no_more_training(monkeypatch):
    def trained(*_, **__):
        raise AssertionError("training was begun")

    monkeypatch.setattr("nakami.zoo.DBN.fit_layer", trained)


@pytest.fixture
def read(nakami, small, monkeypatch):
    """Start ``nakami xray`` without measuring; gives the folder of its runs and the subject."""
    seen = []

    def note(subject, out, **_):
        seen.append((str(out), subject))
        return ()

    monkeypatch.setattr("nakami.recipes.measure", note, raising=False)

    def run(*arguments):
        outcome = nakami("xray", "--no-page", "--json", *arguments)
        assert outcome.code == 0, outcome.err
        return seen[-1]

    return run


def test_other_readings_do_not_train_again(read, nakami, monkeypatch):
    assert read()[0] == str(SUBJECT)
    made = {p: p.stat().st_mtime_ns for p in SUBJECT.rglob("*") if p.is_file()}
    assert SUBJECT / "weights" / "weights-finetuned.safetensors" in made
    no_more_training(monkeypatch)
    for options, name in (
        (("--inputs", 16, "--seed", 0), "."),  # the defaults, spelt out
        (("--inputs", 4), "inputs-4"),
        (("--stages", "hidden2", "--top", 3), "stages-hidden2,top-3"),
        (("--seed", 1, "--tol", "1e-6", "--layers"), "seed-1,tol-1e-06,layers"),
    ):
        folder, subject = read(*options)
        assert folder == str(SUBJECT / name)
        assert len(subject.examples) == (4 if "inputs" in name else 16)
    assert read("--out", "elsewhere", "--inputs", 2)[0] == "elsewhere/dbn-digits/inputs-2"
    assert not list(Path("elsewhere").rglob("weights-*"))
    assert {p: p.stat().st_mtime_ns for p in made} == made
    assert nakami("xray", "--no-page", "--train-seed", 1).code == 1  # the check can fail


def test_another_training_has_weights_of_its_own(read):
    _, first = read()
    folder, second = read("--train-seed", 7)
    assert folder == f"{SUBJECT}/train-seed-7"
    one, two = (s.networks[1].model.output.weight for s in (first, second))
    assert not one.equal(two)
    assert read()[1].networks[1].model.output.weight.equal(one)
    assert (SUBJECT / "weights-train-seed-7" / "weights-finetuned.safetensors").exists()


def test_one_small_subject_from_training_to_tables(nakami, small):
    outcome = nakami("xray", "--no-page", "--inputs", 1)
    assert outcome.code == 0, outcome.err
    folder = SUBJECT / "inputs-1"
    assert f"Runs: {folder}/pretrained, {folder}/finetuned" in outcome.out
    assert (folder / "finetuned" / "result.json").exists()


def request(**changes):
    plain = dict.fromkeys(_xray.Request.__dataclass_fields__)
    usual = {"inputs": _app.INPUTS, "tol": _app.TOL, "stages": ["auto"], "seed": 0, "out": "here"}
    return replace(_xray.Request(**{**plain, **usual, "out": Path("here")}), **changes)


def test_names_of_readings():
    assert _folders.reading(request()) == ""
    assert _folders.reading(request(data=Path("some/mnist"), top=5)) == "data-mnist,top-5"
    names = {
        _folders.reading(request(stages=s)) for s in (["a/b"], ["a:b"], ["a_b"], ["x" * 90, "y"])
    }
    assert len(names) == 4
    assert all("/" not in name and ":" not in name and len(name) < 100 for name in names)


def test_weights_are_looked_for_here_then_in_the_usual_place():
    here, usual = Path("here/s/weights"), Path("nakami-out/s/weights")
    for there, expected in (((here, usual), here), ((usual,), usual), ((), here)):
        assert _folders.weights(request(), "s", there.__contains__) == expected


def test_pictures_as_the_published_weights_expect_them(here):
    Image.new("RGB", (8, 8), (255, 0, 0)).save("p.png")
    options = {"size": 8, "mode": None, "normalise": None, "key": None}
    units = {
        name: _model.examples_for(name, Path("p.png"), 1, options).unit
        for name in ("efficientnet-lite0", "squeezenet")
    }
    assert units == {
        "efficientnet-lite0": data.CENTRED_PIXEL,
        "squeezenet": data.STANDARD_PIXEL,
    }
    given = _model.examples_for("efficientnet-lite0", Path("p.png"), 1, {**options, "mode": "grey"})
    assert given.unit == data.PIXEL
    given = {**options, "normalise": "unit"}
    assert _model.examples_for("efficientnet-lite0", Path("p.png"), 1, given).unit == data.PIXEL
    np.save("p.npy", np.zeros((1, 3, 8, 8), np.float32))
    options = {**options, "size": None}
    assert _model.examples_for("efficientnet-lite0", Path("p.npy"), 1, options).unit == "as stored"
    assert set(_model.NORMALISED) <= set(zoo.NAMES)
