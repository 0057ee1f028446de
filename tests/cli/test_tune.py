"""``nakami tune``: the table, the code it prints, the JSON, and what it refuses."""

import json

import pytest
import torch

from nakami.data import digits, with_targets
from nakami.zoo import ENTRIES


def test_without_arguments_the_table_and_code_that_runs(nakami, here):
    done = nakami("tune", "--steps", 400)
    assert done.code == 0, done.err
    for part in ("optimizer", "rate", "schedule", "warm-up", "batch", "initial scale", "clipping"):
        assert f"\n  {part} " in done.out
    assert "not examined" in done.out
    inside = {"model": torch.nn.Linear(2, 2)}
    exec(done.out[done.out.index("import math") :], inside)
    assert type(inside["optimizer"]) is torch.optim.AdamW
    assert (here / "nakami-out/mlp/tune,steps-400/result.json").exists()
    assert "import math" in nakami("show", "nakami-out/mlp/tune,steps-400").out


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
