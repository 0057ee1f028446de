"""Every reading of a network takes a training's folder as weights and a schema as data."""

import json

import pytest
import torch
from torch import nn

import nakami as library
from nakami import data

pytest.importorskip("pyarrow")

NETS = """
from torch import nn


def make():
    return nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 2))


def line():
    return nn.Linear(2, 1)
"""


@pytest.fixture
def trained(here, nakami):
    rows = torch.randn(300, 2, generator=torch.Generator().manual_seed(1)).tolist()
    lines = [f"{a:.4f},{b:.4f},{'in' if a > b else 'out'}" for a, b in rows]
    (here / "t.csv").write_text("a,b,class\n" + "\n".join(lines))
    (here / "nets.py").write_text(NETS)
    assert nakami("data", "inspect", "t.csv").code == 0
    said = nakami(
        "train", "nets.py:make", "--data", "t.toml", "--set", "epochs=2", "--set", "rate=0.01",
        "--no-page", "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    (file,) = (here / "nakami-out").rglob("trained.safetensors")
    return file.parents[1]


def of(folder):
    net = nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 2))
    data.load_weights(net, folder / "networks" / "trained.safetensors")
    return net.eval()


def test_an_xray_reads_the_test_part_at_the_trained_weights(trained, here, nakami):
    options = ("--data", "t.toml", "--inputs", 2, "--no-page")
    said = nakami("xray", "--model", "nets.py:make", "--weights", trained, *options)
    assert said.code == 0, said.err
    run = library.load(here / "nakami-out" / "make" / trained.name.replace("weights", "network"))
    rows = data.prepare(data.read_schema("t.toml")).examples("test").inputs[:2]
    net = of(trained).double()
    for i, x in enumerate(rows.double()):
        exact = torch.linalg.svdvals(torch.autograd.functional.jacobian(net, x))
        found = run.at(run.names[-1])[i].values.tolist()
        assert found == pytest.approx(exact.tolist(), rel=1e-4)


def test_a_rate_is_advised_for_the_training_part(trained, nakami):
    options = ("--data", "t.toml", "--no-page", "--json", "--no-curvature", "--batch", 20)
    said = nakami("lr", "--model", "nets.py:make", "--weights", trained, *options)
    found = json.loads(said.out)
    prepared = data.prepare(data.read_schema("t.toml"))
    drawn = data.with_targets(prepared.examples("train"), 160, 0)
    assert found["inputs_sha256"] == data.fingerprint(drawn.inputs)
    assert found["targets_sha256"] == data.fingerprint(drawn.targets)
    assert found["weights_sha256"] == data.weights_fingerprint(of(trained))
    assert found["data"].startswith("160 of the ")


def test_other_readings_take_both(trained, nakami):
    for command in (("init",), ("stages",), ("lens", "--stages", "1")):
        given = ("--model", "nets.py:make", "--weights", trained, "--data", "t.toml")
        said = nakami(*command, *given)
        assert said.code == 0, said.err
    assert "rows of t.csv to test on" in said.out


def test_numbers_are_foreseen_by_a_column(trained, here, nakami):
    (here / "n.csv").write_text(
        "a,b,y\n" + "".join(f"{i * i % 97},{i % 7},{2 * i}\n" for i in range(90))
    )
    nakami("data", "inspect", "n.csv")
    text = (here / "n.toml").read_text()
    head, mark, rest = text.partition("[columns.y]")
    (here / "n.toml").write_text(head + mark + rest.replace('"input"', '"target"', 1))
    said = nakami(
        "lr", "--model", "nets.py:line", "--data", "n.toml", "--loss", "mse", "--no-page",
        "--no-curvature", "--json", "--batch", 20,
    )  # fmt: skip
    assert said.code == 0, said.err


@pytest.mark.parametrize(("given", "said"), [
    (("init", "--size", 3), "--size must be left out with a schema, got t.toml; write it into"),
    (("lr", "--loss", "own"), "--loss must name a loss where --data is a schema, which holds"),
])  # fmt: skip
def test_what_a_schema_says_itself_is_refused(trained, nakami, given, said):
    seen = nakami(*given, "--model", "nets.py:make", "--data", "t.toml")
    assert seen.code == 2
    assert said in seen.err


def test_of_several_networks_one_is_to_be_named(trained, nakami):
    networks = trained / "networks"
    (networks / "other.safetensors").write_bytes((networks / "trained.safetensors").read_bytes())
    seen = nakami("init", "--model", "nets.py:make", "--weights", trained, "--data", "t.toml")
    assert seen.code == 2
    assert "--weights must be the file of one network, got a training of other, trained" in seen.err


def test_what_a_network_prints_does_not_stand_before_json(trained, here, nakami):
    (here / "loud.py").write_text(
        "from torch import nn\n\n\nclass Loud(nn.Linear):\n    def forward(self, x):\n"
        "        print('here I am')\n        return super().forward(x)\n\n\n"
        "def make():\n    return Loud(2, 2)\n"
    )
    seen = nakami("stages", "--model", "loud.py:make", "--data", "t.toml", "--json")
    assert json.loads(seen.out)["model"] == "loud.py:make"
    assert "here I am" in seen.err
    seen = nakami("stages", "--model", "loud.py:make", "--data", "t.toml")
    assert "here I am" in seen.out


def test_a_table_in_place_of_a_schema_is_told_what_to_type(trained, nakami):
    for command in (("xray", "--model", "nets.py:make"), ("train", "nets.py:make")):
        seen = nakami(*command, "--data", "t.csv")
        assert seen.code == 2
        assert "run nakami data inspect t.csv, which writes a schema, and pass that" in seen.err


def test_a_long_xray_of_a_training_says_so_beforehand(trained, nakami, monkeypatch):
    monkeypatch.setattr("nakami.recipes.expected_seconds", lambda *_, **__: 754.0)
    seen = nakami("xray", trained, "--no-page", "--inputs", 1, "--jobs", 1)
    assert seen.code == 0, seen.err
    assert "note: this will take about 12 min 34 s; --inputs, --stages and --top say" in seen.err
