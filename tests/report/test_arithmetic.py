"""Float64 beside float32 on the page: the heading is the cause, the text its numbers."""

import numpy as np
import pytest

from nakami import report
from nakami.report.pages.xray._arithmetic import arithmetic_section
from nakami.report.pages.xray._data import read
from nakami.results import Arithmetic


def made(kinks=0.0, rounding=1e-7, residual=1e-6, rest=5e-7):
    double = np.array([[[4.0, 2.0, 1.0]], [[3.0, 2.0, 1e-9]]])
    held = double * (1 + kinks * np.array([1.0, 0.1, 0]))
    arrays = {
        "double": double, "held": held, "single": held + rest * double,
        "residual": residual * double, "doubt": 0 * double, "rounding": rounding * double,
        "floor": np.full((2, 1), 1e-6), "flipped": np.array([[3], [0]]) * (kinks > 0),
        "units": np.full((2, 1), 1000), "converged": np.ones((2, 1), dtype=bool),
    }  # fmt: skip
    return Arithmetic({"stages": ["hidden3"], "count": 2, "tol": 1e-8}, (0, 2), arrays)


@pytest.mark.parametrize(
    ("more", "cause", "heading"),
    [
        ({"kinks": 3e-4}, "kinks", "Where values differ from float64, units are on other sides"),
        ({"rounding": 1e-5}, "rounding", "Where values differ from float64, it is the rounding"),
        ({}, "engine", "Values differ from float64 by no more than their residuals say"),
    ],
)
def test_the_heading_is_the_cause(run, more, cause, heading):
    assert arithmetic_section(read(run)) is None
    found = made(**more)
    assert found.largest().cause == cause
    assert arithmetic_section(read(run.including(found))).heading.startswith(heading)


def test_the_text_the_chart_and_the_table_have_the_numbers(run, tmp_path):
    tried = run.including(made(kinks=3e-4))
    section = arithmetic_section(read(tried))
    text = section.text.replace("\u00a0", " ")
    assert "3 of 2,000 units are on another side" in text
    assert "The largest relative difference is 3.0 × 10⁻⁴, of value 1: 3.0 × 10⁻⁴ by" in text
    assert "%" not in text
    data = section.figures[0].charts[0].data
    assert data["arithmetic-total"]["y"] == pytest.approx([3.005e-4, 3.05e-5, 5e-7], rel=1e-3)
    assert data["arithmetic-rest"]["y"] == pytest.approx([5e-7] * 3, rel=1e-3)
    assert section.figures[0].table.rows[0][1] == "1"
    page = report.write(tried, tmp_path / "page.html").read_text("utf-8")
    assert 'id="arithmetic"' in page


def test_what_neither_bound_allows_is_said(run):
    found = made(rest=1e-3)
    assert found.explained() == 0
    assert not found.largest().explained
    assert "100 % of the values differ by more" in arithmetic_section(
        read(run.including(found))
    ).text.replace("\u00a0", " ")


def test_values_below_the_floor_are_left_out(run):
    relative = made().relative("total")
    assert np.isnan(relative[1, 2])
    assert np.isfinite(relative[0]).all()
