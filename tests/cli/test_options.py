"""Texts of the command line become values."""

import pytest

from nakami import zoo
from nakami.cli import _groups
from nakami.cli._progress import Meter
from nakami.cli.commands import xray


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GiB", 2**30),
        ("500MB", 500_000_000),
        ("1.5 gib", 3 * 2**29),
        ("1073741824", 2**30),
        ("2mib", 2**21),
        (None, None),
    ],
)
def test_memory_budget(text, size):
    assert _groups.memory_budget(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "1 GiB 2", "1e9", "5 horses"])
def test_memory_budget_refuses(text):
    with pytest.raises(ValueError, match=r"--memory-budget must be a size such as 1GiB or 500MB"):
        _groups.memory_budget(text)


def test_stage_names():
    assert xray.stage_names(["auto"]) == "auto"
    assert xray.stage_names(["a, b.0 ,c:2"]) == ["a", "b.0", "c:2"]
    assert xray.stage_names(["m.x,y", "z"]) == ["m.x,y", "z"]


def test_meter_off_a_terminal_prints_now_and_then(capsys, monkeypatch):
    # its own start, the listener's; the first line after 5 s, others after 15 s more
    clock = iter([0.0, 0.0, 1.0, 6.0, 6.0, 19.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with Meter() as meter:
        meter(1, 10, 90.0, "pretrained")
        meter(2, 10, 80.0, "pretrained")
        meter(3, 10, 70.0, "pretrained")
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err == "pretrained: 2 of 10, 1 min 20 s left\n"


def test_meter_on_a_terminal_draws_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Meter() as meter:
        meter(4, 10, 80.0, "pretrained")
        meter(5, 12, None, "pretrained")
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "pretrained" in seen.err
    assert "5/12" in seen.err


def test_help_names_the_whole_zoo():
    assert f"the zoo: {', '.join(zoo.ENTRIES)}." in _groups.RUNS_CODE
