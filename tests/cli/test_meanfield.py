"""``nakami theory meanfield``: tables, JSON, wrong use; torch stays out."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nakami.theory import meanfield

SMALL = ("theory", "meanfield", "--widths", "100,200,200,5", "--samples", "20", "--no-page")


def test_tables_hold_the_numbers_of_the_library(nakami, here):
    done = nakami(*SMALL, "--activation", "relu", "--weight-variance", "2", "--bias-variance", "0")
    assert (done.code, done.err) == (0, "")
    found = meanfield.predict((100, 200, 200, 5), "relu", 2, samples=20)
    for value in (found.statistics.largest, found.statistics.mean, found.statistics.second_moment):
        assert f"{value:.4g}" in done.out
    assert f"{found.rates.limit:.3g}" in done.out
    assert "200 ←" in done.out
    assert "critical" in done.out
    assert "cross-entropy" not in done.out


def test_json_is_all_of_standard_output(nakami, here):
    done = nakami(*SMALL, "--loss", "cross_entropy", "--start", "0.1,0.04", "--json")
    body = json.loads(done.out)
    found = meanfield.predict(
        (100, 200, 200, 5), "tanh", 3, 0.64, samples=20, loss="cross_entropy", start=(0.1, 0.04)
    )
    assert body["rates"]["limit"] == found.rates.limit
    assert body["softmax"]["lower"] == found.softmax.lower
    assert body["order"]["q1"] == list(found.order.q1)
    assert body["order"]["activations"] == ["tanh", "tanh"]
    assert len(body["by_width"]) == len(body["widths"])
    assert body["page"] is None


WRONG = {
    "widths": (("--widths", "7,x"), r"--widths must be whole numbers.*'7,x'"),
    "no hidden layer": (("--widths", "7,3"), r"--widths must name inputs, hidden layers"),
    "loss": (("--loss", "ce"), r"--loss 'ce' is unknown"),
    "activation": (("--activation", "rely"), r"--activation 'rely' is unknown; nearest.*'relu'"),
    "variance": (("--weight-variance", "-1"), r"--weight-variance must be finite and at least 0"),
    "start": (("--start", "1"), r"--start must be two numbers, got '1'; write --start 1,0"),
    "overlap": (("--start", "1,2"), r"--start must hold"),
    "samples": (("--samples", "0"), r"--samples must be at least 1, got '0'; write --samples 100"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_one_sentence(nakami, here, case):
    arguments, message = WRONG[case]
    done = nakami("theory", "meanfield", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert re.search(message, done.err), done.err


def test_torch_stays_out(tmp_path):
    code = f"""
import sys
from nakami.cli import main
try:
    main([*{SMALL[:-1]}, "--json", "--out", {str(tmp_path)!r}])
except SystemExit as stop:
    assert stop.code == 0, stop.code
assert "torch" not in sys.modules
assert "nakami.theory.meanfield" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = json.loads(done.stdout)["page"]
    assert page is None or Path(page).exists()


def test_the_run_is_shown_again_and_compared(nakami, here):
    assert nakami(*SMALL).code == 0
    assert nakami(*SMALL, "--seed", 1, "--loss", "half").code == 0
    one, other = sorted((here / "nakami-out" / "theory").iterdir())
    assert nakami("show", one).out == nakami(*SMALL, "--loss", "half").out
    body = json.loads(nakami("show", other, "--json").out)
    assert body["schema"] == "nakami.theory/1"
    done = nakami("compare", one, other)
    assert done.code == 0, done.err
    assert "rates.limit" in done.out
    table = " ".join(done.out.split())
    assert "Settings that differ setting before after" in table
    assert re.search(r"seed 1 0 loss 'half' 'mse' ", table), table
    changed = json.loads(nakami("compare", one, other, "--json").out)["settings"]
    assert {"name": "loss", "before": "'half'", "after": "'mse'"} in changed
    assert "Settings" not in nakami("compare", one, one).out
    refused = nakami("show", one, "--out", "page.html")
    assert refused.code == 2
    assert "--out must come with an x-ray, got a run of kind theory; open report" in refused.err
