"""``nakami xray --detached``: its numbers, where the run lies, what it says, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nakami.results import load
from nakami.results._same import difference

NETWORK = """
from torch import nn


def curved():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
"""
OWN = ("xray", "--model", "curved_net.py:curved", "--data", "points.npy", "--dtype", "float64")
RUN = "nakami-out/curved/run"


@pytest.fixture
def points(here):
    (here / "curved_net.py").write_text(NETWORK)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    np.save(here / "points.npy", x)
    return x


def test_values_are_those_of_the_held_multipliers(nakami, here, points):
    done = nakami(*OWN, "--detached", "--stages", "2")
    assert done.code == 0, done.err
    assert "Detached: what multiplies states is held as numbers" in done.out
    found = load(here / f"{RUN},detached")
    assert found.settings["derivative"] == "detached"
    torch.manual_seed(0)
    first, _, last = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)
    ).double()
    for spectrum, x in zip(found.at("2"), torch.from_numpy(points).double(), strict=True):
        z = first(x)
        held, exact = torch.tanh(z) / z, 1 - torch.tanh(z) ** 2
        wanted, other = (
            torch.linalg.svdvals(last.weight * m @ first.weight).detach() for m in (held, exact)
        )
        np.testing.assert_allclose(spectrum.values, wanted, rtol=1e-9)
        assert np.abs(spectrum.values / other.numpy() - 1).max() > 0.01
    page = (here / f"{RUN},detached" / "report.html").read_text("utf-8")
    assert "J is no derivative" in page


def test_a_run_of_the_exact_derivative_is_another_and_does_not_compare(nakami, here, points):
    for option in ((), ("--detached",)):
        assert nakami(*OWN, "--no-page", *option).code == 0
    assert "derivative" not in load(here / RUN).settings
    done = nakami("compare", RUN, f"{RUN},detached")
    assert done.code == 2
    assert "must be read by the same derivative, got 'exact' and 'detached'" in done.err
    assert "--detached" in done.err
    assert nakami("compare", f"{RUN},detached", f"{RUN},detached").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("xray", "--detached"), "--detached must come with --model, got a shipped subject"),
        ((*OWN, "--detached", "--experiments", "noise"), "--experiments must be left out with"),
        (("xray", "--recurrent", "--detached"), "--detached must be left out with --recurrent"),
    ],
)
def test_refusals(nakami, points, arguments, message):
    done = nakami(*arguments)
    assert done.code == 2
    assert message in done.err


def test_lenses_of_both_derivatives_do_not_compare_either(nakami, points):
    lens = ("lens", *OWN[1:], "--stages", "1", "--to", "2", "--no-page")
    for option in ((), ("--detached",)):
        done = nakami(*lens, *option)
        assert done.code == 0, done.err
    other, one = sorted(map(str, Path("nakami-out/curved").iterdir()))
    done = nakami("compare", one, other)
    assert done.code == 2
    assert "must be read by the same derivative, got 'exact' and 'detached'" in done.err
    assert nakami("compare", other, other).code == 0
    old, new = (load(run).settings for run in (one, other))
    assert difference("derivative", old, new) == ("derivative", "'exact'", "'detached'")
