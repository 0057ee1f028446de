"""Wrong use: exit code 2, one sentence on standard error with the way out, nothing written."""

import errno
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nakami as library

OWN = ("xray", "--model", "small_net.py:make", "--data", "x.npy", "--no-page")
CASES = {
    "no integer": (
        ("xray", "--inputs", "many"),
        r"--inputs must be a whole number, got 'many'; write --inputs 2\.$",
    ),
    "half a job": (
        ("xray", "--jobs", "1.5"),
        r"--jobs must be a whole number, got '1\.5'; write --jobs 2\.$",
    ),
    "no number": (
        ("xray", "--tol", "small"),
        r"--tol must be a number, got 'small'; write --tol 0\.0001\.$",
    ),
    "too little": (
        ("theory", "meanfield", "--samples", "0"),
        r"--samples must be at least 1, got '0'; write --samples 100\.$",
    ),
    "too much": (
        ("lens", "--error", "3"),
        r"--error must be at most 1\.0, got '3'; write --error 1\.",
    ),
    "no jobs": (("xray", "--jobs", "0"), r"--jobs must be at least 1, or -1 .*, got 0; use 2\.$"),
    "few jobs": (("xray", "--jobs", "-3"), r"--jobs must be at least 1, .*, got -3; use 2\.$"),
    "backend": (("xray", "--backend", "foo"), r"--backend 'foo' is unknown; nearest: 'loky', 'd"),
    "cluster of nothing": (
        ("xray", "--cluster", "x"),
        r"--cluster must come with --backend, got 'x'; name what runs there with --backend dask,",
    ),
    "command": (("xry",), r"No such command 'xry'.*nakami --help"),
    "unknown option": (("xray", "--speed", "3"), r"--speed.*nakami xray --help"),
    "subject": (("xray", "dbn-digit"), r"recipe 'dbn-digit' is unknown; nearest.*'dbn-digits'"),
    "both": (("xray", "dbn-digits", "--model", "a:b"), r"subject and --model.*leave one out\.$"),
    "weights alone": (("xray", "--weights", "x.npy"), r"--weights must come with --model"),
    "zoo name": (("xray", "--model", "dbq"), r"--model must be package.*'dbq'; put :factory"),
    "zoo model without pictures": (
        ("stages", "--model", "squeezenet"),
        r"--data must be given with --model squeezenet, got none; pass --data PATH",
    ),
    "no file": (
        ("xray", "--model", "gone.py:make"),
        r"--model must name a file that exists.*gone\.py",
    ),
    "no module": (
        ("xray", "--model", "gone.net:make"),
        r"can be imported, got 'gone\.net'.*folder",
    ),
    "no name": (("xray", "--model", "small_net.py:mak"), r"got 'mak', which is not there.*make"),
    "not callable": (("xray", "--model", "small_net.py:number"), r"torch\.nn\.Module, got int"),
    "not a network": (("xray", "--model", "small_net.py:nothing"), r"Module, got NoneType; return"),
    "fails": (
        ("xray", "--model", "small_net.py:broken"),
        r"runs, .*no such luck; correct it, NAKAMI",
    ),
    "needs arguments": (
        ("xray", "--model", "small_net.py:sized"),
        r"without arguments, .*TypeError.*'width'; wrap it in a function",
    ),
    "seed of more bits": (
        (*OWN, "--seed", str(2**64)),
        r"--seed must be at most 18446744073709551615, got '1[08]\d+'; write --seed 0\.$",
    ),
    "train seed of more bits": (
        ("xray", "--no-page", "--train-seed", str(10**30)),
        r"--train-seed must be at most 18446744073709551615, got '10+'; write --train-seed 2\.",
    ),
    "seed of init": (
        ("init", "--seed", str(10**30)),
        r"--seed must be at most 18446744073709551615, got '1[08]\d+'; write --seed 0\.$",
    ),
    "seed of lr": (
        ("lr", "--seed", str(10**30)),
        r"--seed must be at most 18446744073709551615, got '1[08]\d+'; write --seed 0\.$",
    ),
    "all files": (
        (*OWN, "--data", "/"),
        r"--data must be a folder with pictures, got /, a whole file system; give the folder",
    ),
    "all files of lr": (
        ("lr", "--model", "small_net.py:make", "--data", "/", "--no-page"),
        r"--data must be a folder with pictures, got /, a whole file system; give the folder",
    ),
    "train seed": ((*OWN, "--train-seed", "1"), r"--train-seed must come with a shipped subject"),
    "size of digits": (
        ("xray", "--size", "8", "--key", "x"),
        r"--key, --size must come with --mod",
    ),
    "key of an npy": (
        (*OWN, "--key", "x"),
        r"--key must come with an \.npz.*got x\.npy; leave it out",
    ),
    "no data": (
        ("xray", "--model", "small_net.py:make"),
        r"--data must be given with --model small_net\.py:make, got none",
    ),
    "data missing": (
        (*OWN, "--data", "gone.npy"),
        r"--data must be a file or folder that exists.*gone",
    ),
    "weights missing": ((*OWN, "--weights", "gone.pt"), r"--weights must be a file .*gone\.pt"),
    "stage": ((*OWN, "--stages", "first,secnd"), r"secnd.*'second'"),
    "empty stage": ((*OWN, "--stages", "first,,second"), r"--stages must be names"),
    "k": ((*OWN, "--top", "100000"), r"--top must .*100000"),
    "tolerance": ((*OWN, "--tol", "2"), r"--tol must lie between 0 and 1, got 2\.0"),
    "budget": ((*OWN, "--memory-budget", "lots"), r"--memory-budget must be a size.*'lots'"),
    "small budget": (
        (*OWN, "--memory-budget", "3"),
        r"--memory-budget must be at least 1MiB, got '3'",
    ),
    "dtype": (
        (*OWN, "--dtype", "float46"),
        r"--dtype must be torch\.float32 or torch\.float64, got 'float46'",
    ),
    "device": (
        (*OWN, "--device", "abacus"),
        r"--device must be one that holds numbers on this machine, got 'abacus'",
    ),
    "out is a file": ((*OWN, "--out", "x.npy"), r"--out must be a folder, got a file on the way"),
    "nan in weights": (
        ("xray", "--model", "small_net.py:poisoned", "--data", "x.npy"),
        r"head\.weight.*(NaN|finite)|(NaN|finite).*head\.weight",
    ),
    "stages without model": (("stages",), r"--model must be given, got none"),
    "data of a subject": (
        ("xray", "--data", "x.npy"),
        r"--data must hold 10 examples or more, .*; name a network of your own with --model",
    ),
    "inputs of a subject": (("xray", "--inputs", "9999"), r"--inputs must lie between 1 and 1000"),
    "lr": (("lr", "--optimizer", "adamm"), r"--optimizer"),
    "init": (("init", "--data", "x.npy"), r"--data"),
    "meanfield": (("theory", "meanfield", "--widths", "0,3"), r"--widths"),
    "no run": (("show", "nowhere"), r"folder must hold a run\.json, got nowhere"),
    "no runs": (("compare", "nowhere", "nowhere"), r"folder must hold a run\.json, got nowhere"),
}


def listed(here):
    """All that lies in a folder, but what Python keeps of a model's file."""
    return sorted(path for path in here.rglob("*") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("case", CASES)
def test_one_sentence_and_code_2(case, nakami, here):
    arguments, pattern = CASES[case]
    before = listed(here)
    outcome = nakami(*arguments)
    assert listed(here) == before
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert re.search(pattern, lines[0]), lines[0]
    assert lines[0].endswith("."), lines[0]


@pytest.mark.parametrize(
    "words",
    [
        ("xray", "--model", "small_net.py:make", "--data", "{}.npy"),
        ("xray", "--model", "small_net.py:make", "--data", "x.npy", "--weights", "{}.pt"),
        ("xray", "--model", "small_net.py:make", "--data", "x.npy", "--out", "a/{}"),
        ("xray", "--model", "{}.py:make", "--data", "x.npy"),
        ("stages", "--model", "hf:{}"),
        ("init", "--model", "small_net.py:make", "--data", "x.npy", "--save", "{}.safetensors"),
        ("theory", "meanfield", "--out", "{}"),
        ("show", "{}"),
    ],
    ids=lambda words: words[-1] if words[0] == "show" else words[-2],
)
def test_names_longer_than_a_disk_takes(words, nakami, here):
    """A name of 255 bytes is the most on usual disks; 200 letters of two bytes are too many."""
    before = listed(here)
    done = nakami(*(word.format("ö" * 200) for word in words))
    sentence = r"must be made of names that a disk takes.*'ö{20}'\.\.\. of 4\d\d bytes; choose a"
    assert done.code == 2, done.err
    assert re.search(sentence, done.err)
    assert listed(here) == before


def test_wrong_size_names_both(nakami, here):
    np.save("wide.npy", np.zeros((2, 1, 8, 8), np.float32))
    outcome = nakami(*OWN, "--data", "wide.npy")
    assert outcome.code == 2
    assert re.search(r"takes, got shape \(1, 8, 8\) and from the network RuntimeError", outcome.err)
    assert len(outcome.err.strip().splitlines()) == 1


def test_tokens_are_refused_with_an_advice_that_works(nakami, here):
    np.save("tokens.npy", np.ones((2, 5), np.int64))
    outcome = nakami(*OWN, "--data", "tokens.npy")
    assert outcome.code == 2
    assert "pass tokens that it embeds, or measured numbers as float32." in outcome.err
    model = torch.nn.Sequential(
        torch.nn.Embedding(3, 4), torch.nn.Flatten(), torch.nn.Linear(20, 2)
    )
    tokens = torch.from_numpy(np.load("tokens.npy"))
    assert library.xray(model, tokens).spectra[0].shape == (2, 20)


def test_pictures_that_do_not_fit_say_what_was_done_to_them(nakami, here):
    Image.new("RGB", (32, 20)).save("p.png")
    outcome = nakami("stages", "--model", "small_net.py:make", "--data", "p.png")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert re.search(
        r"got shape \(3, 224, 224\) \(p\.png: from 32 x 20, shorter side scaled to 256, centre "
        r"224 x 224 cut out, RGB, imagenet\) and from the network RuntimeError.*; choose what it "
        r"takes by --size, --mode, --normalise\.",
        outcome.err,
    )
    fits = ("--size", 8)
    assert nakami("stages", "--model", "small_net.py:make", "--data", "p.png", *fits).code == 0


def test_an_array_of_several_must_be_named(nakami, here):
    x = np.load("x.npy")
    np.savez("two.npz", first=x, second=x[:, :, :7])
    outcome = nakami("stages", *OWN[1:3], "--data", "two.npz")
    assert outcome.code == 2
    assert re.search(r"got arrays first, second; name one of them: --key NAME\.", outcome.err)
    outcome = nakami("stages", *OWN[1:3], "--data", "two.npz", "--key", "first", "--json")
    assert json.loads(outcome.out)["stages"][0]["shape"] == [3, 8, 8]


def test_nan_in_data(nakami, here):
    np.save("nan.npy", np.full((2, 3, 8, 8), np.nan, np.float32))
    outcome = nakami(*OWN, "--data", "nan.npy")
    assert outcome.code == 2
    assert re.search(r"NaN|finite", outcome.err)


def test_a_cluster_where_nobody_listens_is_refused_at_once(nakami, here):
    pytest.importorskip("distributed")
    outcome = nakami(*OWN, "--backend", "dask", "--cluster", "tcp://127.0.0.1:1")
    assert outcome.code == 2
    assert re.search(
        r"--cluster must be reached, got ConnectionRefusedError.* at 'tcp://127\.0\.0\.1:1'; "
        r"start it there, or check the address\.$",
        outcome.err.strip(),
    )


def test_weights_of_another_network(nakami, here):
    torch.save(torch.nn.Linear(2, 2).state_dict(), "other.pt")
    outcome = nakami(*OWN, "--weights", "other.pt")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1


def test_weights_run_no_code(nakami, here):
    torch.save(Path("x.npy"), "object.pt")  # a pickle of an object, not of tensors
    outcome = nakami(*OWN, "--weights", "object.pt")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1


def test_folder_that_cannot_be_written(nakami, here, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    outcome = nakami(*OWN)
    assert outcome.code == 2
    assert re.search(
        r"--out must be a place that can be written, got .*; choose another place with --out\.",
        outcome.err,
    )


def test_full_disk_is_told_before_the_work(nakami, here, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    outcome = nakami(*OWN)
    assert outcome.code == 1
    assert re.search(
        r"no space left while writing .*; free some, or choose another place with --out",
        outcome.err,
    )
    assert not list(here.glob("nakami-out/**/run.json"))


def test_a_file_that_ends_too_early_is_no_interruption(nakami, here, monkeypatch):
    """click makes an EOFError, which a library raises at an empty file, the same as Ctrl-C."""
    (here / "empty.npy").write_bytes(b"")
    done = nakami("lr", "--model", "small_net.py:make", "--data", "empty.npy")
    assert (done.code, done.out) == (2, "")
    assert re.search(r"--data must hold labels, got empty\.npy; give an \.npz", done.err)

    def ends(*_):
        raise EOFError("no more data")

    monkeypatch.setattr("nakami.cli._model.build", ends)
    done = nakami("stages", "--model", "small_net.py:make", "--data", "x.npy")
    assert done.code == 1
    assert "stopped by EOFError: no more data" in done.err


def test_unexpected_error_is_a_sentence_with_a_hint(nakami, here, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("by zero\nsecond line")

    monkeypatch.setattr("nakami.cli.commands.xray._own_network", fail)
    outcome = nakami(*OWN)
    assert outcome.code == 1
    assert len(outcome.err.strip().splitlines()) == 1
    assert re.search(r"stopped by ZeroDivisionError: by zero; .*NAKAMI_TRACEBACK=1", outcome.err)
    monkeypatch.setenv("NAKAMI_TRACEBACK", "1")
    assert "Traceback" in nakami(*OWN).err


SAID = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
CARD = type("OutOfMemoryError", (RuntimeError,), {})  # as torch names it


@pytest.mark.parametrize(
    ("error", "wish"),
    [
        (MemoryError("Unable to allocate 14.2 PiB for an array with shape"), "14.2 PiB at once"),
        (RuntimeError(f"{SAID}you tried to allocate 8000000000000 bytes."), "8 TB at once"),
        (RuntimeError(f"{SAID}you tried to allocate 65536000 bytes."), "65.5 MB at once"),
        (CARD("CUDA out of memory. Tried to allocate 2.50 GiB. GPU"), "2.50 GiB at once"),
        (MemoryError(), "more"),
    ],
)
def test_memory_that_is_not_there_is_a_sentence(nakami, here, monkeypatch, error, wish):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("nakami.cli.commands.xray._own_network", fail)
    outcome = nakami(*OWN)
    assert outcome.code == 1
    assert f"memory must hold what is asked for, got a wish for {wish}; " in outcome.err
    assert outcome.err.endswith("take smaller sizes, fewer examples at once, or more memory.\n")
