"""``nakami lr``: table, JSON, page, and one sentence where something is wrong."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

import nakami as library
from nakami import data
from nakami.results._pieces import write_piece

LOOK = "first-look/result.json"
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
    net = small_net.make()
    wanted = library.learning_rate(net, batches, "cross_entropy", "sgd")
    limit = library.rate_limit(net, batches, "cross_entropy", "sgd", seed=3).limit
    assert body["limit"]["limit"] == pytest.approx(limit, rel=1e-3)
    assert body["rate"]["advised"] == pytest.approx(wanted.advised, rel=1e-3)
    assert body["limit"]["noise"]["n_batches"] == 2
    assert body["theory"] is None
    assert "convolutions share weights" in body["theory_outcome"]["reason"]
    assert body["eigenvalues"]["exact"] is True
    assert body["page"] is None
    assert json.loads((labelled / f"{body['folder']}/result.json").read_text())["value"]
    assert body["folder"] == "nakami-out/make/lr-sgd,batch-16,batches-2,seed-3"
    table = nakami(*run).out
    assert f"{wanted.advised:.3g}" in table
    for word in ("advised rate", "limit", "theory", "noise scale", "λ_max", "cost", "32 samples"):
        assert word in table


def test_another_optimizer_loss_and_array(nakami, labelled):
    run = (*MODEL, "--data", "d.npz", "--batches", "1", "--batch", "20", "--optimizer", "adam")
    done = nakami(*run, "--loss", "mse", "--labels", "values", "--json")
    body = json.loads(done.out)
    assert (body["optimizer"], body["rate"]["loss"]) == ("adam", "squared error")
    assert body["limit"]["preconditioner"]
    assert body["limit"]["noise"] is None


def test_without_arguments_a_page_of_the_shipped_digits(nakami, here):
    done = nakami("lr", "--batch", "10", "--batches", "2")
    assert done.code == 0, done.err
    page = here / "nakami-out/mlp/lr-sgd,batch-10,batches-2/report.html"
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
    "no batch": (("--batch", "0"), r"--batch must be at least 1, got '0'; write --batch 50"),
    "batch of more": (
        (*MODEL[1:], "--data", "d.npz", "--batch", "99999"),
        r"--batch must be at most 40, all examples, got 99999; write --batch 40 or less\.",
    ),
    "labels of another name": (
        (*MODEL[1:], "--data", "d.npz", "--labels", "nope"),
        r"must hold 'nope', got arrays x, y, .*; name one of them: --labels NAME\.",
    ),
    "key of another name": (
        (*MODEL[1:], "--data", "d.npz", "--key", "nope"),
        r"must hold 'nope', got arrays x, y, .*; name one of them: --key NAME\.",
    ),
    "labels before the model": (
        ("--model", "small_net.py:broken", "--data", "d.npz", "--labels", "nope"),
        r"must hold 'nope'",
    ),
    "no labels": ((*MODEL[1:], "--data", "alone.npz"), r"hold labels, got arrays x; .*--labels"),
    "npy": ((*MODEL[1:], "--data", "x.npy"), r"--data must hold labels, got x\.npy; give an \.npz"),
    "empty": (
        (*MODEL[1:], "--data", "empty.npz"),
        r"along axis 0 of 'x'.*got shape \(0, 3, 8, 8\)",
    ),
    "out of range": (
        (*MODEL[1:], "--data", "d.npz", "--labels", "bad", "--batch", "40"),
        r"classes from 0 to 4, got (-1|5) \(and \d+ more\); mend the labels",
    ),
    "classes for mse": (
        (*MODEL[1:], "--data", "d.npz", "--loss", "mse", "--batch", "40"),
        r"targets of a batch must have the shape of the outputs, \(40, 5\), got \(40,\)",
    ),
    "infinite": ((*MODEL[1:], "--data", "inf.npz", "--loss", "mse"), r"must hold finite numbers"),
    "loss not finite": (
        (*MODEL[1:], "--data", "huge.npz", "--loss", "mse", "--batch", "40"),
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


def test_an_interrupted_reading_goes_on_from_its_finished_parts(nakami, labelled, monkeypatch):
    run = (*MODEL, "--data", "d.npz", "--batch", "10", "--batches", "2")
    whole = json.loads(nakami(*run, "--out", "whole", "--json").out)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("nakami.geometry.rate._report.eigenvalues_of", stop)
        outcome = nakami(*run)
    assert outcome.code == 130
    first, said = outcome.err.splitlines()
    assert re.fullmatch(
        r"first look: limit about [\d.e-]+ \([\d.e-]+ to [\d.e-]+\), by 5 products with the first "
        r"batches; advice and limit follow\.",
        first,
    )
    assert said == "nakami: interrupted; what is finished is kept, the same command continues it."
    assert (labelled / f"nakami-out/make/lr-sgd,batch-10,batches-2/pieces/{LOOK}").exists()
    folder = "nakami-out/make/lr-sgd,batch-10,batches-2"
    shown = nakami("show", folder)
    assert (shown.code, shown.out) == (2, "")
    assert re.search(r"run must be finished, got an unfinished one in .*; start the", shown.err)
    with monkeypatch.context() as patched:
        for part in ("read_advice", "read_limit"):  # done already
            patched.setattr(f"nakami.geometry.rate._report.{part}", stop)
        outcome = nakami(*run, "--json")
    assert outcome.code == 0, outcome.err
    body = json.loads(outcome.out)
    assert body["rate"] == whole["rate"]
    assert body["limit"] == whole["limit"]
    assert body["eigenvalues"] == whole["eigenvalues"]
    assert nakami("show", folder).out == nakami(*run).out  # a finished one is read back


def test_a_reading_of_other_versions_begins_anew(nakami, labelled):
    run = (*MODEL, "--data", "d.npz", "--batch", "10", "--batches", "2")
    assert nakami(*run).code == 0
    path = labelled / "nakami-out/make/lr-sgd,batch-10,batches-2/run.json"
    settings = json.loads(path.read_text())
    settings["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(settings))
    assert nakami(*run).code == 0
    assert json.loads(path.read_text())["versions"]["torch"] != "1.0"


def test_a_reading_of_an_earlier_layout_is_shown_and_begins_anew(nakami, labelled):
    """Its parts held advice and limit in one, which no part of today's is made of."""
    run = (*MODEL, "--data", "d.npz", "--batch", "10", "--batches", "2")
    whole = json.loads(nakami(*run, "--json").out)
    folder = labelled / "nakami-out/make/lr-sgd,batch-10,batches-2"
    settings = json.loads((folder / "run.json").read_text())
    assert settings["schema"] == "nakami.lr/2"
    (folder / "run.json").write_text(json.dumps({**settings, "schema": "nakami.lr/1"}))
    (folder / "pieces/rate-limit").rename(folder / "pieces/rate")
    said = {"type": "dict", "items": [["advised", 0.1]]}
    part = {"part": {"type": "tuple", "items": [said, 0.1]}}
    write_piece(folder / "pieces/advice", part, None, 0.0, "out")
    assert "advised rate" in nakami("show", str(folder)).out
    done = nakami(*run, "--json")
    assert done.code == 0, done.err
    assert [json.loads(done.out)[part] for part in ("rate", "limit")] == [
        whole["rate"], whole["limit"],
    ]  # fmt: skip
    assert json.loads((folder / "run.json").read_text())["schema"] == "nakami.lr/2"
    assert not (folder / "pieces/rate").exists()


OTHER = """
import torch
from small_net import Small


class Other(Small):  # the same weights, another function
    def forward(self, x):
        return super().forward(torch.tanh(x))


make = Other
"""
RUNS = {
    "xray": (("--no-page", "--inputs", "2", "--stages", "head"), "run"),
    "lr": (("--no-page", "--batch", "10", "--batches", "2"), "lr-sgd,batch-10,batches-2"),
    "init": (("--probes", "2"), "init,probes-2"),
}


@pytest.mark.parametrize("command", RUNS)
def test_two_factories_of_one_name_do_not_meet(nakami, labelled, command):
    options, folder = RUNS[command]
    run = (command, "--data", "d.npz" if command == "lr" else "x.npy", *options)
    (labelled / "odd_net.py").write_text(OTHER)
    assert nakami(*run, "--model", "small_net.py:make").code == 0
    held = (labelled / "nakami-out/make" / folder / "run.json").read_bytes()
    refused = nakami(*run, "--model", "odd_net.py:make")
    assert refused.code == 2
    folder = f"nakami-out/make/{folder}"
    sentence = (
        f"nakami: --model must be as in the run that {folder} holds, small_net.py:make, got "
        f"odd_net.py:make; pass another --out or delete {folder}.\n"
    )
    assert refused.err.endswith(sentence)
    assert (labelled / folder / "run.json").read_bytes() == held
    assert nakami(*run, "--model", "odd_net.py:make", "--out", "other").code == 0
    assert nakami(*run, "--model", "small_net:make").code == 0  # the same by another name
    (labelled / "odd_net.py").write_text("from small_net import make")
    assert nakami(*run, "--model", "odd_net.py:make").code == 0  # the same network


@pytest.mark.parametrize("command", RUNS)
def test_other_data_is_refused_as_data(nakami, labelled, command):
    options, folder = RUNS[command]
    first = "d.npz" if command == "lr" else "x.npy"
    other = first.replace(".", "2.")
    run = (command, "--model", "small_net.py:make", *options)
    assert nakami(*run, "--data", first).code == 0
    rng = np.random.default_rng(5)
    x = rng.normal(size=(19, 3, 8, 8)).astype(np.float32)
    if command == "lr":
        np.savez(other, x=x, y=np.arange(19) % 5)
    else:
        np.save(other, x)
    refused = nakami(*run, "--data", other)
    assert refused.code == 2
    folder = f"nakami-out/make/{folder}"
    assert (
        f"nakami: --data must be as in the run that {folder} holds, {first}, got {other}"
        in refused.err
    )
    assert refused.err.endswith(f"; pass another --out or delete {folder}.\n")
    assert "n_inputs" not in refused.err  # which follows from the data
    assert nakami(*run, "--data", other, "--out", "elsewhere").code == 0
    if command == "lr":  # the same inputs with other labels
        x = np.load(first)["x"]
        np.savez(other, x=x, y=np.arange(40)[::-1] % 5)
        assert "nakami: --labels must be as in the run" in nakami(*run, "--data", other).err


def test_fewer_examples_than_the_usual_batch_are_one_and_said(nakami, labelled):
    done = nakami(*MODEL, "--data", "d.npz", "--no-curvature", "--json")
    assert done.code == 0
    assert done.err.startswith("note: all 40 examples are one batch, fewer than the usual 50.\n")
    assert json.loads(done.out)["rate"]["n_samples"] == 40


def test_without_curvature_the_rest_is_the_same_and_the_section_can_be_added(nakami, labelled):
    run = (
        "lr",
        "--model",
        "small_net.py:make",
        "--data",
        "d.npz",
        "--batch",
        "10",
        "--batches",
        "2",
    )
    page = labelled / "nakami-out/make/lr-sgd,batch-10,batches-2/report.html"
    short = json.loads(nakami(*run, "--no-curvature", "--json").out)
    assert short["eigenvalues"] is None
    assert 'id="spectrum"' not in page.read_text(encoding="utf-8")
    whole = json.loads(nakami(*run, "--json").out)
    assert whole["rate"] == short["rate"]
    assert whole["limit"] == short["limit"]
    assert whole["eigenvalues"]["exact"] is True
    assert 'id="spectrum"' in page.read_text(encoding="utf-8")


def test_names_are_refused_before_torch_is_imported():
    wrong = (("--loss", "mze"), ("--optimizer", "adm"), ("--model", "mpl"), ("--labels", "y"))
    code = (
        f"import sys\nfrom nakami.cli import main\nfor wrong in {wrong}:\n"
        "    try:\n        main(['lr', *wrong])\n    except SystemExit as end:\n"
        "        assert end.code == 2, end.code\n    assert 'torch' not in sys.modules, wrong\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nakami: ") == len(wrong)


def test_names_known_without_torch_are_those_that_are_taken():
    from nakami.geometry.rate import _kinds, _names
    from nakami.operators.curvature import _losses

    assert set(_names.LOSSES) == set(_losses.NAMES)
    assert {kind for kind, _ in _names.OPTIMIZERS.values()} == set(_kinds.CLASSES)
