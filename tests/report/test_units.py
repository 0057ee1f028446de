"""Units on the page: pictures of both projections, and the cosine between them."""

import numpy as np
import pytest

from nakami import report
from nakami.dynamics._projections import _spans
from nakami.report.pages.xray._data import read
from nakami.report.pages.xray._units import _nearest, units_section
from nakami.results import Units


def made(run, alike=False, lit=True):
    rng = np.random.default_rng(0)
    n, numbers = 3, int(np.prod(run.inputs.shape[1:]))
    exact = rng.normal(size=(n, 2, numbers)).astype(np.float32) * lit
    other = exact if alike else rng.normal(size=exact.shape).astype(np.float32) * lit
    sizes = [np.linalg.norm(rows, axis=2) for rows in (exact, other)]
    with np.errstate(invalid="ignore"):
        cosine = (exact * other).sum(2) / (sizes[0] * sizes[1])
    arrays = {
        "activation": np.array([[1.0, 0.5], [3.0, 0.1], [2.0, 0.7]]) * lit,
        "place": np.zeros((n, 2), dtype=np.int64),
        "exact": exact,
        "deconvolved": other,
        "cosine": cosine.astype(np.float64),
        "guided": exact,
        "cosine_guided": np.ones((n, 2)),
        "occlusion": rng.normal(size=(n, 2, 4, 4)).astype(np.float32),
    }
    return Units({"stages": ["hidden3"], "units": [5, 8], "rectified": 2}, (0, 1, 2), arrays)


def test_no_section_where_no_units_were_read(run):
    assert units_section(read(run)) is None


def test_the_heading_follows_the_cosine(run, tmp_path):
    differ = units_section(read(run.including(made(run))))
    assert differ.heading == "Deconvolution does not show what a small change does"
    same = units_section(read(run.including(made(run, alike=True))))
    assert same.heading == "Row of the Jacobian and deconvolution agree"
    assert "2 ReLUs lie between" in same.text
    grids = differ.figures[0].grids
    assert [row.name for row in grids.by_stage["hidden3"][0].rows] == [
        "row",
        "guided",
        "deconv.",
        "hidden",
        "v1",
    ]
    assert "unit 5, test digit 1" in str(grids.by_stage["hidden3"][0].inputs[0].alt).lower()
    ranks = grids.by_stage
    assert list(ranks) == ["hidden3, place 3", "hidden3, place 2", "hidden3"]
    assert "unit 5, test digit 2" in str(ranks["hidden3, place 2"][0].inputs[0].alt).lower()
    page = report.write(run.including(made(run)), tmp_path / "page.html").read_text("utf-8")
    assert "share of the largest value of each picture" in page


@pytest.mark.parametrize(("side", "places"), [(28, 8), (224, 8), (12, 3), (7, 1), (6, 8)])
def test_pixels_show_the_hiding_square_whose_middle_is_nearest(side, places):
    squares = _spans(side, places)
    for pixel, place in enumerate(_nearest(side, places)):
        far = [abs((a + b) / 2 - pixel - 0.5) for a, b in squares]
        assert far[place] <= min(far) + 1  # squares begin at whole pixels


def test_a_folder_of_an_earlier_version_has_its_rows(run, tmp_path):
    new = made(run)
    few = {k: v for k, v in new.arrays.items() if k not in ("guided", "cosine_guided", "occlusion")}
    old = Units(new.settings, new.inputs, few)
    assert [row["cosine"] for row in old.rows()] == [row["cosine"] for row in new.rows()]
    report.write(run.including(old), tmp_path / "page.html")


def test_units_that_are_off_everywhere_are_said(run, tmp_path):
    off = run.including(made(run, lit=False))
    section = units_section(read(off))
    assert section.heading == "No unit that was looked at is on at any digit"
    assert section.figures[-1].charts == []
    report.write(off, tmp_path / "page.html")
