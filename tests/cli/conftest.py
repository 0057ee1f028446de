"""The command run in this process, and a small network with its own pictures."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nakami.cli import main

NETWORK = '''
import torch
from torch import nn


class Small(nn.Module):
    """Two convolutions and a linear layer on 3 x 8 x 8 pictures."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.second = nn.Conv2d(4, 2, 3, stride=2)
        self.head = nn.Linear(2 * 3 * 3, 5)

    def forward(self, x):
        return self.head(self.second(self.relu(self.first(x))).flatten(1))


def make():
    return Small()


def sized(width):
    return Small()


def broken():
    raise RuntimeError("no such luck")


def poisoned():
    net = Small()
    with torch.no_grad():
        net.head.weight[0, 0] = float("nan")
    return net


ready = Small()
number = 3
def nothing():
    return None
'''


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def nakami(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run the command line with these arguments; a slow machine adds no lines of progress."""
    monkeypatch.setattr("nakami.cli._progress.SECONDS_BEFORE_LINES", 600.0)

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        seen = capsys.readouterr()
        return Outcome(stop.value.code, seen.out, seen.err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with ``small_net.py`` and three inputs in ``x.npy``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path.copy())
    (tmp_path / "small_net.py").write_text(NETWORK)
    x = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    yield tmp_path
    for name in ("small_net", "slow_net", "odd_net"):
        sys.modules.pop(name, None)
