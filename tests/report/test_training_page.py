"""The page of a training: curves, facts with their doubt, pictures as the arrays say."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from checks import neighbour
from nakami import report
from nakami.report.page._kinds import page_of
from nakami.report.page._mosaic import mosaic
from nakami.results import (
    Box,
    Lines,
    Picture,
    TrainedNetwork,
    TrainedPhase,
    TrainingReport,
    UsageError,
)
from nakami.results._files import as_json, plain
from nakami.results._trained import packed_pictures, unpacked_pictures

BROWSER = neighbour("report", "test_browser")
RAMP = np.linspace(-2, 1, 6 * 4 * 5, dtype=np.float32).reshape(6, 4, 5)
ROWS = np.linspace(0, 1, 2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
FACT = {"label": "test error", "value": 8.4, "spread": 0.88, "spread_kind": "s.e.", "unit": "%"}


def trained(**changes):
    parts = {
        "recipe": "small",
        "phases": (
            TrainedPhase("layer1", "cross-entropy, nats", (2.0, 1.5, 1.0), 100, 3.2),
            TrainedPhase("layer2", "cross-entropy, nats", (1.0, 1.25), 100, 1.0),
        ),
        "networks": (TrainedNetwork("coder", "3 epochs of descent", (FACT,)),),
        "pictures": (
            Picture("Filters", "Of all units.", RAMP),
            Picture("Given back", "Below.", ROWS, (0.0, 1.0), ("input", "output")),
        ),
        "settings": {"seed": 3, "hidden": [8, 6], "recipe": "small", "created": "2026-11-20"},
        "source": "40 examples of x.npz",
    }
    return TrainingReport(**{**parts, **changes})


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.source.split(",")[1]))))


def test_it_says_the_facts_with_their_doubt_and_which_losses_fell():
    page = page_of(trained())
    assert page.frame.verdict.headline == "coder: test error 8.40 ±\u00a00.88 %"
    losses, facts, _ = page.sections
    assert losses.heading == "The loss ends below its start in one of two phases"
    assert facts.figures[0].table.rows == [["coder", "test error", "8.40 ±\u00a00.88 %", "s.e."]]
    assert [chart.title for chart in page.charts] == [
        f"{name}: cross-entropy, nats" for name in ("layer1", "layer2")
    ]
    assert page.charts[0].data["c0"]["y"] == [2.0, 1.5, 1.0]
    assert ["hidden", "8, 6"] in page.frame.how.rows
    assert not {"recipe", "seed"} & {row[0] for row in page.frame.how.rows}


def test_what_a_reconstruction_error_does_not_say_stands_beside_one_alone():
    def may_not(loss):
        phases = (TrainedPhase("all", loss, (2.0, 1.0), 100, 1.0),)
        return " ".join(page_of(trained(phases=phases)).sections[0].may_not)

    assert "reconstruction" in may_not("mean squared reconstruction error")
    assert "reconstruction" not in may_not("cross-entropy, nats")


def test_a_training_without_networks_or_losses_has_a_page():
    page = page_of(trained(networks=(), pictures=()))
    assert page.frame.verdict.headline == "small: cross-entropy, nats 1.25 in the last epoch"
    assert [section.id for section in page.sections] == ["losses"]
    nothing = (TrainedPhase("all", "loss", (), 100, 0.0),)
    page = page_of(trained(phases=nothing, networks=(), pictures=()))
    assert page.frame.verdict.headline == "small: nothing was trained"


def test_images_are_drawn_on_one_scale_as_the_arrays_are():
    made = mosaic(Picture("Filters", "", RAMP))
    (row,) = [pictures for _, pictures in made.rows]
    drawn = np.stack([pixels(p).astype(float) for p in row])
    top = np.percentile(np.abs(RAMP), 99.8)  # 128 is 0
    np.testing.assert_allclose(drawn, 128 + 127 * np.clip(RAMP / top, -1, 1), atol=0.51)
    assert (made.columns, made.named, made.ticks[0], made.ticks[2]) == (6, False, "−2.0", "0")
    made = mosaic(Picture("Given back", "", ROWS, (0.0, 1.0), ("input", "output")))
    assert [name for name, _ in made.rows] == ["input", "output"]
    drawn = np.stack([[pixels(p) for p in pictures] for _, pictures in made.rows])
    np.testing.assert_allclose(drawn, 255 * ROWS, atol=0.5)
    assert made.ticks == []


def test_many_images_without_rows_go_on_in_the_next_line_and_colour_stays_colour():
    assert mosaic(Picture("", "", np.zeros((25, 4, 4)))).columns == 10
    colours = np.random.default_rng(0).random((2, 3, 3, 4, 4))
    made = mosaic(Picture("", "", colours, (0.0, 1.0)))
    drawn = pixels(made.rows[1][1][2])
    np.testing.assert_allclose(drawn, 255 * np.moveaxis(colours[1, 2], 0, -1), atol=0.5)


@pytest.mark.parametrize(
    ("images", "rows", "message"),
    [
        (np.zeros((2, 2)), (), r"images must be finite, .*got shape \(2, 2\)"),
        (np.full((1, 2, 2), np.nan), (), "images must be finite"),
        (np.zeros((1, 1, 2, 4, 4)), (), "C is 1 or 3"),
        (np.zeros((2, 3, 4, 4)), ("one",), "rows must name 2 rows"),
    ],
)
def test_what_is_no_picture_is_refused(images, rows, message):
    with pytest.raises(UsageError, match=message):
        Picture("", "", images, None, rows)


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1200, "light")])
def test_in_a_browser_it_is_quiet_and_shows_every_image(browser, tmp_path, width, theme):
    path = report.write(trained(), tmp_path / "a.html")
    with BROWSER.opened(browser, path, width=width, theme=theme) as page:
        BROWSER.is_quiet(page, path)
        BROWSER.no_wider_than_window(page)
        assert page.locator("[data-chart] svg").count() == 2
        assert page.locator("img.pic").count() == 12
        names = page.locator(".gk .k").all_inner_texts()
        assert names == ["input", "output"]


BOXES = (Box(0, 1, 1, 2, 3, 4, "7 <b>", "right"), Box(0, 1, 0, 0, 2, 2, "", "there"))
BOXED = Picture("Found", "In scenes.", ROWS[:1], (0.0, 1.0), boxes=BOXES, columns=2)
LINES = Lines("Curves", "Two.", "recall", "precision", {"a": ((0, 1), (1, 0.5)), "b": ((0,), (1,))})


def test_boxes_stand_on_their_image_and_are_told_to_readers():
    made = mosaic(BOXED)
    (row,) = [pictures for _, pictures in made.rows]
    assert [len(picture.boxes) for picture in row] == [0, 2, 0]
    assert (made.columns, made.boxed) == (2, True)
    assert made.kinds == {"there": "there", "right": "found"}
    assert row[1].alt == "Found, 2, found 7 &lt;b&gt;"
    with pytest.raises(UsageError, match="boxes must be on images that are there"):
        Picture("", "", ROWS, boxes=(Box(0, 3, 0, 0, 1, 1),))


def test_the_page_draws_boxes_and_curves_with_colours_of_their_own(tmp_path):
    found = trained(pictures=(BOXED, LINES))
    page = page_of(found)
    assert page.frame.n_curves == 2
    assert page.charts[-1].data["c0"]["y"] == [1.0, 0.5]
    text = report.write(found, tmp_path / "page.html").read_text()
    assert '<rect class="b-right" x="1.0" y="2.0" width="2.0" height="2.0"/>' in text
    assert "7 &lt;b&gt;</text>" in text


def test_points_are_not_joined_and_go_through_the_folder():
    texts, arrays = packed_pictures([LINES, replace(LINES, joined=False)])
    again = unpacked_pictures(json.loads(json.dumps(texts)), arrays)
    assert [one.joined for one in again] == [True, False]
    del texts["pictures"][0]["joined"]  # as older folders have it
    assert unpacked_pictures(texts, arrays)[0].joined
    charts = page_of(trained(pictures=again)).charts[-2:]
    marks = [json.dumps([layer["mark"] for layer in chart.spec["layer"]]) for chart in charts]
    assert '"line"' in marks[0]
    assert '"line"' not in marks[1]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (
            Box(0, 0, 3, 0, 1, 1),
            "boxes must be left, top, right and bottom, finite and in this order",
        ),
        (Box(0, 0, 0, 0, float("nan"), 1), "boxes must be left, top, right and bottom, finite"),
        (Box(0, 0, 0, 0, 1, 1, "", "maybe"), "kind must be one of there, right, wrong, 0"),
    ],
)
def test_boxes_that_cannot_be_drawn_are_refused(box, message):
    with pytest.raises(UsageError, match=message):
        Picture("", "", ROWS, boxes=(box,))


def test_columns_and_curves_that_cannot_be_drawn_are_refused():
    with pytest.raises(UsageError, match="columns must be a number from 1 on, got 0"):
        Picture("", "", ROWS, columns=0)
    for lines in ({}, {"a": ((0, 1), (1,))}, {"a": ((0, 1),)}):
        with pytest.raises(UsageError, match="lines must hold two coordinates for each point"):
            Lines("", "", "x", "y", lines)


def test_points_that_are_no_numbers_are_left_out_before_and_behind_the_folder():
    lines = {"a": (np.arange(3.0), np.array([1.0, np.nan, 0.5])), "b": ([0, 1], [1, 0])}
    made = Lines("Curves", "Two.", "recall", "precision", lines)
    texts, arrays = packed_pictures([made])
    (again,) = unpacked_pictures(json.loads(as_json(plain(texts))), arrays)
    for one in (made, again):
        data = page_of(trained(pictures=(one,))).charts[-1].data
        assert (data["c0"]["x"], data["c0"]["y"]) == ([0.0, 2.0], [1.0, 0.5])


def test_boxes_and_curves_go_through_the_folder():
    texts, arrays = packed_pictures([BOXED, LINES])
    again = unpacked_pictures(json.loads(json.dumps(texts)), arrays)
    assert again[0].boxes == BOXES
    assert again[0].columns == 2
    assert {k: tuple(map(tuple, v)) for k, v in again[1].lines.items()} == LINES.lines
    older = {"title": "a", "caption": "", "range": None, "rows": []}
    assert unpacked_pictures({"pictures": [older]}, {"0": RAMP})[0].boxes == ()


def test_curves_alone_say_nothing_of_filters_and_samples():
    for pictures, about in (((LINES,), False), ((LINES, BOXED), True)):
        part = page_of(trained(pictures=pictures)).sections[-1]
        said = " ".join([*part.may, *part.may_not, *part.do])
        assert part.id == "pictures"
        assert ("filter" in said, "samples" in said) == (about, about)
        assert part.heading.startswith("What was learned")
