"""What the library refuses is said with the option's name, and before a subject is trained."""

import re

import pytest

from nakami.cli import _guard


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("k must be 1, got 2; pass a smaller k.", "--top must be 1, got 2; pass a smaller --top."),
        (
            "memory_budget must hold 9 vectors, got 3 bytes; raise it or lower k.",
            "--memory-budget must hold 9 vectors, got 3 bytes; raise it or lower --top.",
        ),
        (
            "stage 'x' is unknown; nearest: 'k'; nakami stages lists them all.",
            "--stages 'x' is unknown; nearest: 'k'; nakami stages lists them all.",
        ),
        (
            "9 spectra did not converge; marked. Raise memory_budget or lower k.",
            "9 spectra did not converge; marked. Raise --memory-budget or lower --top.",
        ),
        ("inputs must be finite, got NaN; clean.", "--data must be finite, got NaN; clean."),
        ("data of another kind; see out/k and k-1.", "data of another kind; see out/k and k-1."),
        (
            "mode must be x, got y; pass another out, or delete out/k.",
            "--mode must be x, got y; pass another --out, or delete out/k.",
        ),
        ("x must hold x; name one with key=.", "--data must hold x; name one with --key."),
        ("folder must hold a run.json, got k.", "folder must hold a run.json, got k."),
    ],
)
def test_arguments_become_options(said, heard):
    assert _guard.in_options(said) == heard


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (("--stages", "hidden9"), r"^nakami: --stages 'hidden9' is unknown; nearest.*'hidden1'"),
        (("--top", "100000"), r"^nakami: --top must .* 1 to 784 .*got 100000; "),
        (("--memory-budget", "1MiB"), r"^nakami: --memory-budget must hold .*; raise it.* --top"),
        (("--inputs", "5000"), r"^nakami: --inputs must lie between 1 and 1000, got 5000"),
    ],
)
def test_a_subject_is_not_trained_for_what_will_be_refused(
    arguments, pattern, nakami, here, monkeypatch
):
    def trained(*_, **__):
        raise AssertionError("training was begun")

    monkeypatch.setattr("nakami.zoo.DBN.fit_layer", trained)
    outcome = nakami("xray", *arguments, "--no-page")
    assert outcome.code == 2, outcome.err
    assert re.search(pattern, outcome.err)
    assert len(outcome.err.strip().splitlines()) == 1
    assert not list(here.glob("nakami-out/**/training.json"))
    assert nakami("xray", "--no-page").code == 1  # the check can fail: right use does train
