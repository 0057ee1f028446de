"""``nakami theory plateau``: its tables, JSON and page hold the numbers of the library."""

import json

import numpy as np
import pytest

from nakami.theory import plateau

SMALL = ("theory", "plateau", "--outputs", "2,3", "--starts", "2", "--seed", "1")


def test_json_and_page_hold_the_numbers_of_the_library(nakami, here):
    done = nakami(*SMALL, "--json")
    body = json.loads(done.out)
    teachers = plateau.random_readouts(3, count=2, seed=1)
    start = plateau.random_start(teachers, outputs=3, seed=1)
    found = plateau.plateau_length(plateau.trajectory(start, 0.2, t_end=3000))
    assert body["by_outputs"]["outputs"] == [2, 3]
    assert body["by_outputs"]["length"][1] == pytest.approx(np.median(found.length), abs=0.5)
    assert body["by_outputs"]["hit"][1] == pytest.approx(np.median(found.hit), rel=1e-2)
    assert max(body["line"][0]["least"]) == pytest.approx(0, abs=1e-9)
    assert max(body["line"][2]["least"]) < -0.1
    page = here / body["page"]
    assert page.parent.name == "plateau,outputs-2,3,starts-2,seed-1"
    assert "A plateau is a nearly level piece" in page.read_text("utf-8")
    again = nakami(*SMALL, "--no-page")
    assert f"{body['by_outputs']['length'][0]:.4g}" in again.out


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--outputs", "1,1"), "--outputs must hold 1 to 6 different numbers"),
        (("--starts", "999999999999"), "--starts must be a whole number from 1 to 1000"),
        (("--outputs", "999999999999"), "--outputs must be at most 1000, got 999999999999"),
        (("--outputs", "0"), "be whole numbers from 1 on, got 0; write --outputs 1,2,5."),
        (("--outputs", "a"), "--outputs must be whole numbers with commas between, got 'a'"),
    ],
)
def test_wrong_use(nakami, here, given, text):
    done = nakami("theory", "plateau", "--no-page", *given)
    assert done.code == 2
    assert text in done.err
