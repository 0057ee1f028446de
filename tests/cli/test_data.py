"""From a file to a schema, to counted rows, to a trained recipe."""

import json

import pytest

from nakami.data import read_preparation

pytest.importorskip("pyarrow")


@pytest.fixture
def sensors(here):
    rows = [
        f"{i},{(i * 7) % 31 / 3},{'abc'[i % 3]},{'hot' if i * 7 % 31 > 15 else 'cold'}"
        for i in range(200)
    ]
    (here / "sensors.csv").write_text("id,heat,machine,state\n" + "\n".join(rows))
    return here


def test_inspected_checked_and_trained(sensors, nakami):
    said = nakami("data", "inspect", "sensors.csv").out
    assert "numbers its rows" in said
    assert "nakami data check sensors.toml" in said
    body = json.loads(nakami("data", "check", "sensors.toml", "--json").out)
    assert (body["rows"], body["classes"]) == (200, ["cold", "hot"])
    assert body["train"] + body["test"] == 200
    tiny = [f"--set={each}" for each in ("epochs=1", "plain_epochs=1", "hidden=8")]
    trained = nakami("train", "mlp-dropout", "--data", "sensors.toml", *tiny, "--no-page")
    assert trained.code == 0, trained.err
    assert f"{body['test']} rows" in trained.out
    kept = read_preparation(next(sensors.rglob("preparation.json")))
    assert kept.components == ("heat", "machine=a", "machine=b", "machine=c")
    assert kept.classes == ("cold", "hot")


def test_a_schema_is_not_written_over(sensors, nakami):
    assert nakami("data", "inspect", "sensors.csv").code == 0
    again = nakami("data", "inspect", "sensors.csv")
    assert again.code == 2
    assert "--to must be a file that is not there yet, got sensors.toml" in again.err
    assert nakami("data", "inspect", "sensors.csv", "--force").code == 0


def test_wrong_rows_are_named_with_what_to_type(sensors, nakami):
    nakami("data", "inspect", "sensors.csv")
    path = sensors / "sensors.csv"
    path.write_text(path.read_text() + "\n200,warm,a,hot")
    refused = nakami("data", "check", "sensors.toml")
    assert refused.code == 2
    assert "row 201, heat: 'warm' is no number" in refused.err
    assert 'write wrong_rows = "skip"' in refused.err
    schema = sensors / "sensors.toml"
    schema.write_text(schema.read_text().replace('"refuse"', '"skip"'))
    assert "wrong: row 201, heat: 'warm' is no number" in nakami("data", "check", schema).out
    schema.write_text(schema.read_text().replace("[columns.", "choose = 0.2\n\n[columns.", 1))
    chosen = nakami("data", "check", schema)
    body = json.loads(nakami("data", "check", schema, "--json").out)
    assert body["rows"] == len(body["wrong"]) + body["train"] + body["test"] + body["aside"]
    assert "wrong: row 201, heat: 'warm' is no number" in chosen.out
    assert f"to test on, left aside {body['aside']}" in " ".join(chosen.out.split())


def test_options_that_the_schema_names_are_refused(sensors, nakami):
    nakami("data", "inspect", "sensors.csv")
    refused = nakami("train", "mlp-dropout", "--data", "sensors.toml", "--size", "8")
    assert refused.code == 2
    assert "--size must be left out with a schema, got 8" in refused.err


def test_a_network_of_the_callers_is_trained_and_opened(sensors, nakami):
    nakami("data", "inspect", "sensors.csv")
    (sensors / "own_net.py").write_text(
        "from torch import nn\n\n\ndef make():\n"
        "    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))\n"
    )
    trained = nakami("train", "own_net.py:make", "--data", "sensors.toml", "--set", "epochs=3")
    assert trained.code == 0, trained.err
    assert "error of the most frequent class" in trained.out
    opened = nakami("xray", "nakami-out/make/weights-data-sensors.toml-set-epochs-3")
    assert opened.code == 0, opened.err
    assert "2×4" in opened.out
    without = nakami("train", "own_net.py:make")
    assert without.code == 2
    assert "--data must be given to train a network of your own" in without.err


def test_names_of_columns_are_shown_as_they_are(here, nakami):
    names = ["[z]", ":smile:", "[bold]b[/]", "y"]
    rows = [f"{i % 7}.5,{i * i % 11}.5,{i % 5}.25,{'no' if i % 3 else 'yes'}" for i in range(50)]
    (here / "n.csv").write_text("\n".join([",".join(names), *rows]))
    shown = nakami("data", "inspect", "n.csv").out
    for name in names:
        assert f" {name} " in shown


def test_a_column_of_many_classes_has_its_way_to_be_the_target(here, nakami):
    rows = [f"{i * 37 % 101}.5,c{i % 200}" for i in range(1000)]
    (here / "many.csv").write_text("\n".join(["a,c", *rows]))
    said = nakami("data", "inspect", "many.csv").out
    assert 'write use = "target"' in said
    assert 'type = "category"' in said
    head, mark, _ = (here / "many.toml").read_text().partition("[columns.c]")
    own = '\ntype = "category"\nuse = "target"\n'
    (here / "many.toml").write_text(head + mark + own)
    assert len(json.loads(nakami("data", "check", "many.toml", "--json").out)["classes"]) == 200


@pytest.mark.parametrize(
    "option", [["data", "check"], ["lr", "--model", "small_net:make", "--data"]]
)
def test_a_file_that_is_gone_is_named_with_where_paths_begin(sensors, nakami, option):
    nakami("data", "inspect", "sensors.csv")
    (sensors / "data-sub").mkdir()
    (sensors / "sensors.toml").rename(sensors / "data-sub" / "sensors.toml")
    said = nakami(*option, "data-sub/sensors.toml")
    assert said.code == 2
    got = f"path of the schema must name a file or folder that exists, got {sensors / 'data-sub'}"
    assert got in said.err
    assert (
        "sensors.csv; write where it is now (paths begin in the folder of the schema)" in said.err
    )
