"""The default subject in a tiny size: interrupted, refused, measured."""

import json
import struct
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nakami import data, recipes, results
from nakami.dynamics import SpectrumOptions as Options
from nakami.recipes import dbn_digits
from nakami.recipes.dbn_digits import DBNSettings
from nakami.results import UsageError
from nakami.training import ContrastiveDivergence, fit
from nakami.training._random import phase_generator
from nakami.zoo.dbn import DBN

TINY = DBNSettings(hidden=(12, 9), pretrain_epochs=2, finetune_epochs=2, batch=20)


@contextmanager
def few_digits(n_train=100):
    """The recipe with few training digits and 50 test digits."""
    few = data.digits("train")[:n_train], data.digits("test")[:50]
    with pytest.MonkeyPatch.context() as patch:
        recipe = replace(dbn_digits.ENTRY, examples=lambda folder: few, settings=TINY)
        patch.setattr(dbn_digits, "ENTRY", recipe)
        yield


def prepare(folder, n_train=100, **options):
    with few_digits(n_train):
        return recipes.prepare(recipes.DEFAULT, folder, **{"n_inputs": 3, **options})


def trained(folder, n_train=100, **options):
    with few_digits(n_train):
        return recipes.trained(recipes.DEFAULT, folder, **options)


def bits(subject):
    return [torch.cat([p.flatten() for p in n.model.parameters()]) for n in subject.networks]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(bits(a), bits(b), strict=True))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("dbn") / "whole")


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 6])
def test_interrupted_and_resumed_is_unbroken_to_the_bit(tmp_path, unbroken, stop):
    def interrupt(done, total, left, what):
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "cut", progress=interrupt)
    told = []
    resumed = prepare(tmp_path / "cut", progress=lambda *a: told.append(a))
    assert same(unbroken, resumed)
    assert [t[:2] for t in told] == [(i + 1, len(told)) for i in range(len(told))]
    assert len(told) == 6 - 2 * ((stop - 1) // 2)  # finished phases are not done again
    assert told[-1][2] == 0


def test_the_comparison_of_bits_can_fail(tmp_path, unbroken):
    assert not same(unbroken, prepare(tmp_path / "other", seed=1))


def test_second_call_reads_back_and_touches_no_global_state(tmp_path):
    before = torch.get_rng_state()
    first = prepare(tmp_path)
    second = prepare(tmp_path, progress=lambda *_: pytest.fail("nothing is to be trained"))
    assert same(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(p.name.endswith(".part") for p in tmp_path.iterdir())


def test_trains_on_one_thread_and_gives_the_others_back(tmp_path, monkeypatch):
    seen = []
    real = torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda *a, **k: seen.append(torch.get_num_threads()) or real(*a)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        three = prepare(
            tmp_path / "three", progress=lambda *_: seen.append(torch.get_num_threads())
        )
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}
    assert same(three, prepare(tmp_path / "other"))


def test_trained_tells_whether_prepare_would_only_read(tmp_path):
    assert not trained(tmp_path)
    assert not list(tmp_path.iterdir())
    prepare(tmp_path)
    assert trained(tmp_path)
    assert not trained(tmp_path, seed=1)
    assert not trained(tmp_path, n_train=80)
    assert not recipes.trained(recipes.DEFAULT, tmp_path)  # the full size is not there
    (tmp_path / "pieces/finetuned/result.json").unlink()
    assert not trained(tmp_path)


def test_a_layer_learns_what_the_ones_below_make_of_the_data(tmp_path):
    prepare(tmp_path)
    dbn = DBN((784, 12, 9), generator=phase_generator(0, "first weights"))
    below = data.digits("train")[:100].inputs.flatten(1)
    for i, rbm in enumerate(dbn.rbms, 1):
        method, generator = ContrastiveDivergence(rbm), phase_generator(0, f"layer{i}")
        fit(method, [below], epochs=2, batch=20, generator=generator)
        kept = load_file(tmp_path / f"pieces/layer{i}/arrays.safetensors")
        assert all(torch.equal(v, kept[k]) for k, v in rbm.state_dict().items())
        with torch.no_grad():
            below = rbm(below)


def test_subject_says_what_it_is(tmp_path):
    subject = prepare(tmp_path)
    assert [n.name for n in subject.networks] == ["pretrained", "finetuned"]
    assert subject.stages == ("hidden1", "hidden2")
    assert subject.examples.names == ("test digit 0", "test digit 1", "test digit 2")
    pretrained, finetuned = bits(subject)
    assert not torch.equal(pretrained, finetuned)
    test = data.digits("test")[:50]
    model = subject.networks[1].model
    wrong = (model(test.inputs).argmax(1) != test.labels).double()
    fact = subject.networks[1].facts[0]
    assert fact["value"] == pytest.approx(100 * wrong.mean().item())
    assert fact["spread"] == pytest.approx(100 * wrong.std(correction=0).item() / 50**0.5)
    assert "CD-1 for 2 epochs" in subject.networks[0].training
    settings = json.loads((tmp_path / "run.json").read_text())
    assert (settings["seed"], settings["hidden"], settings["data"]["examples"]) == (0, [12, 9], 100)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"seed": 3}, r"seed must be as in the run that .* holds, 0, got 3; pass another folder"),
        ({"settings": replace(TINY, pretrain_rate=0.2)}, r"pretrain_rate .* 0\.1, got 0\.2"),
        ({"n_train": 80}, r"data\.examples must .*, 100, got 80; pass another folder or delete"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path, change, match):
    prepare(tmp_path)
    with pytest.raises(UsageError, match=match):
        prepare(tmp_path, **change)


def test_damage_and_wrong_folders_are_said(tmp_path):
    prepare(tmp_path / "a")
    (tmp_path / "a/pieces/layer2/arrays.safetensors").write_bytes(b"short")
    with pytest.raises(UsageError, match=r"piece layer2 of .* is damaged .*delete that folder"):
        prepare(tmp_path / "a")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"folder must be a folder, got a file on the way"):
        prepare(tmp_path / "file")
    with pytest.raises(UsageError, match=r"n_inputs must lie between 1 and 50, got 0"):
        prepare(tmp_path / "b", n_inputs=0)
    assert not (tmp_path / "b").exists()


def test_prepare_by_name_with_the_mnist_files_of_a_folder(tmp_path):
    for stem, split in (("train", "train"), ("t10k", "test")):
        part = data.digits(split)[:40]
        images = (part.inputs * 255).round().numpy().astype(np.uint8).reshape(40, 28, 28)
        head = struct.pack(">IIII", 0x803, 40, 28, 28)
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        labels = part.labels.numpy().astype(np.uint8).tobytes()
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 40) + labels)
    out = tmp_path / "out"
    subject = recipes.prepare("dbn-digits", out, data=tmp_path, n_inputs=2, settings=TINY)
    assert len(subject.examples) == 2
    assert f"40 train pictures of {tmp_path.name}" in subject.networks[0].training
    with pytest.raises(UsageError, match=r"recipe 'dbn-digit' is unknown; nearest.*'dbn-digits'"):
        recipes.prepare("dbn-digit", tmp_path / "out")


def test_measure_takes_one_run_for_each_network_at_the_same_inputs(tmp_path):
    told = []
    subject = prepare(tmp_path, n_inputs=2)
    runs = recipes.measure(subject, tmp_path, progress=lambda *a: told.append(a), k=3)
    assert [r.folder for r in runs] == [tmp_path / "pretrained", tmp_path / "finetuned"]
    assert runs[0].names == ("hidden1", "hidden2")
    assert runs[0].input_unit == "pixel, 0 to 1"
    assert runs[1].settings["facts"] == subject.networks[1].facts
    assert runs[1].settings["input_names"] == list(subject.examples.names)
    assert runs[1].settings["labels"] == subject.examples.labels.tolist()
    assert runs[0].settings["picture"] == {"mean": [0.0], "std": [1.0]}
    assert [t[0] for t in told] == list(range(1, 9))  # 2 networks, 2 inputs, 2 stages
    assert {t[1] for t in told} == {8}
    assert told[0][3].startswith("pretrained: ")
    assert told[-1][2] == 0
    assert results.compare(runs[0], runs[1]).change("hidden2").before.shape == (2,)


def test_measured_in_float64_unless_told_otherwise(tmp_path):
    subject = prepare(tmp_path, n_inputs=1)
    options = {"stages": None, "spectrum": None, "k": 3}
    run = recipes.measure(subject, tmp_path / "a", dtype=None, **options)[0]
    assert run.settings["dtype"] == "float64"
    assert run.names == subject.stages
    run = recipes.measure(subject, tmp_path / "b", dtype=torch.float32, **options)[0]
    assert run.settings["dtype"] == "float32"


def test_preview_has_the_shapes_of_the_subject(tmp_path):
    seen, made = (
        recipes.preview(recipes.DEFAULT),
        prepare(tmp_path, settings=DBNSettings(pretrain_epochs=0, finetune_epochs=0)),
    )
    assert (seen.name, seen.stages, seen.dtype) == (made.name, made.stages, made.dtype)
    assert seen.examples.inputs.shape[1:] == made.examples.inputs.shape[1:]
    shapes = [
        {k: v.shape for k, v in s.networks[0].model.state_dict().items()} for s in (seen, made)
    ]
    assert shapes[0] == shapes[1]
    assert not list(tmp_path.glob("pretrained"))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"stages": ["hidden9"]}, r"stage 'hidden9' is unknown; nearest.*'hidden1'"),
        ({"k": 785}, r"k must be a whole number from 1 to 784"),
        (
            {"k": 784, "spectrum": Options(memory_budget=2**20)},
            r"memory_budget must hold the dense 1000 x 784 matrix",
        ),
        ({"spectrum": Options(tol=3.0)}, r"tol must lie between 0 and 1"),
    ],
)
def test_check_refuses_before_training(options, match):
    with pytest.raises(UsageError, match=match):
        recipes.check(recipes.DEFAULT, **options)
    recipes.check(recipes.DEFAULT, stages=None, k=784)
    with pytest.raises(UsageError, match=r"recipe 'dbm' is unknown"):
        recipes.check("dbm")


@pytest.mark.slow
def test_full_size_learns_the_digits(tmp_path):
    subject = recipes.prepare(recipes.DEFAULT, tmp_path)
    assert subject.networks[1].facts[0]["value"] < 8
