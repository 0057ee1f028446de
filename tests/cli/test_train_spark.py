"""What ``nakami train --backend spark`` refuses before Spark is started."""

from contextlib import nullcontext

import pytest

from nakami import recipes
from nakami.cli import _spread


@pytest.mark.parametrize(("given", "said"), [
    (("mlp-dropout", "--backend", "spark"), "--backend must share the training of a network of"),
    (("small_net:make", "--jobs", "2"), "--jobs must come with --backend spark, got 2; add it, or"),
    (("small_net:make", "--backend", "dask"), "--backend must be spark for a training, got 'dask'"),
    (("small_net:make", "--backend", "spark", "--shard"), "--shard must be left to torchrun, got"),
    (("small_net:make", "--backend", "spark", "--jobs", "0"), "--jobs must be at least 1, got 0"),
    (("small_net:make", "--backend", "spark"), "data must be given to train a network of your own"),
])  # fmt: skip
def test_one_sentence_before_anything_starts(nakami, here, given, said, monkeypatch):
    monkeypatch.setattr(_spread, "spark_session", None)
    (here / "small_net.py").write_text("from torch import nn\nmake = lambda: nn.Linear(3, 2)\n")
    seen = nakami("train", *given)
    assert seen.code == 2
    assert said in seen.err
    assert not (here / "nakami-out").exists()


def test_a_network_is_handed_on_with_all_that_was_typed(nakami, here, monkeypatch):
    found = {}

    def spark_session(address, slots):
        found["session"] = address, slots
        return nullcontext()

    def trained(make, folder, **options):
        found.update(options, bias=make().bias.shape)
        raise KeyboardInterrupt

    (here / "small_net.py").write_text("from torch import nn\nmake = lambda: nn.Linear(2, 3)\n")
    lines = [f"{i * i % 101},{i % 7},{'abc'[i % 3]}" for i in range(60)]
    (here / "t.csv").write_text("\n".join(["x,y,class", *lines]))
    assert nakami("data", "inspect", "t.csv").code == 0
    monkeypatch.setattr(_spread, "spark_session", spark_session)
    monkeypatch.setattr(_spread, "check_installed", lambda name: None)
    monkeypatch.setattr(recipes, "train_on_spark", trained)
    typed = ("--data", "t.toml", "--set", "epochs=3", "--seed", "4", "--jobs", "3")
    seen = nakami("train", "small_net:make", *typed, "--backend", "spark")
    assert "session" in found, seen.err
    assert found["session"] == (None, 3)
    assert (found["processes"], found["local"], found["seed"]) == (3, True, 4)
    assert (found["settings"]["epochs"], found["bias"]) == (3, (3,))
    nakami("train", "small_net:make", *typed, "--backend", "spark", "--cluster", "spark://h:7077")
    assert found["session"][0] == "spark://h:7077"
    assert not found["local"]
