"""The page of transport: pictures in their shape, names where curves can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from nakami import transport
from nakami.report.page._kinds import page_of
from nakami.report.pages.transport import _sections as sections


@pytest.fixture(scope="module")
def study():
    return transport.study(0.005, (0.01, 0.1), size=12)


@pytest.mark.parametrize("shape", [(32, 32), (8, 20), (30, 10)])
def test_pixels_are_square(shape):
    spec = sections.picture_chart("one", "one", np.ones(shape)).spec
    assert spec["height"] / spec["width"] == pytest.approx(shape[0] / shape[1], rel=0.01)
    assert max(spec["height"], spec["width"]) == 220  # the least width of one beside others
    assert (spec["padding"], spec["autosize"]) == (0, "pad")


def test_every_picture_of_the_page_has_its_shape(study):
    (last,) = [s for s in page_of(study).sections if s.id == "pictures"]
    charts = [chart for figure in last.figures for chart in figure.charts]
    assert len(charts) == 5
    assert {(c.spec["width"], c.spec["height"]) for c in charts} == {(220, 220)}


@pytest.mark.parametrize("make", [sections.blur_section, sections.between_section])
def test_names_stand_where_their_curve_is_alone(study, make):
    """Not at the right end, where all masses are 0."""
    (chart,) = make(study).figures[0].charts
    labels = chart.data["labels"]
    assert len(labels["t"]) >= 2
    top = max(max(rows["y"]) for name, rows in chart.data.items() if name != "labels")
    for x, y in zip(labels["x"], labels["y"], strict=True):
        curves = [rows for name, rows in chart.data.items() if name != "labels"]
        at = sorted(abs(np.interp(x, rows["x"], rows["y"]) - y) / top for rows in curves)
        assert at[0] < 1e-3  # its own
        assert at[1] > 0.02
