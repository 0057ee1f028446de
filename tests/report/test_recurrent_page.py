"""The page of an x-ray of recurrent layers, from numbers made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nakami import report
from nakami.report.page._kinds import page_of
from nakami.results import (
    FixedPointEnding,
    FixedPoints,
    Growth,
    LyapunovEnding,
    LyapunovSpectrum,
    Margin,
    Outcome,
    Portrait,
    RecurrentLayer,
    RecurrentXray,
    SpectraOverTime,
)


def layer(name="rnn", first=-0.1, error=0.01, radii=(0.9, 1.2), steady=True):
    n, size = len(radii), 3
    points = np.arange(n * size).reshape(n, size) / 10
    turned = np.outer(radii, [1, 0.5j, -0.5j])
    found = Outcome(
        FixedPointEnding.FOUND if n else FixedPointEnding.NONE,
        {"distinct": n, "reached": 9, "starts": 9, "steps": 60, "given": True},
    )
    numbers = {"steps": 500, "blocks": 16, "length": 31, "correlation": 0.7}
    ending = LyapunovEnding.STEADY if steady else LyapunovEnding.CORRELATED
    zeros = np.zeros(n)
    paths = np.stack([np.cumsum(np.ones((5, 2)), axis=0), np.zeros((5, 2))])
    return RecurrentLayer(
        name, "GRU", 1, 2, size,
        (Margin("weight_hh_l0", 2.5, 1.1, 1.1 + 0j),),
        FixedPoints(points, zeros, zeros, turned, zeros.astype(int) + 1, 0, found),
        LyapunovSpectrum(
            np.array([first, first - 1, -np.inf]), np.array([error, 0.02, np.nan]), 500, size, 0,
            Outcome(ending, numbers),
        ),
        Growth(np.zeros(2), 4, np.array([[3.0], [5.0]]), np.zeros((2, 1)), np.ones(2, bool)),
        Portrait(np.zeros(3), np.eye(2, 3), np.array([0.6, 0.3]), paths, points[:, :2], zeros),
    )  # fmt: skip


def run(*layers):
    about = [
        {"name": one.name, "sequences": 4, "steps": [28, 28], "joined": True, "discard": 20}
        for one in layers
    ]
    settings = {
        "subject": "net", "layers": about, "constant": "zero", "seed": 0, "data": "some digits",
        "training": "weights at random", "created": "2026-11-20T10:00:00+00:00",
        "model": {"parameters": 1234}, "versions": {"nakami": "0.1.0"},
    }  # fmt: skip
    return RecurrentXray(settings, tuple(layers))


def charts(page):
    return {c.name: c for s in page.sections for f in s.figures for c in f.charts}


def test_what_stands_on_the_page():
    page = page_of(run(layer()))
    assert [s.id for s in page.sections] == ["rest", "eigenvalues", "exponents"]
    verdict = page.frame.verdict
    assert verdict.headline.case == "verdict.shrink"
    assert verdict.headline.data["share"] == pytest.approx(100 * (1 - np.exp(-0.1)))
    assert verdict.figures[1].value == "4"
    assert page.sections[0].heading == "One of two fixed points found at input 0 is stable"
    assert "up to 0.9000" in page.sections[1].heading
    assert "within the circle; if it grew, it would cross it" in page.sections[1].text
    assert "grows most becomes 4 times as large (median over" in verdict.standfirst[0]
    found = charts(page)
    assert set(found) == {"portrait0", "plane0", "exponents0"}
    rest = found["portrait0"].data["rest"]
    assert rest["shape"] == ["circle", "diamond"]
    assert rest["x"] == [0.0, 0.3]
    plane = found["plane0"]
    assert plane.spec["width"] == plane.spec["height"]  # a circle
    domains = [plane.spec["layer"][0]["encoding"][axis]["scale"]["domain"] for axis in "xy"]
    assert domains[0] == domains[1]
    assert plane.data["values"]["y"][:3] == [0.0, 0.45, -0.45]
    bars = found["exponents0"].data["exponents"]
    assert bars["y"] == [-0.1, -1.1]  # what is erased is not drawn, and said
    assert bars["lo"][0] == pytest.approx(-0.12)
    assert "minus infinity" in page.sections[2].figures[0].caption


def test_growth_and_eigenvalues_are_worded_for_either_sign():
    one = layer(radii=(1.2,))
    still = Growth(np.zeros(1), 4, np.array([[1e-4]]), np.zeros((1, 1)), np.ones(1, bool))
    page = page_of(run(dataclasses.replace(one, growth=still)))
    said = page.frame.verdict.standfirst[0]
    assert "shrinks least becomes 1.0 × 10⁻⁴ times as large: gradients back" in said.replace(
        "\u00a0", " "
    )
    assert said.endswith("shrink at least as much.")
    assert "has crossed the circle at +1" in page.sections[1].text


@pytest.mark.parametrize(
    ("first", "steady", "case"),
    [(0.05, True, "grow"), (0.001, True, "edge"), (-0.5, False, "open")],
)
def test_the_headline_says_no_more_than_is_known(first, steady, case):
    verdict = page_of(run(layer(first=first, steady=steady))).frame.verdict
    assert verdict.headline.case == f"verdict.{case}"


def test_spectra_over_time_are_told_where_they_were_read():
    plain = layer()
    scale = np.array([[0.8, 0.5, 0.2], [0.64, 0.25, 0.04]])
    values = np.stack([np.stack([scale, 0.9 * scale])] * 3)
    over = SpectraOverTime(
        np.array([1, 2]), np.full((3, 2), 3), values, 0 * values, np.full((3, 2, 2), 1e-15),
        np.ones((3, 2, 2), bool),
    )  # fmt: skip
    page = page_of(run(dataclasses.replace(plain, over_time=over)))
    (section,) = [s for s in page.sections if s.id == "time"]
    heading = "After 2 steps more than a tenth of a difference is left in 2 ± 0 of 3"
    assert section.heading.replace("\u00a0", " ").startswith(heading)
    drawn = charts(page)
    assert drawn["time-state"].data["state-2"]["y"] == pytest.approx([0.608, 0.2375, 0.038])
    rates = [np.log(0.64) / 2, np.log(0.64 * 0.9) / 2]
    assert f"{np.mean(rates):.3f}".replace("-", "−") in section.text
    rows = section.figures[0].table.rows
    assert [row[:3] for row in rows[:3]] == [
        ["rnn", "state", "1"], ["rnn", "state", "2"], ["rnn", "first input", "1"],
    ]  # fmt: skip


def test_a_curve_below_the_chart_has_no_name():
    fallen = np.stack([np.array([0.8, 0.5, 0.2]), np.full(3, 1e-12)])
    values = np.stack([np.stack([fallen, fallen])] * 3)
    over = SpectraOverTime(
        np.array([1, 30]), np.full((3, 2), 3), values, 0 * values, np.full((3, 2, 2), 1e-15),
        np.ones((3, 2, 2), bool),
    )  # fmt: skip
    drawn = charts(page_of(run(dataclasses.replace(layer(), over_time=over))))["time-state"]
    assert "state-30" not in drawn.data or drawn.data["state-30"]["y"] == []
    assert not any("30" in text for text in drawn.data["labels"]["t"])
    figure = page_of(run(dataclasses.replace(layer(), over_time=over))).sections[-1].figures[0]
    assert "Not drawn are values below 10⁻⁶ of the largest: all after 30 steps." in figure.caption


def test_counts_of_which_not_all_values_were_computed_are_told_as_bounds():
    values = np.full((3, 2, 1, 2), 0.5)
    over = SpectraOverTime(
        np.array([2]), np.full((3, 1), 3), values, 0 * values, np.full((3, 2, 1), 1e-15),
        np.ones((3, 2, 1), bool),
    )  # fmt: skip
    page = page_of(run(dataclasses.replace(layer(), over_time=over)))
    (section,) = [s for s in page.sections if s.id == "time"]
    assert "is left in at least 2 ± 0 of 3" in section.heading.replace("\u00a0", " ")
    row = section.figures[0].table.rows[0]
    assert (row[5], row[7], row[9]) == ("0", "≥ 2", "≥ 2")  # above 1, above 0.1, effective rank


def test_several_layers_are_named_and_nothing_found_is_said():
    page = page_of(run(layer("low"), layer("high", first=0.2, radii=())))
    assert page.frame.verdict.kicker.startswith("high, GRU")
    assert {"portrait1", "exponents1"} <= set(charts(page))
    assert "plane1" not in charts(page)
    alone = page_of(run(layer(radii=())))
    assert [s.id for s in alone.sections] == ["rest", "exponents"]
    assert alone.sections[0].heading == "No fixed point was found at input 0"


def test_a_page_is_written_and_its_charts_are_drawn(tmp_path):
    text = report.write(run(layer()), tmp_path / "page.html").read_text(encoding="utf-8")
    assert "forgets" in text
    drawn = report.figures(run(layer()))
    assert drawn["plane0"].spec["width"] == drawn["plane0"].spec["height"]
    assert drawn["portrait0"].spec["width"] == 640
    with pytest.raises(ValueError, match="result must hold a layer whose readings are done"):
        page_of(run())


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1280, "light")])
def test_in_a_browser_it_is_quiet_and_fits(browser, tmp_path, width, theme):
    from checks import neighbour

    opened = neighbour("report", "test_browser")
    path = report.write(run(layer(), layer("long_name_" * 9)), tmp_path / "page.html")
    with opened.opened(browser, path, width=width, theme=theme) as page:
        opened.is_quiet(page, path)
        opened.no_wider_than_window(page)
        assert page.locator("[data-chart] svg").count() == 6
        assert "NaN" not in page.inner_text("main")
