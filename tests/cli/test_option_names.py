"""What the library refuses is worded with the option's name, before a subject is trained."""

import re

import pytest

from nakami.cli import _exit_codes
from nakami.cli._app import COMMANDS
from nakami.cli._command import running
from nakami.results import PYTHON, NotConvergedWarning, RunError, unknown, wrong


@pytest.mark.parametrize(
    ("message", "worded"),
    [
        (
            wrong("k", "be 1", 2, "pass a smaller {k}"),
            "--top must be 1, got 2; pass a smaller --top.",
        ),
        (
            wrong("memory_budget", "hold 9 vectors", "3 bytes", ["raise it", "lower {k}"]),
            "--memory-budget must hold 9 vectors, got 3 bytes; raise it or lower --top.",
        ),
        (
            unknown("stage", "x", ["k"], "nakami stages lists them all"),
            "--stages 'x' is unknown; nearest: 'k'; nakami stages lists them all.",
        ),
        (
            NotConvergedWarning(
                "9 did not {k}; {way_out}.", way_out=["raise {max_products}", "lower {k}"]
            ),
            "9 did not --top; lower --top.",
        ),
        (
            wrong("inputs", "be finite", "{k}", "clean k"),
            "--data must be finite, got {k}; clean k.",
        ),
        (
            wrong("folder", "hold a run.json", "k", "look"),
            "folder must hold a run.json, got k; look.",
        ),
        (
            unknown("dtype", "f", ["f2"], PYTHON + "pass a torch.dtype"),
            "--dtype 'f' is unknown; nearest: 'f2'.",
        ),
        (
            wrong("targets", "fit", "3", "reshape the outputs with {forward}="),
            "targets must fit, got 3; the same command with --help lists what there is.",
        ),
        (RunError("no space; pass another {out}."), "no space; pass another --out."),
        (
            wrong("tol", "be 1e-6", 0, ["pass {tol}=2e-06", "pass {dtype}='float64'"]),
            "--tol must be 1e-6, got 0; pass --tol 2e-06 or pass --dtype float64.",
        ),
        (
            RunError("read it with {dtype}='float64', or {targets}=[1]."),
            "read it with --dtype float64, or targets=[1].",
        ),
    ],
)
def test_arguments_become_options(message, worded):
    running.set(COMMANDS["xray"])
    assert _exit_codes.in_options(message) == worded


def test_in_python_a_place_with_a_value_is_an_argument():
    found = wrong("tol", "be 1e-6", 0, ["pass {tol}=2e-06", "pass {dtype}='float64'"])
    assert str(found).endswith("; pass tol=2e-06 or pass dtype='float64'.")


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (("--stages", "hidden9"), r"^nakami: --stages 'hidden9' is unknown; nearest.*'hidden1'"),
        (("--top", "100000"), r"^nakami: --top must .* 1 to 784 .*got 100000; "),
        (
            ("--memory-budget", "1MiB", "--top", "500"),
            r"^nakami: --memory-budget must hold .*; raise it.* --top",
        ),
        (
            ("--tol", "1e-12", "--dtype", "float32"),
            r"^nakami: --tol must be .* in float32, got 1e-12; pass --tol 2e-06 or ",
        ),
        (("--inputs", "5000"), r"^nakami: --inputs must lie between 1 and 1000, got 5000"),
    ],
)
def test_a_subject_is_not_trained_for_what_will_be_refused(
    arguments, pattern, nakami, here, monkeypatch
):
    def trained(*_, **__):
        raise AssertionError("training was begun")

    monkeypatch.setattr("nakami.training._training.go_on", trained)
    outcome = nakami("xray", *arguments, "--no-page")
    assert outcome.code == 2, outcome.err
    assert re.search(pattern, outcome.err)
    assert len(outcome.err.strip().splitlines()) == 1
    assert not list(here.glob("nakami-out/**/run.json"))
    assert nakami("xray", "--no-page").code == 1  # the check can fail: right use does train


def test_each_command_has_names_of_its_own():
    lr, xray = (COMMANDS[name].options() for name in ("lr", "xray"))
    assert lr["loss"] == "--loss"
    assert "loss" not in xray
    assert {xray[name] for name in ("data", "inputs", "x", "path")} == {"--data"}
    assert xray["n_inputs"] == "--inputs"
    assert "subject" not in xray  # an argument has no option
