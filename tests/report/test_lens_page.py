"""The page of a run of averaged Jacobians, from numbers made by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from nakami import report
from nakami.report.page._kinds import page_of
from nakami.results import Direction, Jackknifed, Lens, LensEnding, LensRun, Outcome


def lens(stage="blocks.0", share=0.3, error=0.04, prompts=20, shape=(6, 6)):
    k, d = min(shape), shape[1]
    mean = np.eye(*shape)
    values = np.geomspace(4.0, 1e-3, k)
    square = shape[0] == shape[1]
    known = prompts > 1
    se = 0.02 if known else np.nan
    variance = np.full(shape, (error * np.linalg.norm(mean)) ** 2 * prompts / mean.size)
    if not known:
        variance[:] = np.nan
    number = Jackknifed(0.8, se, 0.0)
    beyond = Jackknifed(2.5 if square else np.nan, se, 0.0)
    part = Jackknifed(share if square else np.nan, se, 0.0)
    return Lens(
        stage, "blocks.3", mean, variance, values, np.eye(shape[0], k), np.eye(d, k),
        values * se, values * 0, number, number, part, Jackknifed(4.5, se, 0.0), beyond,
        number, beyond, number, 0.01 if known else np.nan, prompts, 12 * prompts, 1e-7,
        Outcome(LensEnding.READ, {"prompts": prompts, "error": error}),
        {"groups": prompts},
    )  # fmt: skip


def run(*lenses, words=True, **settings):
    about = {
        "subject": "net", "to": "blocks.3", "stages": [{"name": one.stage} for one in lenses],
        "positions": [1, -1, None], "groups": 20, "dtype": "float32", "data": "some texts",
        "training": "weights from net", "created": "2026-11-29T10:00:00+00:00",
        "model": {"parameters": 1234}, "versions": {"nakami": "0.1.0"},
    }  # fmt: skip
    path = np.array([[n, 0.04 * (20 / n) ** 0.5] for n in range(2, 21)])
    read = (Direction(0, 4.0, 0.02, (("▁the", 1.0), ("<b>", 0.5)), (("Ġcat", -1.0),)),)
    return LensRun(
        {**about, **settings}, {one.stage: one for one in lenses},
        {one.stage: path for one in lenses}, {one.stage: read if words else () for one in lenses},
        20, Path("run"),
    )  # fmt: skip


FIVE = [lens(f"blocks.{i}", 0.1 + 0.15 * i) for i in range(5)]


def test_what_stands_on_the_page():
    page = page_of(run(*FIVE))
    assert [s.id for s in page.sections] == ["values", "depth", "directions", "error"]
    verdict = page.frame.verdict
    assert verdict.headline.case == "verdict.carries"
    assert verdict.headline.data["share"] == pytest.approx(70)
    assert "from 10 to 70" in page.sections[1].heading
    assert "writes “␣the” and its like" in page.sections[2].heading
    assert page.sections[3].heading == "All prompts together give J to 4\u00a0% or better"
    charts = {c.name: c for c in page.charts}
    assert set(charts) == {"values0", "values1", "values2", "values3", "rank", "identity", "error"}
    bars = charts["identity"].data["c0"]
    assert bars["x"] == [0, 1, 2, 3, 4]  # numbers of the blocks
    assert bars["y"][0] == pytest.approx(0.1)
    assert bars["hi"][0] - bars["lo"][0] == pytest.approx(4 * 0.02)
    assert min(charts["values0"].data["values"]["lo"]) > 0
    assert charts["error"].data["e0"]["y"][-1] == pytest.approx(4.0)
    assert page.frame.tables[0].rows[0][7] == "4 %"


def test_mixed_states_and_large_errors_are_said():
    page = page_of(run(lens(share=0.2, error=0.2)))
    assert page.frame.verdict.headline.case == "verdict.mixes"
    heading = page.sections[-1].heading.replace("\u00a0", " ")
    assert heading == "J from blocks.0 is known to 20 %; 5 % would take 320 prompts"


def test_what_is_not_there_is_left_out():
    wide = page_of(run(lens(shape=(3, 6), prompts=1), words=False))
    assert [s.id for s in wide.sections] == ["values", "depth"]
    assert wide.frame.verdict.headline.case == "verdict.rank"
    said = [str(cell) for table in wide.frame.tables for row in table.rows for cell in row]
    said += [figure.value for figure in wide.frame.verdict.figures]
    assert not any(text in ("nan", "not finite") or "nan" in text.split() for text in said)
    alone = page_of(run(lens(prompts=1), words=False))
    assert alone.sections[0].text == "It is the Jacobian of the one prompt that was read."
    assert "±" not in alone.sections[1].figures[0].caption
    assert alone.frame.tables[0].rows[0][2] == ""
    named = page_of(run(lens("stem"), lens("body")))
    assert {c.name: c for c in named.charts}["rank"].data["c0"]["x"] == [1, 2]
    open_run = dataclasses.replace(run(lens()), lenses={}, groups=3)
    with pytest.raises(ValueError, match="result must be a finished run, got 3 of 20 groups"):
        page_of(open_run)


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1280, "light")])
def test_in_a_browser_it_is_quiet_and_fits(browser, tmp_path, width, theme):
    from checks import neighbour

    opened = neighbour("report", "test_browser")
    long = lens("a_very_long_name_of_a_stage_" * 3)
    path = report.write(run(*FIVE[:3], long), tmp_path / "page.html")
    with opened.opened(browser, path, width=width, theme=theme) as page:
        opened.is_quiet(page, path)
        opened.no_wider_than_window(page)
        assert page.locator("[data-chart] svg").count() == 7
        assert "NaN" not in page.inner_text("main")
        assert "<b>" in page.inner_text("main")


@pytest.mark.parametrize(
    ("drawn", "lines"),  # charts in each line at 1280, 1000 and 390 pixels
    [(2, ([2], [2], [1, 1])), (3, ([3], [2, 1], [1, 1, 1])), (4, ([2, 2], [2, 2], [1, 1, 1, 1]))],
)
def test_charts_side_by_side_are_as_many_as_the_window_takes(browser, tmp_path, drawn, lines):
    from checks import neighbour

    opened = neighbour("report", "test_browser")
    path = report.write(run(*FIVE[:drawn]), tmp_path / "page.html")
    with opened.opened(browser, path) as page:
        for width, wanted in zip((1280, 1000, 390), lines, strict=True):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(50)
            opened.no_wider_than_window(page)
            charts = page.locator("figure:has([data-chart=values0]) [data-chart]").all()
            tops = [round(chart.bounding_box()["y"]) for chart in charts]
            assert [tops.count(top) for top in sorted(set(tops))] == wanted
