"""``nakami theory phase``: its tables, JSON and page hold the numbers of the library."""

import json

import pytest

from nakami.theory import phase

pytestmark = pytest.mark.usefixtures("one_diagram_of_each_margin")

THEORY = ("theory", "phase", "--points", "0", "--alpha", "0.1,0.5", "--beta", "3")
SMALL = ("theory", "phase", "--points", "1", "--alpha", "0.5", "--beta", "3", "--dimension", "40")


def test_tables_hold_the_numbers_of_the_library(nakami, here):
    done = nakami(*THEORY, "--no-page")
    assert done.code == 0
    found = phase.transition(0.5, 0.1)
    for value in (found.beta_appears, found.beta_t, found.beta_ends):
        assert f"{value:.4g}" in done.out
    assert "none" in done.out  # at alpha 0.5 nothing jumps
    assert "Message passing" not in done.out


def test_json_and_page_of_instances(nakami, here):
    done = nakami(*SMALL, "--json", "--seed", "3")
    body = json.loads(done.out)
    instance = phase.draw_instance(0.5, 0.5, body["instances"]["beta"][0], 40, seed=3)
    ran = phase.pretrain_then_finetune(instance, seed=3)
    assert body["instances"]["error"] == [ran.finetuned.error]
    assert body["transitions"][0]["first_order"] is False
    page = here / body["page"]
    assert page.parent.name == "phase-0.5,alpha-0.5,beta-3,dimension-40,points-1,seed-3"
    text = page.read_text("utf-8")
    assert "The error falls without a jump" in text
    assert "N = 40" in text


def test_the_curve_over_labels_takes_several_numbers():
    both = phase.curve(0.5, beta=[0.0, 3.0])
    alone = phase.curve(0.5, beta=3.0)
    assert both.alpha[1] == pytest.approx(alone.alpha)


def test_without_labels_instances_are_pretrained_alone(nakami, here):
    few = ("--alpha", "0", "--beta", "3", "--dimension", "60", "--points", "1")
    done = nakami("theory", "phase", *few, "--json")
    assert done.code == 0
    found = json.loads(done.out)["instances"]
    assert found["error"] == found["pretrained"]
    assert set(found["unsettled"]) <= {"", "pre-training"}
    table = nakami("theory", "phase", *few, "--no-page").out
    assert table.partition("Message passing")[2].count("none") == 1


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--alpha", "x"), "--alpha must be numbers with commas between, got 'x'"),
        (("--kappa", "-1"), "--kappa must"),
        (("--dimension", "999999999999"), "--dimension must be a whole number from 1 to 10000"),
        (("--points", "999999999999"), "--points must be at most 100, got 999999999999"),
        (("--kappa", "0.01", "--alpha", "0.1"), "--points must leave instances of at most"),
        (("--alpha", "1,2,3,4,5,6,7"), "must hold 1 to 6 numbers, got 7"),
        (("--alpha", "0.1,0.1"), "--alpha must hold different numbers"),
        (("--beta", "3,3"), "--beta must hold different numbers"),
        (("--dimension", "40"), "40 with 0.01 patterns for each weight; pass --dimension 51 or"),
        (("--kappa", "5"), "pass --points 0, theory alone"),
    ],
)
def test_wrong_use(nakami, here, given, text):
    done = nakami("theory", "phase", "--no-page", *given)
    assert done.code == 2
    assert text in done.err
