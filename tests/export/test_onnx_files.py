"""ONNX files of each family: numbers of torch, axes that change, refusals that say why."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from exported_families import FAMILIES, source
from nakami.data import Examples
from nakami.export import Source, export
from nakami.export._int8 import accuracy
from nakami.results import RunError, UsageError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_the_numbers_of_torch_at_other_sizes(name, tmp_path):
    given = source(name)
    found = export(given, tmp_path, int8=False)
    assert found.agreement.relative < 1e-5
    assert found.agreement.batches == (1, 6)
    assert found.fixed == ()
    more = {key: torch.cat([value] * 2) for key, value in given.inputs.items()}
    if found.agreement.lengths:  # three times as long as any example of the export
        assert found.agreement.lengths == (5, 10)
        more = {key: torch.cat([value] * 3, 1) for key, value in more.items()}
    single = list(more) == ["input"]
    with torch.no_grad():
        truth = given.model(more["input"]) if single else given.model(**more)
    there = session(tmp_path / "model.onnx").run(None, {k: v.numpy() for k, v in more.items()})[0]
    torch.testing.assert_close(torch.from_numpy(there), truth, rtol=1e-5, atol=1e-5)


def test_later_exports_of_a_process_keep_the_time_axis(tmp_path):
    for i in range(2):
        found = export(source("gru"), tmp_path / str(i), int8=False)
        assert found.file.inputs["input"] == ("batch", "time", 3)
        assert found.file.nodes["GRU"] == 1


def test_a_time_axis_that_the_file_has_lost_is_told(tmp_path):
    plain = FAMILIES["gru"][0]().__class__(nn.RNN).eval()
    found = export(replace(source("gru"), model=plain), tmp_path, int8=False)
    assert found.fixed == ("time of input: 10",)
    assert found.agreement.lengths == ()
    assert "one size only: time of input: 10" in (tmp_path / "card.md").read_text()


def test_what_lies_beside_the_model_and_in_it(tmp_path):
    given = source("cnn")
    given = replace(given, examples=replace(given.examples, classes=("a", "b", "c", "d")))
    found = export(given, tmp_path)
    body = json.loads((tmp_path / "export.json").read_text())
    assert body["bytes"] == (tmp_path / "model.onnx").stat().st_size == found.bytes
    assert body["labels"] == json.loads((tmp_path / "labels.json").read_text()) == [*"abcd"]
    proto = onnx.load(str(tmp_path / "model.onnx"))
    kept = {each.key: each.value for each in proto.metadata_props}
    assert json.loads(kept["nakami.labels"]) == [*"abcd"]
    assert body["int8"]["quantised"] == {"ConvInteger": 1, "MatMulInteger": 1}
    assert body["accuracy"]["examples"] == 6
    for size in ("1", "32"):
        for who in ("onnxruntime", "int8", "torch"):
            told = body["latency_ms"][size][who]
            assert 0 < told["lower"] <= told["median"] <= told["upper"]


def test_the_change_by_eight_bits_is_counted_over_the_same_examples():
    before, after = torch.eye(3)[[0, 1, 2, 0]], torch.eye(3)[[0, 2, 2, 1]]
    found = accuracy(before, after, torch.tensor([0, 1, 2, 1]))
    assert (found.before, found.after, found.other_answers) == (0.75, 0.75, 2)
    assert found.change_error == pytest.approx((2 / 3) ** 0.5 / 2)  # of 0, -1, 0, 1
    assert found.error == pytest.approx((0.75 * 0.25 / 4) ** 0.5)


def test_a_file_holds_no_paths_of_the_machine_that_made_it(tmp_path):
    export(source("mlp"), tmp_path, int8=False)
    assert b".py" not in (tmp_path / "model.onnx").read_bytes()


def test_eight_bits_of_recurrent_layers_are_told(tmp_path):
    lstm = export(source("lstm"), tmp_path / "lstm").int8
    assert lstm.quantised["DynamicQuantizeLSTM"] == 1
    gru = export(source("gru"), tmp_path / "gru").int8
    assert gru.kept == {"GRU": 1}  # which onnxruntime says nothing of


class Other(nn.Module):
    """Another function in the file than in torch."""

    def forward(self, x):
        return x.flatten(1) * (2.0 if torch.compiler.is_exporting() else 1.0)


def test_numbers_that_differ_are_refused_and_kept_under_another_name(tmp_path):
    given = replace(source("mlp"), model=Other())
    with pytest.raises(RunError, match=r"differs from torch by .*, more than 0.0001; .*refused"):
        export(given, tmp_path, int8=False)
    assert [each.name for each in tmp_path.iterdir()] == ["model.refused.onnx"]
    found = export(given, tmp_path, limit=0.9999999, int8=False)
    assert found.agreement.absolute == pytest.approx(float(given.examples.inputs.max()))
    assert not (tmp_path / "model.refused.onnx").exists()


class Sorted(nn.Module):
    def forward(self, x):
        return torch.cumprod(x.flatten(1), 1)


def test_what_cannot_be_exported_is_told_in_a_sentence(tmp_path):
    with pytest.raises(RunError, match=r"cannot export this network to ONNX: .*prod"):
        export(replace(source("mlp"), model=Sorted()), tmp_path)


def test_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="to must be one of"):
        export(source("mlp"), tmp_path, "tape")
    with pytest.raises(UsageError, match="limit must lie between 0 and 1, got 2"):
        export(source("mlp"), tmp_path, limit=2)


def test_one_example_is_enough(tmp_path):
    one = Examples(torch.rand(1, 64), None, ("only",), "as stored", "made")
    found = export(Source("one", nn.Linear(64, 2).eval(), one), tmp_path, int8=False)
    assert found.file.inputs == {"input": ("batch", 64)}
    assert not (tmp_path / "labels.json").exists()


def test_weights_of_two_gigabytes_lie_beside_the_graph(tmp_path, monkeypatch):
    monkeypatch.setattr("nakami.export._onnx.MOST", 2000)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 4)).eval()
    given = replace(source("mlp"), model=net)
    found = export(given, tmp_path)
    apart = tmp_path / "model.onnx.data"
    assert apart.stat().st_size >= 4 * 64 * 64
    assert found.file.path.stat().st_size < 4 * 64 * 64
    assert found.bytes == found.file.path.stat().st_size + apart.stat().st_size
    assert found.int8.quantised == {"MatMulInteger": 2}
    assert sorted(each.name for each in tmp_path.glob("model*")) == [
        "model.int8.onnx", "model.int8.onnx.data", "model.onnx", "model.onnx.data",
    ]  # fmt: skip
    there = session(tmp_path / "model.onnx").run(None, {"input": given.inputs["input"].numpy()})
    with torch.no_grad():
        truth = net(given.inputs["input"])
    torch.testing.assert_close(torch.from_numpy(there[0]), truth, rtol=1e-5, atol=1e-6)
    with pytest.raises(UsageError, match="to must be onnx for weights of 2 GiB"):
        export(given, tmp_path / "web", "web")
    monkeypatch.undo()
    export(given, tmp_path, int8=False)
    assert not apart.exists()
