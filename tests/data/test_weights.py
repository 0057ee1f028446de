import argparse
import datetime
import os
import warnings
from pathlib import PurePosixPath

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


def prefixed(prefix, state):
    return {prefix + key: value for key, value in state.items()}


def script(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(model, torch.ones(1, 2)), path)


class Settings(dict):  # what a training keeps of its options
    pass


MORE = {
    "hyper_parameters": {
        "args": argparse.Namespace(rate=0.1), "where": PurePosixPath("a"),
        "when": datetime.timedelta(seconds=3),
    },
    "optimizer_states": [{"state": {0: {"step": torch.ones(())}}}],
    "epoch": 3,
}  # fmt: skip


SAVED = {
    "plain.safetensors": lambda s, p: save_file(s, p),
    "half.safetensors": lambda s, p: save_file({k: halved(v) for k, v in s.items()}, p),
    "plain.pt": torch.save,
    "wrapped.pth": lambda s, p: torch.save({"epoch": 3, "state_dict": s}, p),
    "parallel.pt": lambda s, p: torch.save(prefixed("module.", s), p),
    "compiled.pt": lambda s, p: torch.save(prefixed("_orig_mod.", s), p),
    "both.pt": lambda s, p: torch.save(prefixed("module._orig_mod.", s), p),
    "inside.pt": lambda s, p: torch.save(
        {k.replace(".", "._orig_mod.", 1): v for k, v in s.items()}, p
    ),
    "lightning.ckpt": lambda s, p: torch.save({**MORE, "state_dict": prefixed("model.", s)}, p),
    "nested.bin": lambda s, p: torch.save({"run": {"model_state_dict": prefixed("net.", s)}}, p),
    "averaged.tar": lambda s, p: torch.save(
        {"ema": {k: v + 1 for k, v in s.items()}, "model": s, "step": 3}, p
    ),
    "prefixed.safetensors": lambda s, p: save_file(prefixed("model.net.", s), p),
    "bfloat16.pt": lambda s, p: torch.save({k: v.bfloat16() for k, v in s.items()}, p),
}
DONE = {
    "plain.pt": "",
    "wrapped.pth": "'state_dict' of it",
    "both.pt": "'module._orig_mod.' taken off",
    "inside.pt": "'_orig_mod.' taken off",
    "lightning.ckpt": "'state_dict' of it, 'model.' taken off",
    "averaged.tar": "'model' of it",
}


@pytest.mark.parametrize("name", SAVED)
def test_weights_come_back(tmp_path, name):
    saved, model = net(1), net(2)
    if name.startswith("half"):
        saved = saved.half().float()
    if name.startswith("bfloat16"):
        saved = saved.bfloat16().float()
    SAVED[name](saved.state_dict(), tmp_path / name)
    assert not same(saved, model)
    done = data.load_weights(model, tmp_path / name)
    assert done == DONE.get(name, done)
    assert same(saved, model)
    assert model[0].weight.dtype == torch.float32


def without(state, key):
    return {k: v for k, v in state.items() if k != key}


BROKEN = {
    "missing.pt": (
        lambda s, p: torch.save(without(s, "0.bias"), p),
        r"got missing 0\.bias \(the model has parts that the file lacks\); build the model that",
    ),
    "extra.safetensors": (
        lambda s, p: save_file({**s, "head.weight": torch.zeros(1)}, p),
        r"must have the model's names, got unexpected head\.weight \(the file has parts .*\);",
    ),
    "both.safetensors": (
        lambda s, p: save_file({"a": torch.zeros(1)}, p),
        r"missing 0\.bias, 0\.weight, 1\.bias and 6 more and unexpected a \(they share no name, so",
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
    "settings.pt": (
        lambda s, p: torch.save({"state_dict": s, "options": Settings(a=1)}, p),
        r"holds Python objects .* weights_only=False\)\['state_dict'\], 'clean\.pt'\)\" and give",
    ),
    "head.ckpt": (
        lambda s, p: torch.save(
            {"state_dict": {**prefixed("model.", s), "loss.weight": torch.ones(2)}}, p
        ),
        r"under 'state_dict' must .* the model under 'model\.' and other parts as loss\.weight\)",
    ),
    "two.pt": (
        lambda s, p: torch.save({"student": s, "teacher": s}, p),
        r"must fit the model once, got 'student' and 'teacher'; .*\['student'\], 'clean\.pt'",
    ),
    "adapter.bin": (
        lambda s, p: torch.save({"0.lora_A.weight": torch.ones(2, 2)}, p),
        r"they are adapters: write the model after merge_and_unload",
    ),
    "script.pt": (
        lambda s, p: script(net().eval(), p),
        r"script\.pt is a TorchScript program, which is code; write .*torch\.jit\.load\(",
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
        r"weights must end in \.safetensors, \.pt, \.pth, \.ckpt, \.bin or \.tar, got",
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


class Tied(nn.Module):
    """One matrix under two names, as language models have it."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(4, 3), nn.Linear(3, 4, bias=False)
        self.head.weight = self.embedding.weight


@pytest.mark.parametrize("kept", ["embedding", "head"])
def test_a_shared_weight_may_stand_under_one_name(tmp_path, kept):
    torch.manual_seed(0)
    saved, model = Tied(), Tied()
    save_file({f"model.{kept}.weight": saved.head.weight.data}, tmp_path / "x.safetensors")
    assert data.load_weights(model, tmp_path / "x.safetensors") == "'model.' taken off"
    assert torch.equal(model.embedding.weight, saved.embedding.weight)
    assert model.head.weight is model.embedding.weight


def test_a_wrapped_model_takes_the_weights_of_the_plain_one(tmp_path):
    saved, model = net(1), net(2)
    data.save_weights(saved, tmp_path / "x.safetensors")
    done = data.load_weights(nn.DataParallel(model), tmp_path / "x.safetensors")
    assert done == "'module.' of the model left out"
    assert same(saved, model)


def test_prefixes_are_kept_where_not_all_names_have_them(tmp_path):
    torch.save(
        {**prefixed("module.", net().state_dict()), "epoch": torch.ones(1)}, tmp_path / "x.pt"
    )
    with pytest.raises(
        UsageError, match=r"the file has the model under 'module\.' and other parts"
    ):
        data.load_weights(net(), tmp_path / "x.pt")


def test_parts_of_a_sharded_checkpoint_are_told_apart_and_the_advised_command_joins_them(
    tmp_path, monkeypatch
):
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    monkeypatch.chdir(tmp_path)
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dcp's own: no group of processes is there
        dcp.save({"model": model.state_dict()}, checkpoint_id=tmp_path / "parts")
        dcp_to_torch_save(tmp_path / "parts", tmp_path / "all.pt")  # what the command calls
    for given in ("parts", "parts/__0_0.distcp"):
        with pytest.raises(UsageError, match=r"index is a pickle, got .* dcp_to_torch parts all"):
            data.load_weights(other, given)
    data.load_weights(other, "all.pt")
    assert torch.equal(other.weight, model.weight)
