"""Experiments at the inputs of an x-ray, from the command line to the page."""

import json

from nakami import load
from nakami.dynamics import EXPERIMENTS


def test_an_experiment_is_made_shown_and_drawn(nakami, here):
    command = ("xray", "--model", "small_net:make", "--data", here / "x.npy", "--top", 5)
    plain = nakami(*command, "--no-page")
    assert plain.code == 0, plain.err
    assert "steps from the input" not in plain.out
    done = nakami(*command, "--experiments", "perturbation")
    assert done.code == 0, done.err
    assert "steps from the input along" in done.out
    folder = here / "nakami-out" / "make" / "run"
    found = load(folder).experiments["perturbation"]
    assert "decided (95 %)" in done.out
    assert str(found.decided("top")[0]) in done.out
    assert "decided_low" not in done.out
    assert found.inputs == (0, 1, 2)
    page = (folder / "report.html").read_text("utf-8")
    assert 'id="perturbation"' in page
    shown = nakami("show", folder)
    table = done.out[done.out.index("steps from") : done.out.index("random   ")]
    assert table in shown.out
    body = json.loads(nakami("show", folder, "--json").out)
    told = body["runs"][0]["experiments"]["perturbation"]
    assert told["inputs"] == 3
    assert told["radius_top"] == found.radius("top")


def test_help_names_every_experiment(nakami):
    shown = nakami("xray", "--help").out
    assert all(name in shown for name in EXPERIMENTS)


def test_unknown_experiments_are_refused_before_the_work(nakami, here):
    command = ("xray", "--model", "small_net:make", "--data", here / "x.npy")
    done = nakami(*command, "--experiments", "pertubation")
    assert done.code == 2
    assert "perturbation" in done.err
    assert not (here / "nakami-out").exists()
