"""``nakami lr``: table, JSON, page, and one sentence where something is wrong."""

import json
import re

import numpy as np
import pytest
import torch

import nakami as library
from nakami import data

MODEL = ("lr", "--model", "small_net.py:make", "--no-page")


@pytest.fixture
def labelled(here):
    """``d.npz`` with 40 pictures of five classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3, 8, 8)).astype(np.float32)
    values = rng.normal(size=(40, 5)).astype(np.float32)
    np.savez(here / "d.npz", x=x, y=np.arange(40) % 5, values=values, bad=np.arange(40) % 7 - 1)
    np.savez(here / "empty.npz", x=x[:0], y=np.arange(0))
    np.savez(here / "inf.npz", x=x, y=np.where(values > 2, np.inf, values))
    np.savez(here / "huge.npz", x=x * 1e30, y=values * 1e30)
    np.savez(here / "alone.npz", x=x)
    return here


def test_table_and_json_hold_what_the_library_says(nakami, labelled):
    run = (*MODEL, "--data", "d.npz", "--batch", "16", "--batches", "2", "--seed", "3")
    done = nakami(*run, "--json")
    assert done.code == 0, done.err
    body = json.loads(done.out)
    torch.manual_seed(3)
    import small_net

    batches = data.read_labelled("d.npz", 32, seed=3).batches(16)
    torch.manual_seed(3)
    wanted = library.learning_rate(small_net.make(), batches, "cross_entropy", "sgd", seed=3)
    assert body["rate"]["limit"] == pytest.approx(wanted.limit, rel=1e-3)
    assert body["rate"]["advised"] == pytest.approx(wanted.advised, rel=1e-3)
    assert body["rate"]["noise"]["n_batches"] == 2
    assert body["theory"] is None
    assert "convolutions share weights" in body["theory_outcome"]["reason"]
    assert body["eigenvalues"]["exact"] is True
    assert body["page"] is None
    assert json.loads((labelled / "nakami-out/make/lr-sgd/result.json").read_text())["value"]
    table = nakami(*run).out
    assert f"{wanted.advised:.3g}" in table
    for word in ("advised rate", "limit", "theory", "noise scale", "λ_max", "cost", "32 samples"):
        assert word in table


def test_another_optimizer_loss_and_array(nakami, labelled):
    run = (*MODEL, "--data", "d.npz", "--batches", "1", "--batch", "20", "--optimizer", "adam")
    done = nakami(*run, "--loss", "mse", "--labels", "values", "--json")
    body = json.loads(done.out)
    assert (body["optimizer"], body["rate"]["loss"]) == ("adam", "squared error")
    assert body["rate"]["preconditioner"]
    assert body["rate"]["noise"] is None


def test_without_arguments_a_page_of_the_shipped_digits(nakami, here):
    done = nakami("lr", "--batch", "10", "--batches", "2")
    assert done.code == 0, done.err
    page = here / "nakami-out/mlp/lr-sgd/report.html"
    assert f"Page: {page.relative_to(here)}" in done.out
    assert "784-300-100-10" in " ".join(done.out.split())
    assert "20 of the first 4,000 train digits" in page.read_text(encoding="utf-8")


WRONG = {
    "loss": (("--loss", "mze"), r"--loss 'mze' is unknown; nearest.*'mse'"),
    "optimizer": (("--optimizer", "adm"), r"--optimizer 'adm' is unknown; nearest.*'adam'"),
    "no data": (("--model", "small_net.py:make"), r"--data must be given with --model small_net"),
    "labels alone": (("--labels", "y"), r"--labels must come with --data, got shipped digits"),
    "key alone": (("--key", "y"), r"--key must come with --data"),
    "weights alone": (("--weights", "x.npy"), r"--weights must come with --model"),
    "tolerance": (("--tol", "2"), r"--tol must lie between 0 and 1, got 2\.0; use 1e-3"),
    "no batch": (("--batch", "0"), r"--batch.*nakami lr --help"),
    "no labels": ((*MODEL[1:], "--data", "alone.npz"), r"hold labels, got arrays x; .*--labels"),
    "npy": ((*MODEL[1:], "--data", "x.npy"), r"--data must hold labels, got x\.npy; give an \.npz"),
    "empty": (
        (*MODEL[1:], "--data", "empty.npz"),
        r"along axis 0 of 'x'.*got shape \(0, 3, 8, 8\)",
    ),
    "out of range": (
        (*MODEL[1:], "--data", "d.npz", "--labels", "bad"),
        r"classes from 0 to 4, got (-1|5) \(and \d+ more\); mend the labels",
    ),
    "classes for mse": (
        (*MODEL[1:], "--data", "d.npz", "--loss", "mse"),
        r"targets of a batch must have the shape of the outputs, \(40, 5\), got \(40,\)",
    ),
    "infinite": ((*MODEL[1:], "--data", "inf.npz", "--loss", "mse"), r"must hold finite numbers"),
    "loss not finite": (
        (*MODEL[1:], "--data", "huge.npz", "--loss", "mse"),
        r"the loss must be finite at the present weights, got inf",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_one_sentence(nakami, labelled, case):
    arguments, message = WRONG[case]
    done = nakami("lr", *arguments)
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.count("\n") == 1
    assert re.search(message, done.err), done.err
    assert not list(labelled.rglob("report.html"))


def test_an_interrupted_reading_does_not_say_that_it_goes_on(nakami, here, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nakami.geometry.learning_rate_report", stop, raising=False)
    outcome = nakami("lr")
    assert outcome.code == 130
    assert outcome.err == "nakami: interrupted; start the same command again.\n"
    assert not list(here.rglob("nakami-out"))
