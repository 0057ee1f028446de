"""``nakami sweep`` from the words that were typed to the line that trains with the best."""

import json
import shlex

import pytest

from nakami.cli.commands import sweep

NETWORK = """
from torch import nn


def make():
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
"""


@pytest.fixture
def own(nakami, here):
    """A network of three classes, and a schema of a table."""
    pytest.importorskip("optuna")
    pytest.importorskip("pyarrow")
    (here / "small_net.py").write_text(NETWORK)
    lines = [f"{i * i % 101},{i * i % 997},{'abc'[i % 3]}" for i in range(200)]
    (here / "t.csv").write_text("\n".join(["u,v,class", *lines]))
    assert nakami("data", "inspect", "t.csv").code == 0
    return ("sweep", "small_net:make", "--data", "t.toml")


def test_it_ends_with_the_line_that_trains_with_the_best(nakami, own, here):
    typed = (*own, "--over", "rate=1e-3:1", "--over", "batch=32,64", "--set", "epochs=2")
    seen = nakami(*typed, "--trials", "2")
    assert seen.code == 0, seen.err
    assert "Best: trial" in seen.out
    again = nakami(*typed, "--trials", "3", "--json")
    found = json.loads(again.out)
    assert len(found["trials"]) == 3
    (folder,) = (here / "nakami-out" / "make").glob("sweep*")
    assert "Best: trial" in nakami("show", str(folder)).out
    trained = nakami(*shlex.split(found["command"])[1:], "--no-page")
    assert trained.code == 0, trained.err
    opened = nakami("xray", str(folder / found["best"]["folder"]), "--inputs", "1", "--no-page")
    assert opened.code == 0, opened.err


@pytest.mark.parametrize(("over", "found"), [
    (["rate=1e-4:1"], {"rate": (1e-4, 1)}),
    (["batch=32,64", "optimizer=adamw,sgd"], {"batch": [32, 64], "optimizer": ["adamw", "sgd"]}),
    (["optimizer=sgd", "batch=8"], {"optimizer": ["sgd"], "batch": [8]}),
    (["hidden=[100],[200, 50]"], {"hidden": [[100], [200, 50]]}),
])  # fmt: skip
def test_what_is_tried_is_typed_as_a_range_or_as_values(over, found):
    assert sweep._space(over) == found


@pytest.mark.parametrize(("given", "said"), [
    (("--over", "rate"), "--over must name each setting once with what is tried, got 'rate'"),
    (("--over", "rate=1:2", "--over", "rate=1,2"), "--over must name each setting once with what"),
    ((), "--over must name a setting to try, got none"),
    (("--over", "rate=1:2", "--trials", "0"), "--trials must be a whole number from 1 on, got 0"),
])  # fmt: skip
def test_refusals_name_the_option(nakami, own, here, given, said):
    seen = nakami(*own, *given)
    assert (seen.code, said in seen.err) == (2, True), seen.err
    assert not (here / "nakami-out").exists()


def test_data_must_be_given(nakami, own):
    seen = nakami(*own[:2], "--over", "rate=1:2")
    assert "--data must be given, got none; pass a schema, which nakami data inspect" in seen.err
