"""Beside main numbers stands what to compare them with, and beside sections what people do."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from checks import neighbour
from nakami import report
from nakami.report.page._kinds import page_of
from nakami.results import compare
from nakami.theory import meanfield

rates = neighbour("report", "test_learning_rate_page")


def rank(matrix):
    """The effective rank, from the eigenvalues of the smaller product."""
    m, n = matrix.shape
    values = np.linalg.eigvalsh(matrix @ matrix.T if m < n else matrix.T @ matrix)
    return values.sum() ** 2 / (values**2).sum()


@pytest.mark.parametrize("shape", [(10, 784), (200, 100), (60, 60)])
def test_the_effective_rank_of_a_gaussian_matrix_is_near_the_stated_one(shape):
    rng, (m, n) = np.random.default_rng(0), shape
    seen = np.mean([rank(rng.normal(size=shape)) for _ in range(40)])
    assert seen == pytest.approx(m * n / (m + n + 1), rel=0.02)
    assert seen != pytest.approx(min(m, n), rel=0.01)  # that of an orthogonal one
    q = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))[0]
    assert rank(q) == pytest.approx(min(m, n))


def figures(what, **more):
    return [f.reference for f in page_of(what, **more).frame.verdict.figures]


def test_an_xray_names_an_orthogonal_a_random_and_the_shipped_network(make):
    count, ranks, top, fact = figures(make(label="net"))  # 1000 x 784
    assert count == (
        "2.9 of 784 in the digits’ network shipped with nakami, at its last hidden layer, per "
        "unit of input as here"
    )
    about = f"{1000 * 784 / 1785:.3g}"
    assert ranks.startswith("784 for an orthogonal matrix of this shape, about ")
    assert ranks.endswith(f"about {about} for a Gaussian random one")
    assert top == "1 in a network that keeps every length"
    assert fact == ""


def test_the_shipped_network_is_not_compared_with_itself(make):
    assert figures(make(label="dbn-digits/finetuned"))[0] == ""
    both = compare(make(label="dbn-digits/pretrained"), make(label="dbn-digits/finetuned"))
    assert figures(both)[0] == ""


@pytest.mark.parametrize("unit", ["as stored", "1", "standardised pixel (ImageNet)"])
def test_a_network_in_another_unit_is_not_compared_by_its_count(make, unit):
    run = make(label="net")
    other = dataclasses.replace(run, settings={**run.settings, "input_unit": unit})
    assert figures(other)[0] == ""
    assert figures(other)[1:] == figures(run)[1:]  # these do not depend on the unit


def test_the_terminal_is_told_the_same_references(make):
    from nakami.report.pages.xray import to_compare_with

    told = to_compare_with(make(label="net"))
    count, ranks, top, _ = figures(make(label="net"))
    assert told == (
        f"To compare with, at hidden3. s > 1: at most 784; {count}. Effective rank: {ranks}. "
        f"Largest value: {top}."
    )
    assert "shipped" not in to_compare_with(make(label="dbn-digits/finetuned"))
    assert "Effective rank: 1. " in to_compare_with(make(m=1, label="net"))


def test_one_row_has_no_rank_to_compare(make):
    assert figures(make(m=1, label="net"))[1] == ""


def test_rates_name_their_share_of_the_limit_theory_and_the_batch():
    advised, limit, largest, noise = figures(rates.made_up(), about=rates.ABOUT)
    assert advised.startswith("0.40 of the limit; on four tasks 0.1 to 0.8 of it trained best")
    assert (limit, largest) == ("", "2 to 3 by the theory of wide random networks")
    assert noise == "the batches read have 50"
    flat = figures(rates.made_up(limit=math.inf, theory=None), about=rates.ABOUT)
    assert flat[0] == flat[1] == ""
    adam = figures(rates.made_up(preconditioner="30 steps on a copy"), about=rates.ABOUT)
    assert adam[0] == ""  # the shares were measured with plain descent and momentum


def test_what_people_do_is_short_and_on_every_page(make, tmp_path):
    theory = meanfield.predict((50, 60, 3), "relu", 2, samples=5)
    for what in (make(), rates.made_up(), theory):
        said = [text for section in page_of(what, {}).sections for text in section.do]
        assert said
        assert all(len(text.split()) <= 30 for text in said)
    page = report.write(make(inputs=2), tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<h3>What people do</h3><ul><li>Compare with the same network" in page
    assert 'class="ref">To compare: 1 in a network' in page
