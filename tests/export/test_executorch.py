"""ExecuTorch programs: numbers of torch at other sizes, what the format cannot do is told."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from exported_families import FAMILIES, source
from nakami.data import Examples
from nakami.export import Source, ahead, export
from nakami.export import _executorch as own
from nakami.results import RunError


def made(model, inputs):
    names = tuple(map(str, range(len(inputs))))
    return Source("own", model.eval(), Examples(inputs, None, names, "as stored", "made"))


@pytest.fixture
def runtime():
    return pytest.importorskip("executorch.runtime", reason="the extra executorch").Runtime.get()


UNROLLED = ("gru", "lstm")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_the_numbers_of_torch_at_other_sizes(name, runtime, tmp_path):
    given = source(name)
    found = export(given, tmp_path, "executorch", int8=False)
    assert found.agreement.relative < 1e-5
    if name == "encoder":  # XNNPACK follows one changing axis, and sequences come one by one
        assert found.fixed == ("batch of tokens: 1", "batch of mask: 1")
        assert found.agreement.lengths == (5, 10)
        assert found.file.largest == {"time": 10}
        return
    assert found.fixed == (("time of input: 10",) if name in UNROLLED else ())
    assert found.file.largest == {"batch": 32}
    more = torch.cat([given.inputs["input"]] * 6)[:32]
    method = runtime.load_program(tmp_path / "model.pte").load_method("forward")
    with torch.no_grad():
        truth = given.model(more)
    torch.testing.assert_close(method.execute([more])[0], truth, rtol=1e-5, atol=1e-6)


def test_convolutions_keep_the_batch_that_was_asked_for(runtime, tmp_path, monkeypatch):
    given = made(nn.Conv2d(1, 2, 3), torch.rand(4, 1, 8, 8))
    assert export(given, tmp_path, "executorch", int8=False).file.largest == {"batch": 32}
    monkeypatch.setattr(own, "_any_batch_of_convolutions", torch.no_grad)
    assert export(given, tmp_path, "executorch", int8=False).file.largest == {"batch": 15}


class Remainder(nn.Module):
    def forward(self, x):
        return (x.long() % 3).float()


def test_remainders_of_negative_integers_have_the_sign_of_torch(runtime, tmp_path, monkeypatch):
    given = made(Remainder(), torch.tensor([[-7.0, 7], [-3, 4]]))
    assert export(given, tmp_path, "executorch", int8=False).agreement.absolute == 0
    monkeypatch.setattr(own, "table", dict)
    with pytest.raises(RunError, match=r"differs from torch by 3 .*model\.refused\.pte"):
        export(given, tmp_path, "executorch", int8=False)


def test_what_lies_beside_the_program(runtime, tmp_path):
    given = source("cnn")
    given = replace(given, examples=replace(given.examples, classes=("a", "b", "c", "d")))
    found = export(given, tmp_path, "executorch", int8=False)
    body = json.loads((tmp_path / "export.json").read_text())
    assert (body["target"], body["file"], body["largest"]) == (
        "executorch",
        "model.pte",
        {"batch": 32},
    )
    assert body["nodes"]["XnnpackBackend"] >= 1
    assert json.loads((tmp_path / "labels.json").read_text()) == [*"abcd"]
    card = (tmp_path / "card.md").read_text()
    assert "bytes, ExecuTorch." in card
    assert "a batch of at most 32" in card
    assert [*found.latency[32]] == ["executorch", "torch"]


def test_eight_bits_leave_out_what_set_their_ranges(runtime, tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 4)).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = export(replace(source("mlp"), model=net), tmp_path, "executorch")
    assert found.int8.quantised == {"linear": 2}
    assert found.int8.bytes < 0.6 * found.bytes
    assert (found.int8.calibrated, found.accuracy.examples) == (3, 3)
    assert [*found.latency[1]] == ["executorch", "int8", "torch"]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_recurrent_layers_stay_in_float32(runtime, tmp_path):
    net = FAMILIES["lstm"][0]().eval()
    given = made(net, torch.randn(4, 3, 3))
    assert export(given, tmp_path, "executorch").int8.kept == {"lstm": 1}


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x + self.calls


def test_buffers_that_a_call_changes_are_refused(runtime, tmp_path):
    with pytest.raises(RunError, match="a call changes calls of this network"):
        export(made(Counting(), torch.rand(4, 2)), tmp_path, "executorch")


class Volumes(nn.Module):
    def forward(self, x):
        return nn.functional.max_pool3d(x, 2)


def test_a_missing_kernel_is_named(runtime, tmp_path):
    with pytest.raises(RunError, match=r"no kernel for .*max_pool3d"):
        export(made(Volumes(), torch.rand(4, 1, 4, 4, 4)), tmp_path, "executorch")


def test_what_is_known_before_the_work():
    assert any("step by step" in said for said in ahead(source("gru"), "executorch"))
    assert not any("step by step" in said for said in ahead(source("mlp"), "executorch"))
    assert ahead(source("gru"), "onnx") == []


def test_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "executorch", None)
    with pytest.raises(RunError, match=r"pip install 'nakami\[executorch\]'"):
        export(source("mlp"), tmp_path, "executorch")
