"""A shipped subject: trained once, read as often as one likes, each reading in its own folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nakami import data
from nakami.cli import _model, _runs
from nakami.cli._groups import BudgetOptions, DataOptions, ModelOptions
from nakami.cli.commands import xray
from nakami.recipes import dbn_digits
from nakami.recipes.dbn_digits import DBNSettings

TINY = DBNSettings(hidden=(12, 9), pretrain_epochs=1, finetune_epochs=1)
SUBJECT = Path("nakami-out/dbn-digits")


@pytest.fixture
def small(here, monkeypatch):
    """The default subject in a tiny size."""
    tiny = replace(dbn_digits.ENTRY, settings=TINY)
    monkeypatch.setattr(dbn_digits, "ENTRY", tiny)
    return here


def no_more_training(monkeypatch):
    def trained(*_, **__):
        raise AssertionError("training was begun")

    monkeypatch.setattr("nakami.training._training.go_on", trained)


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
    assert SUBJECT / "weights/pieces/finetuned/arrays.safetensors" in made
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
    assert (SUBJECT / "weights-train-seed-7/pieces/finetuned/result.json").exists()


def test_one_small_subject_from_training_to_tables(nakami, small):
    outcome = nakami("xray", "--no-page", "--inputs", 1)
    assert outcome.code == 0, outcome.err
    folder = SUBJECT / "inputs-1"
    assert f"Runs: {folder}/pretrained, {folder}/finetuned" in outcome.out
    assert (folder / "finetuned" / "result.json").exists()


def chosen(inputs=None, compute=None, **reading):
    options = xray.ReadingOptions(**reading)
    return xray._chosen(
        ModelOptions(), inputs or DataOptions(), options, compute or BudgetOptions(), None
    )


def test_names_of_readings():
    assert _runs.reading(chosen()) == ""
    named = chosen(DataOptions(data=Path("some/mnist")), top=5, layers=True)
    assert _runs.reading(named) == "data-mnist,top-5,layers"
    names = {
        _runs.reading(chosen(stages=s)) for s in (("a/b",), ("a:b",), ("a_b",), ("x" * 90, "y"))
    }
    assert len(names) == 4
    assert all("/" not in name and ":" not in name and len(name) < 100 for name in names)


def test_weights_are_looked_for_here_then_in_the_usual_place():
    here, usual = Path("here/s/weights"), Path("nakami-out/s/weights")
    for there, expected in (((here, usual), here), ((usual,), usual), ((), here)):
        assert _runs.weights(Path("here"), "s", chosen(), there.__contains__) == expected


def test_pictures_as_the_published_weights_expect_them(here):
    Image.new("RGB", (8, 8), (255, 0, 0)).save("p.png")
    np.save("p.npy", np.zeros((1, 3, 8, 8), np.float32))

    def unit(name, path="p.png", **options):
        return _model.examples_for(name, DataOptions(data=Path(path), **options), 1).unit

    assert unit("efficientnet-lite0", size=8) == data.CENTRED_PIXEL
    assert unit("squeezenet", size=8) == data.STANDARD_PIXEL
    assert unit("efficientnet-lite0", size=8, mode="grey") == data.PIXEL
    assert unit("efficientnet-lite0", size=8, normalise="unit") == data.PIXEL
    assert unit("efficientnet-lite0", "p.npy") == "as stored"
