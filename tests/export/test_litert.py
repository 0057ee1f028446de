"""LiteRT files: numbers of torch for one example at a time, eight bits, refusals."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from exported_families import FAMILIES, source
from nakami import data
from nakami.export import Source, ahead, export
from nakami.results import RunError


@pytest.fixture
def interpreter():
    pytest.importorskip("litert_torch", reason="the extra litert")
    return pytest.importorskip("ai_edge_litert.interpreter", reason="the extra litert").Interpreter


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "unpooling"])
def test_a_family_has_the_numbers_of_torch(name, interpreter, tmp_path):
    found = export(source(name), tmp_path, "litert", int8=False)
    assert found.agreement.relative < 1e-5
    assert found.agreement.batches == (1,)
    assert f"batch of {next(iter(found.file.inputs))}: 1" in found.fixed
    if name in ("gru", "lstm"):
        assert "time of input: 10" in found.fixed
    assert [*found.latency] == [1]


class Places(nn.Module):
    def forward(self, x):
        return nn.functional.max_pool2d(x, 2, return_indices=True)[1].float()


def test_places_of_maxima_are_refused_as_they_come_out_0(interpreter, tmp_path, monkeypatch):
    with pytest.raises(RunError, match="places of all maxima"):
        export(source("unpooling"), tmp_path, "litert")
    monkeypatch.setattr("nakami.export._litert._refuse_indices", lambda program: None)
    given = replace(source("unpooling"), model=Places())
    largest = int(Places()(given.examples.inputs).max())
    with pytest.raises(RunError, match=rf"differs from torch by {largest} \(1 of"):
        export(given, tmp_path, "litert")


def test_eight_bits_and_what_lies_beside(interpreter, tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 4)).eval()
    found = export(replace(source("mlp"), model=net), tmp_path, "litert")
    assert found.int8.quantised == {"FULLY_CONNECTED": 2}
    assert found.int8.bytes < 0.5 * found.bytes
    assert found.accuracy.examples == 6
    assert [*found.latency[1]] == ["litert", "int8", "torch"]
    body = json.loads((tmp_path / "export.json").read_text())
    assert (body["target"], body["file"]) == ("litert", "model.tflite")
    assert "one size only: batch of input: 1" in (tmp_path / "card.md").read_text()


def test_what_is_known_before_the_work():
    assert ahead(source("mlp"), "litert") == ["LiteRT takes one example at a time"]
    assert ahead(source("gru"), "litert")[0].endswith("all of one length")


def test_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(RunError, match=r"pip install 'nakami\[litert\]'"):
        export(source("mlp"), tmp_path, "litert")


def test_rows_of_a_schema_go_in_prepared(interpreter, tmp_path):
    pytest.importorskip("pyarrow")
    rows = "\n".join(f"{i % 9},{['off', 'on'][i % 2]}" for i in range(60))
    (tmp_path / "rows.csv").write_text(f"heat,state\n{rows}")
    (tmp_path / "rows.toml").write_text(
        'path = "rows.csv"\n[columns.heat]\ntype = "number"\n'
        '[columns.state]\ntype = "category"\nuse = "target"\n'
    )
    prepared = data.schema.prepare(data.schema.read_schema(tmp_path / "rows.toml"))
    examples, made = prepared.examples("test"), prepared.preparation
    given = Source("own", nn.Linear(1, 2).eval(), examples, preparation=made)
    assert any("preparation.json" in said for said in ahead(given, "litert"))
    found = export(given, tmp_path / "out", "litert", int8=False)
    assert [*found.file.inputs] == ["input"]
    assert (tmp_path / "out/preparation.json").is_file()
