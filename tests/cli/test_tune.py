"""``nakami tune``: the table, the code it prints, the JSON, and what it refuses."""

import json

import numpy as np
import pytest
import torch

from nakami import results
from nakami.data import digits, with_targets
from nakami.report.words._numbers import number
from nakami.zoo import ENTRIES


def test_without_arguments_the_table_and_code_that_runs(nakami, here):
    done = nakami("tune", "--steps", 400, "--no-page")
    assert done.code == 0, done.err
    for part in (
        "optimizer",
        "rate",
        "schedule",
        "warm-up",
        "weight decay",
        "batch",
        "initial scale",
        "clipping",
    ):
        assert f"\n  {part} " in done.out
    assert "not examined" in done.out
    inside = {"model": torch.nn.Linear(2, 2)}
    exec(done.out[done.out.index("import torch") :], inside)
    assert type(inside["optimizer"]) is torch.optim.AdamW
    assert (here / "nakami-out/mlp/tune,steps-400/result.json").exists()
    assert "import torch" in nakami("show", "nakami-out/mlp/tune,steps-400").out


def test_the_numbers_are_those_of_the_call(nakami, here):
    import nakami as library
    from nakami.cli import _model

    done = nakami("tune", "--steps", 300, "--optimizer", "momentum", "--budget", 0.2, "--json")
    body = json.loads(done.out)
    model = _model.build("mlp", None, 0)
    pairs = with_targets(digits(), 32 * 128, 0).batches(32)
    wanted = library.tune(
        model, pairs, "cross_entropy", steps=300, optimizer="momentum", budget=0.2
    )
    assert "mlp" in ENTRIES
    assert body["rate"] == pytest.approx(wanted.rate, rel=1e-6)
    assert body["cost"] == wanted.cost <= 60
    assert body["arguments"] == {"momentum": 0.9}
    assert body["snippet"] == wanted.snippet()
    assert [choice["name"] for choice in body["choices"]][:2] == ["optimizer", "rate"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--code", "jax"), "--code must be one of torch, lightning, transformers, got 'jax'"),
        (("--schedule", "sine"), "--schedule must be one of constant, cosine, linear, wsd"),
        (("--budget", "2"), "--budget must lie between 0 and 1, got 2.0; use 0.05"),
        (("--optimizer", "adm"), "--optimizer 'adm' is unknown; nearest of 15"),
        (("--loss", "own"), "--loss must come with --data where it is own"),
        (("--weights", "x.npy"), "--weights must come with --model, got no model"),
    ],
)
def test_wrong_use_is_one_sentence(nakami, here, arguments, message):
    done = nakami("tune", *arguments)
    assert done.code == 2
    assert done.out == ""
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_page_is_written_and_drawn_again_without_measuring(nakami, here, monkeypatch):
    run = ("tune", "--steps", 300, "--budget", 0.15)
    done = nakami(*run)
    folder = here / "nakami-out/mlp/tune,steps-300,budget-0.15"
    assert done.out.endswith(f"Page: {folder.relative_to(here) / 'report.html'}\n"), done.err
    page = (folder / "report.html").read_text(encoding="utf-8")
    kept = results.read_record(folder).part("setting")
    assert all(note.converged for note in kept.advice.notes)
    assert f"Train with AdamW at a peak rate of {number(kept.rate)}, falling linearly<" in page
    assert page.count("<pre ") == 3

    def stop(*_, **__):
        raise AssertionError("it was measured before")

    monkeypatch.setattr("nakami.tune", stop, raising=False)
    assert nakami("show", folder, "--out", "again.html").code == 0
    assert (here / "again.html").read_text(encoding="utf-8") == page
    (folder / "report.html").unlink()
    assert nakami(*run, "--code", "lightning", "--no-page").code == 0
    assert not (folder / "report.html").exists()
    shown = nakami("show", folder)
    assert "configure_optimizers" in shown.out
    assert "Page:" not in shown.out


def test_an_unfinished_run_has_no_page(nakami, here):
    assert nakami("tune", "--steps", 50, "--no-page").code == 0
    folder = here / "nakami-out/mlp/tune,steps-50"
    (folder / "result.json").unlink()
    refused = nakami("show", folder, "--out", "a.html")
    assert refused.code == 2
    assert "run must be finished" in refused.err
    assert not (here / "a.html").exists()


def test_a_run_of_an_earlier_layout_shows_its_table_and_draws_no_page(nakami, here):
    """Its parts lack numbers that the sentences of today's page name."""
    assert nakami("tune", "--steps", 50, "--no-page").code == 0
    folder = here / "nakami-out/mlp/tune,steps-50"
    settings = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**settings, "schema": "nakami.tune/2"}))
    assert "AdamW" in nakami("show", folder).out
    refused = nakami("show", folder, "--out", "a.html")
    assert refused.code == 2
    wanted = "must hold a run of layout nakami.tune/3, got nakami.tune/2; start the command"
    assert wanted in refused.err
    assert refused.err.count("\n") == 1
    assert not (here / "a.html").exists()


def test_a_frozen_network_is_refused_in_one_sentence(nakami, here):
    (here / "still.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).requires_grad_(False)\n"
    )
    np.savez(here / "d.npz", x=np.ones((8, 3), np.float32), y=np.arange(8) % 2)
    done = nakami("tune", "--model", "still.py:net", "--data", "d.npz", "--steps", 50)
    assert done.code == 2
    assert "must have parameters that require a gradient, got none" in done.err
    assert done.err.count("\n") == 1
