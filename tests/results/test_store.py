"""Runs on disk: written, read back, continued, refused."""

import errno
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nakami.results import Outcome, RunError, RunFolder, SpectrumEnding, UsageError, load
from nakami.results.kinds.xray import piece_name
from spectra_made_by_hand import settings, spectrum


def write_run(path, rows=((3.0, 2.0), (2.0, 0.5))):
    folder = RunFolder(path, settings(len(rows), 2))
    for i, row in enumerate(rows):
        folder.write_input(i, np.full(2, i, dtype=np.float32))
        folder.write(spectrum(row, i))
    return folder.finish()


def test_a_run_reads_back_as_it_was_written(tmp_path):
    run = write_run(tmp_path / "run")
    again = load(tmp_path / "run")
    assert again.settings == run.settings
    assert again.settings["schema"] == "nakami.xray/1"
    assert again.names == ("h1",)
    assert np.array_equal(again.inputs, [[0, 0], [1, 1]])
    for a, b in zip(run.spectra, again.spectra, strict=True):
        assert np.array_equal(a.values, b.values)
        assert np.array_equal(a.right, b.right)
        assert (a.shape, a.reason, a.floor) == (b.shape, b.reason, b.floor)


def test_endings_are_stored_by_kind_and_older_pieces_are_read(tmp_path):
    whole = write_run(tmp_path)
    piece = next((tmp_path / "pieces").glob("0000-h1")) / "result.json"
    numbers = {"within": 1, "values": 2, "tol": 1e-4, "limited": 1}
    ended = Outcome(SpectrumEnding.LIMITED, numbers)
    record = json.loads(piece.read_text())
    del record["sha256"]  # as they were written before there were checksums
    piece.write_text(json.dumps({**record, "outcome": ended.record()}))
    now = load(tmp_path).spectra[0]
    assert (now.outcome, now.limited, now.converged) == (ended, 1, True)
    assert now.reason == "1 of 2 values within tol 0.0001, 1 at the limit of the arithmetic"
    del record["outcome"]  # as it was written before there were outcomes
    for converged in (True, False):
        piece.write_text(json.dumps({**record, "converged": converged, "reason": "as it was"}))
        old = load(tmp_path).spectra[0]
        assert (old.reason, old.converged, old.limited) == ("as it was", converged, 0)
    assert whole.spectra[1].outcome == load(tmp_path).spectra[1].outcome


def test_the_layout_on_disk(tmp_path):
    write_run(tmp_path)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    piece = ["arrays.safetensors", "result.json", "timing.json"]
    pieces = [f"pieces/{i:04d}-{s}/{n}" for i in (0, 1) for s in ("h1", "input") for n in piece]
    assert names == sorted([*pieces, "result.json", "run.json"])
    body = json.loads((tmp_path / "result.json").read_text())
    assert body["summary"][0]["count"]["mean"] == 1.5


def test_a_piece_without_its_json_is_not_done(tmp_path):
    folder = RunFolder(tmp_path, settings(1, 2))
    folder.write(spectrum([2.0, 1.0]))
    assert folder.has(0, "h1")
    (tmp_path / "pieces" / "0000-h1" / "result.json").unlink()
    assert not folder.has(0, "h1")
    assert load(tmp_path).spectra == ()


def test_rows_of_inputs_are_the_inputs(tmp_path):
    run = write_run(tmp_path, [(3.0, 2.0)] * 3)
    assert run.inputs[:, 0].tolist() == [0, 1, 2]
    (tmp_path / "pieces" / "0001-input" / "result.json").unlink()
    part = load(tmp_path)
    assert part.inputs[:, 0].tolist() == [0]  # and never input 2 in the row of input 1
    assert part.n_inputs == 3


ORDER = """
import json, sys
from dataclasses import replace
import numpy as np
from nakami.results import RunFolder, StageInfo
from spectra_made_by_hand import settings, spectrum

names = ["zeta", "beta", "gamma", "alpha", "delta"]
body = settings(1, 2)
body["stages"] = [{"name": n, "kind": "linear", "shape": [2]} for n in ["input", *names]]
folder = RunFolder(sys.argv[1], body)
for source, stage in zip(["input", *names], names):
    folder.write(spectrum([2.0, 1.0], stage=stage))
    if source != "input":
        folder.write(replace(spectrum([2.0, 1.0], stage=stage), source=source))
folder.finish()
"""


def test_rows_of_the_summary_are_in_order_of_depth_whatever_the_hash_seed(tmp_path):
    names = ["zeta", "beta", "gamma", "alpha", "delta"]
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        others = os.environ.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), others])
        command = [sys.executable, "-c", ORDER, str(tmp_path / seed)]
        subprocess.run(command, env=environment, check=True)
        rows = json.loads((tmp_path / seed / "result.json").read_text())["summary"]
        own = list(pairwise(names))
        assert [(r["source"], r["stage"]) for r in rows] == [("input", n) for n in names] + own


def test_odd_stage_names_do_not_meet():
    a, b = piece_name(0, "pool:2"), piece_name(0, "pool/2")
    assert a != b
    assert {"/", ":"}.isdisjoint(a + b)
    assert piece_name(0, "h1", "h0") != piece_name(0, "h1")


def test_other_settings_are_refused_by_name(tmp_path):
    write_run(tmp_path)
    with pytest.raises(UsageError, match=r"seed must be as in the run that .* holds, 0, got 1"):
        RunFolder(tmp_path, {**settings(2, 2), "seed": 1})
    with pytest.raises(UsageError, match=r"versions.torch must be as in the run"):
        RunFolder(tmp_path, {**settings(2, 2), "versions": {"torch": "3"}})
    RunFolder(tmp_path, settings(2, 2))  # the same settings continue
    RunFolder(tmp_path, {**settings(2, 2), "input_noun": "digit"})  # older records say no noun


def refusal(path, change):
    with pytest.raises(UsageError) as caught:
        RunFolder(path, {**settings(2, 2), **change})
    return str(caught.value)


def test_a_refusal_says_what_differs_in_a_few_words(tmp_path):
    names = [f"test digit {i}" for i in range(16)]
    body = {**settings(2, 2), "input_names": names, "training": "weights from a/net.pt"}
    RunFolder(tmp_path, body)
    RunFolder(tmp_path, {**body, "training": "weights from ./a/net.pt"})  # the same by another path
    run = tmp_path / "run"
    RunFolder(run, {**body, "threads": 2})
    other_stages = settings(2, 2, "h2")["stages"]
    cases = [
        (
            {"input_names": names[:4]},
            (
                "16 entries ('test digit 4', 'test digit 5', 'test digit 6' and 9 more only "
                "there), got 4; "
            ),
        ),
        ({"input_names": [*names[:7], "x", *names[8:]]}, "'test digit 7' at place 7, got 'x'; "),
        (
            {"model": {"weights_sha256": "x"}, "training": "weights from b/net.pt"},
            (
                f"weights must be as in the run that {run} holds, weights from a/net.pt, got "
                "weights from b/net.pt; "
            ),
        ),
        (
            {"model": {"weights_sha256": "x"}},
            f"got weights from a/net.pt (other numbers); pass another out or delete {run}.",
        ),
        ({"seed": 1, "tol": 2, "stages": other_stages}, ", 0, got 1 (stages, tol differ too); "),
        ({"threads": 1}, "holds, 2, got 1; set OMP_NUM_THREADS=2, pass another out or delete "),
    ]
    for change, said in cases:
        assert said in refusal(run, {**body, "threads": 2, **change})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_inputs": 3, "input_names": ["a"], "inputs_sha256": "x"}, "n_inputs"),
        ({"seed": 1, "model": {"weights_sha256": "x"}, "facts": [2]}, "seed"),
        ({"dtype": "float64", "about": 3}, "dtype"),
        ({"model": {"weights_sha256": "x"}, "facts": [2]}, "weights"),
        ({"data": "other.npy", "input_names": ["a"], "inputs_sha256": "x"}, "data"),
        ({"threads": 9, "input_names": ["a"]}, "threads"),
        ({"input_names": ["a"], "inputs_sha256": "x"}, "input_names"),
    ],
)
def test_a_refusal_names_the_cause_not_what_follows_from_it(tmp_path, change, named):
    write_run(tmp_path)
    with pytest.raises(UsageError, match=f"^{named} must be as in the run that"):
        RunFolder(tmp_path, {**settings(2, 2), **change})


def test_a_refusal_shows_stages_by_name(tmp_path):
    write_run(tmp_path)
    with pytest.raises(
        UsageError, match=r"stages must .*\['input', 'h1'\], got \['input', 'h2'\];"
    ):
        RunFolder(tmp_path, settings(2, 2, "h2"))


def test_newer_schemas_are_refused_and_older_ones_read(tmp_path):
    write_run(tmp_path)
    body = json.loads((tmp_path / "run.json").read_text())
    for schema, message in [
        ("nakami.xray/2", r"schema must be at most 'nakami.xray/1', got 'nakami.xray/2'"),
        ("other/1", r"schema must name a kind of run .*, got 'other/1'"),
    ]:
        (tmp_path / "run.json").write_text(json.dumps({**body, "schema": schema}))
        with pytest.raises(UsageError, match=message):
            load(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**body, "schema": "nakami.xray/0"}))
    assert len(load(tmp_path).spectra) == 2


def test_damage_and_absence_are_said(tmp_path):
    with pytest.raises(TypeError, match=r"folder must be a path, got 3; give the folder of a run"):
        load(3)
    with pytest.raises(TypeError, match=r"out must be a path, got 3; give the folder of a run"):
        RunFolder(3, {})
    with pytest.raises(UsageError, match=r"folder must hold a run.json"):
        load(tmp_path)
    write_run(tmp_path / "net" / "before")
    with pytest.raises(UsageError, match=r"give the folder of a run, as .*net/before\.$"):
        load(tmp_path)
    write_run(tmp_path)
    (tmp_path / "pieces" / "0001-h1" / "arrays.safetensors").write_bytes(b"short")
    with pytest.raises(UsageError, match=r"piece 0001-h1 of .* is damaged"):
        load(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"run.json in .* cannot be read"):
        load(tmp_path)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="out must be a folder, got a file on the way to"):
        RunFolder(tmp_path / "file" / "run", settings(1, 2))


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (
            errno.ENOSPC,
            RunError,
            "no space left while writing .*; free some, or .* and start the same",
        ),
        (errno.EACCES, UsageError, "out must be a place that can be written, got "),
        (errno.ENOENT, UsageError, "out must be a place that can be written, got "),  # as in /proc
        (errno.EIO, RunError, "nothing finished is lost"),
    ],
)
def test_a_failing_disk_is_one_sentence(tmp_path, monkeypatch, number, kind, message):
    folder = RunFolder(tmp_path, settings(1, 2))

    def fail(self, data):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(kind, match=message):
        folder.write(spectrum([2.0, 1.0]))
    assert not folder.has(0, "h1")
