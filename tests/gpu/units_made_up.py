"""Units that do what units may do on a bad day."""

import os
import time

import torch
from benchmarks.gpu.units import SPEED, Unit

from nakami.results import warn


def good(setting, found):
    found.near("a sum", torch.ones(3).sum(), 3.0, 1e-6)
    found.numbers["rate"] = 2.0


def wrong(setting, found):
    found.near("a sum", torch.ones(3).sum() * 1.001, 3.0, 1e-6)
    found.holds("true", True)


def raising(setting, found):
    raise RuntimeError("CUDA error: out of\nmemory")


def bare(setting, found):
    import a_package_that_nobody_has  # noqa: F401


def warning(setting, found):
    warn("this derivative is doubtful")


def hanging(setting, found):
    time.sleep(60)


def dying(setting, found):
    os._exit(7)


UNITS = [
    Unit("made-up/good", good, group=SPEED),
    Unit("made-up/wrong", wrong),
    Unit("made-up/raising", raising),
    Unit("made-up/bare", bare),
    Unit("made-up/warning", warning),
    Unit("made-up/hanging", hanging, seconds=0.5),
    Unit("made-up/good-again", good),
    Unit("made-up/dying", dying),
]
