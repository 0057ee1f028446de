"""Whole commands on a small network with its own pictures, in a folder of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

OWN = ("--model", "small_net.py:make", "--data", "x.npy")
RUN = "nakami-out/make/run"
UNTRAINED = "note: no --weights given: weights as {} made them, perhaps untrained."


def test_xray_json_is_all_of_standard_output(nakami, here):
    outcome = nakami("xray", *OWN, "--json", "--no-page", "--inputs", 2)
    assert outcome.code == 0, outcome.err
    body = json.loads(outcome.out)
    assert body["page"] is None
    (run,) = body["runs"]
    assert run["folder"] == RUN
    assert run["converged"] is True
    assert run["n_inputs"] == 2
    assert not (here / RUN / "report.html").exists()


def test_values_are_those_of_the_dense_jacobian(nakami, here):
    import torch

    import nakami as library

    assert nakami("xray", *OWN, "--stages", "second", "--no-page", "--inputs", 2).code == 0
    run = library.load(here / RUN)
    torch.manual_seed(0)
    sys.path.insert(0, str(here))
    import small_net

    net, x = small_net.make(), torch.from_numpy(np.load("x.npy"))
    for i, found in enumerate(run.at("second")):
        dense = torch.autograd.functional.jacobian(
            lambda v: net.second(net.relu(net.first(v[None]))).flatten(), x[i]
        )
        exact = torch.linalg.svdvals(dense.flatten(1).double()).numpy()
        np.testing.assert_allclose(found.values, exact, rtol=1e-3)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            np.testing.assert_allclose(found.values, 1.01 * exact, rtol=1e-3)


def test_table_show_and_second_start(nakami, here):
    first = nakami("xray", *OWN, "--no-page", "--layers")
    assert first.code == 0, first.err
    for name in ("relu", "second", "head", "eff. rank"):
        assert name in first.out
    assert f"Runs: {RUN}" in first.out
    stamps = {p: p.stat().st_mtime_ns for p in (here / RUN / "pieces").rglob("*") if p.is_file()}
    again = nakami("xray", *OWN, "--no-page", "--layers")
    assert again.code == 0
    assert again.out == first.out
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}, "a finished piece was done again"
    shown = nakami("show", RUN)
    assert shown.code == 0
    assert shown.out.splitlines() == first.out.splitlines()[:-1]
    assert json.loads(nakami("show", RUN, "--json").out)["runs"][0]["n_inputs"] == 3


def test_other_settings_are_refused_naming_the_field(nakami, here):
    own = (*OWN, "--no-page", "--stages", "head")
    assert nakami("xray", *own).code == 0
    outcome = nakami("xray", *own, "--seed", 1)
    assert outcome.code == 2
    way_out = f"pass another --out or delete {RUN}."
    assert outcome.err.splitlines() == [
        UNTRAINED.format("small_net.py:make"),
        f"nakami: --seed must be as in the run that {RUN} holds, 0, got 1; {way_out}",
    ]
    outcome = nakami("xray", *own, "--inputs", 2)
    assert (
        f"nakami: --inputs must be as in the run that {RUN} holds, 3, got 2; {way_out}"
        in outcome.err
    )


def test_weights_of_one_name_in_two_folders_do_not_meet(nakami, here):
    import torch

    sys.path.insert(0, str(here))
    import small_net

    for name in ("a", "b"):
        (here / name).mkdir()
        torch.save(small_net.Small().state_dict(), f"{name}/net.pt")
    own = ("xray", *OWN, "--no-page", "--stages", "head", "--inputs", 1)
    first = nakami(*own, "--weights", "a/net.pt")
    assert first.code == 0
    assert "untrained" not in first.err  # on a slow machine progress stands there
    assert nakami(*own, "--weights", "./a/../a/net.pt").code == 0
    outcome = nakami(*own, "--weights", "b/net.pt")
    assert outcome.err.endswith(
        "nakami: --weights must be as in the run that nakami-out/make/net holds, weights from "
        "a/net.pt, got weights from b/net.pt; pass another --out or delete nakami-out/make/net.\n"
    )
    other = nakami(*own, "--weights", "b/net.pt", "--out", "b")
    assert other.code == 0, other.err
    settings = json.loads((here / "b/make/net/run.json").read_text())
    assert settings["training"] == "weights from b/net.pt"


@pytest.mark.filterwarnings("default::nakami.results.NakamiWarning")
def test_layers_of_one_stage_are_a_note_with_the_option(nakami, here):
    outcome = nakami("xray", *OWN, "--no-page", "--inputs", 1, "--stages", "head", "--layers")
    assert outcome.code == 0
    assert re.search(r"note: --layers must come with two stages or more.*'head' alone", outcome.err)


def test_a_name_with_a_comma_can_be_asked_for(nakami, here):
    (here / "odd_net.py").write_text(
        "import torch\nodd = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))\n"
        "odd.add_module('x,y', torch.nn.Tanh())\n"
    )
    own = ("xray", "--model", "odd_net.py:odd", "--data", "x.npy", "--no-page", "--inputs", 1)
    outcome = nakami(*own, "--stages", "x,y", "--stages", "1")
    assert outcome.code == 0, outcome.err
    stages = json.loads((here / "nakami-out/odd/run/run.json").read_text())["stages"]
    assert [s["name"] for s in stages] == ["input", "1", "x,y"]
    assert nakami(*own, "--stages", "x,y", "--out", "other").code == 2


def test_forms_of_a_model(nakami, here):
    names = ("small_net.py:make", "small_net:make", "small_net:Small", "small_net:ready")
    rows = [nakami("stages", "--model", m, "--data", "x.npy", "--json") for m in names]
    assert [r.code for r in rows] == [0] * 4, [r.err for r in rows]
    first = json.loads(rows[0].out)["stages"]
    assert first[0]["name"] == "input"
    assert {"first", "relu", "second", "head"} <= {s["name"] for s in first}
    assert all(json.loads(r.out)["stages"] == first for r in rows)
    assert any(s["auto"] for s in first)


def test_stages_table(nakami, here):
    outcome = nakami("stages", *OWN)
    assert outcome.code == 0
    assert re.search(r"second.*conv2d.*2 × 3 × 3.*18", outcome.out)


def test_zoo_name_takes_the_shipped_digits(nakami, here):
    outcome = nakami("stages", "--model", "cnn", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["stages"][0]["shape"] == [1, 28, 28]


def test_folder_of_pictures(nakami, here):
    rng = np.random.default_rng(1)
    (here / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 255, (10, 12, 3), np.uint8)).save(here / "photos" / name)
    outcome = nakami(
        "xray",
        "--model",
        "small_net.py:make",
        "--data",
        "photos",
        "--size",
        8,
        "--json",
        "--no-page",
    )
    assert outcome.code == 0, outcome.err
    settings = json.loads((here / RUN / "run.json").read_text())
    assert settings["input_names"] == ["a.png", "b.png"]
    assert settings["picture"]["mean"]


def test_compare_two_weights(nakami, here):
    import torch

    sys.path.insert(0, str(here))
    import small_net

    for name in ("one", "two"):
        torch.manual_seed(len(name) + ord(name[0]))
        torch.save(small_net.Small().state_dict(), f"{name}.pt")
        outcome = nakami("xray", *OWN, "--weights", f"{name}.pt", "--no-page", "--inputs", 2)
        assert outcome.code == 0, outcome.err
    runs = ("nakami-out/make/one", "nakami-out/make/two")
    table = nakami("compare", *runs)
    assert table.code == 0, table.err
    assert "two minus one" in table.out
    (here / "moved").mkdir()
    (here / runs[1]).rename(here / "moved/one")
    assert "moved/one minus make/one" in nakami("compare", runs[0], "moved/one").out
    assert "after minus before" in nakami("compare", runs[0], runs[0]).out
    (here / "moved/one").rename(here / runs[1])
    changes = json.loads(nakami("compare", *runs, "--json").out)["changes"]
    same = json.loads(nakami("compare", runs[0], runs[0], "--json").out)["changes"]
    assert any(c["mean"] != 0 for c in changes)
    assert all(c["mean"] == 0 for c in same)


def test_page_of_a_run(nakami, here):
    pytest.importorskip("vl_convert", reason="the page needs the extra report")
    outcome = nakami("xray", *OWN, "--inputs", 1)
    assert outcome.code == 0, outcome.err
    page = here / RUN / "report.html"
    assert f"Page: {RUN}/report.html" in outcome.out
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


def test_missing_extra_is_a_note(nakami, here, monkeypatch):
    monkeypatch.setattr("nakami.cli._runs.DRAWN_BY", ("a_package_that_is_not_there",))
    outcome = nakami("xray", *OWN, "--inputs", 1, "--stages", "head")
    assert outcome.code == 0
    assert re.search(
        r"note: no page will be written, a_package.*pip install 'nakami\[report\]'", outcome.err
    )
    assert not (here / RUN / "report.html").exists()


SLOW = """
from small_net import Small
import os, time, torch

def make():
    net = Small()
    net.first.register_forward_pre_hook(lambda *_: time.sleep(float(os.environ.get("SLOW", 0))))
    return net
"""


def test_interrupted_run_continues_to_the_same_bits(nakami, here):
    (here / "slow_net.py").write_text(SLOW)
    command = [sys.executable, "-m", "nakami", "xray", "--model", "slow_net.py:make"]
    command += ["--data", "x.npy", "--no-page", "--inputs", "2", "--out", "cut"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SLOW": "0.15"},
        # a parent in the background may have Ctrl-C switched off, which children inherit
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    pieces = here / "cut/make/run/pieces"
    deadline = time.monotonic() + 60
    while not list(pieces.glob("*/timing.json")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert out == ""
    said = err.strip().splitlines()
    assert re.fullmatch(r"nakami: interrupted; .*the same command continues it\.", said[-1])
    assert said[0] == UNTRAINED.format("slow_net.py:make")
    assert said[1:-1] == []  # a run is slow here, products are not: no forecast is told
    assert not (here / "cut/make/run/result.json").exists(), "too late to interrupt"

    shown = nakami("show", "cut/make/run")
    assert shown.code == 0
    assert re.search(r"\d of \d+ spectra so far; the same command continues", shown.out)
    arguments = command[3:]
    assert nakami(*arguments).code == 0
    assert "so far" not in nakami("show", "cut/make/run").out
    assert nakami(*arguments[:-1], "whole").code == 0
    whole = here / "whole/make/run"
    assert (here / "cut/make/run/result.json").exists()
    for piece in whole.glob("pieces/*/arrays.safetensors"):
        twin = here / "cut/make/run" / piece.relative_to(whole)
        assert twin.read_bytes() == piece.read_bytes(), piece.parent.name
