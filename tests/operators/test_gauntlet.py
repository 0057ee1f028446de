"""Every kind of network with every form of data and every loss: right, or refused in a sentence.

All of them stand in ``tests/gauntlet``; most run in ``make test-all`` alone, and every so many in
every run.
"""

import pytest

from gauntlet import NETWORKS, combinations, named
from gauntlet.readings import OF_INPUTS

INPUTS = ("a pair", "inputs in a dict", "an object", "single precision", "views", "numpy")


def mostly_slow(cases, every, first=0):
    """Of the cases every so many without a mark."""
    return [
        pytest.param(*case, marks=[pytest.mark.slow] if (i - first) % every else [])
        for i, case in enumerate(cases)
    ]


@pytest.mark.parametrize(
    ("kind", "form", "loss", "readings"),
    mostly_slow([(a, b, c, tuple(r)) for a, b, c, r in combinations()], 31),
)
def test_a_reading_of_a_loss_is_right_or_refused(kind, form, loss, readings):
    case = named(kind, form, loss)
    for reading in readings:
        case.check(reading)


@pytest.mark.parametrize(
    ("kind", "form", "reading"),
    mostly_slow([(a, b, c) for a in NETWORKS for b in INPUTS for c in OF_INPUTS], 17),
)
def test_a_reading_of_an_input_is_right_or_refused(kind, form, reading):
    loss = {"heads": "of two outputs", "own": "made by the model"}.get(NETWORKS[kind].outputs)
    named(kind, form, loss or "cross-entropy").check(reading)


def test_another_loss_is_told_apart():
    case = named("plain", "pairs, uneven", "squared error")
    case.truth.loss = case.loss._replace(total=lambda *args: 1.0001 * case.loss.total(*args))
    for reading in ("ggn", "hessian", "trace", "eigenvalues", "cut", "gradient", "elsewhere"):
        with pytest.raises(AssertionError, match=r"not close|±|approx"):
            case.check(reading)
