import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nakami import data
from nakami.results import UsageError


def net(seed=0, wide=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(2, wide), nn.BatchNorm1d(wide), nn.Linear(wide, 1))


def same(a, b):
    return all(torch.equal(x, b.state_dict()[k]) for k, x in a.state_dict().items())


class Evil:
    def __reduce__(self):
        return os.system, ("echo harm > harm.txt",)


def halved(x):
    return x.half() if x.is_floating_point() else x


SAVED = {
    "plain.safetensors": lambda s, p: save_file(s, p),
    "half.safetensors": lambda s, p: save_file({k: halved(v) for k, v in s.items()}, p),
    "plain.pt": torch.save,
    "wrapped.pth": lambda s, p: torch.save({"epoch": 3, "state_dict": s}, p),
    "parallel.pt": lambda s, p: torch.save({f"module.{k}": v for k, v in s.items()}, p),
}


@pytest.mark.parametrize("name", SAVED)
def test_weights_come_back(tmp_path, name):
    saved, model = net(1), net(2)
    if name.startswith("half"):
        saved = saved.half().float()
    SAVED[name](saved.state_dict(), tmp_path / name)
    assert not same(saved, model)
    data.load_weights(model, tmp_path / name)
    assert same(saved, model)
    assert model[0].weight.dtype == torch.float32


def without(state, key):
    return {k: v for k, v in state.items() if k != key}


BROKEN = {
    "missing.pt": (
        lambda s, p: torch.save(without(s, "0.bias"), p),
        r"must have the model's names, got missing 0\.bias; build the model that was saved",
    ),
    "extra.safetensors": (
        lambda s, p: save_file({**s, "head.weight": torch.zeros(1)}, p),
        r"must have the model's names, got unexpected head\.weight;",
    ),
    "both.safetensors": (
        lambda s, p: save_file({"a": torch.zeros(1)}, p),
        r"got missing 0\.bias, 0\.weight, 1\.bias and 6 more and unexpected a;",
    ),
    "shape.pt": (
        lambda s, p: torch.save(net(wide=4).state_dict(), p),
        r"must have the model's shapes, got 0\.weight \(4, 2\), model \(3, 2\), .* and 4 more",
    ),
    "nan.pt": (
        lambda s, p: torch.save({**s, "2.weight": s["2.weight"] * torch.nan}, p),
        r"must be finite, got NaN or infinity in 2\.weight; take an earlier checkpoint",
    ),
    "code.pt": (
        lambda s, p: torch.save({"state_dict": s, "more": Evil()}, p),
        r"code\.pt holds Python objects beside tensors, which would run code when read",
    ),
    "whole.pt": (
        lambda s, p: torch.save(net(), p),
        r"whole\.pt holds Python objects beside tensors",
    ),
    "list.pt": (lambda s, p: torch.save([1, 2], p), r"weights must be a state dict, got list"),
    "mixed.pt": (
        lambda s, p: torch.save({**s, "epoch": 3}, p),
        r"must hold tensors by name, got epoch beside them; save model\.state_dict\(\) alone",
    ),
    "text.pt": (lambda s, p: p.write_text("hello"), r"text\.pt (cannot be read as a torch|holds)"),
    "short.pt": (
        lambda s, p: (torch.save(s, p), p.write_bytes(p.read_bytes()[:700])),
        r"short\.pt cannot be read as a torch file",
    ),
    "text.safetensors": (
        lambda s, p: p.write_text("hello, this is no such file"),
        r"text\.safetensors cannot be read as safetensors",
    ),
    "model.onnx": (
        lambda s, p: p.touch(),
        r"weights must end in \.safetensors, \.pt or \.pth, got",
    ),
    "absent.pt": (lambda s, p: None, r"weights must be an existing file, got .*absent\.pt"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_refusals_name_the_cause_and_leave_the_model(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write, match = BROKEN[name]
    write(net(1).state_dict(), tmp_path / name)
    model, before = net(2), net(2)
    with pytest.raises(UsageError, match=match) as caught:
        data.load_weights(model, tmp_path / name)
    assert "\n" not in str(caught.value)
    assert same(before, model)
    assert not (tmp_path / "harm.txt").exists()


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (torch.full((3, 2), 1e300, dtype=torch.float64), r"be finite, got NaN or infinity in 0\.w"),
        (torch.full((3, 2), 1 + 2j), r"be real, as the model's, got complex numbers in 0\.weight"),
    ],
)
def test_weights_that_the_models_dtype_cannot_hold(tmp_path, value, match):
    model, before = net(), net()
    torch.save({**net(1).state_dict(), "0.weight": value}, tmp_path / "x.pt")
    with pytest.raises(UsageError, match=match):
        data.load_weights(model, tmp_path / "x.pt")
    assert same(model, before)
