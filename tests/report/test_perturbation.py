"""Steps along directions on the page: the sentences follow the numbers."""

import dataclasses

import numpy as np
import pytest

from nakami import report
from nakami.report.pages.xray._data import read
from nakami.report.pages.xray._perturbation import perturbation_section
from nakami.results import Perturbation

GROUPS = ("top", "middle", "bottom", "random")


def made(decides=True, unit="norm", inputs=3):
    """Changes that grow as lengths do, 12, 3, 1 and 2 times as fast."""
    lengths, speeds = np.array([0.01, 0.1, 1.0]), np.array([12.0, 3.0, 1.0, 2.0])
    change = np.ones((inputs, 1, 1, 1)) * speeds[:, None] * lengths
    settings = {
        "lengths": lengths.tolist(), "unit": unit, "stage": "hidden3", "stages": ["hidden3"],
        "groups": list(GROUPS), "decides": decides, "random": 1, "seed": 0,
    }  # fmt: skip
    arrays = {
        "step": np.ones(inputs),
        "gain": np.ones((inputs, 1, 1)) * speeds,
        "change": change,
        "decided": np.ones((inputs, 1, 1)) * np.array([0.0, 0.5, 1.0]) * np.ones((4, 1)),
        "radius": np.ones((inputs, 4)) * np.array([0.02, 0.05, np.nan, 0.3]),
        "border": np.ones((inputs, 4)) * np.array([0.08, 0.5, np.inf, np.inf]),
    }
    return Perturbation(settings, tuple(range(inputs)), arrays)


def test_no_section_where_nothing_was_tried(run):
    assert perturbation_section(read(run)) is None


def test_sentences_say_what_was_measured(run, tmp_path):
    tried = run.including(made())
    section = perturbation_section(read(tried))
    assert section.heading == (
        "A small step along a top direction changes the output 6 times as much as one along a "
        "random direction"
    )
    for text in (
        "A step of 1 % changes hidden3 by 0.12 along top directions, 0.030 along middle",
        "predicts up to 2 % along top ones, 5 % along middle ones and 30 % along random ones",
        "The decision first changes at 8 % along top directions and 50 % along middle",
        "Up to 100 %, most bottom and random directions meet no other decision.",
    ):
        assert text in section.text.replace("\u00a0", " ")
    charts = section.figures[0].charts
    assert [c.name for c in charts] == ["steps", "decisions"]
    assert charts[0].data["top"]["y"] == pytest.approx([0.12, 1.2, 12])
    assert charts[0].data["top"]["p"] == pytest.approx([0.12, 1.2, 12])
    shares = charts[1].data["top-share"]
    assert (shares["y"], shares["hi"][0] > 0.5, shares["lo"][2] < 0.5) == ([0, 0.5, 1], True, True)
    assert "0 (0 to 0.56)" in section.figures[0].table.rows[0]  # of 3 inputs
    page = report.write(tried, tmp_path / "page.html").read_text("utf-8")
    assert 'id="perturbation"' in page


def test_without_decisions_there_is_one_chart(run):
    section = perturbation_section(read(run.including(made(decides=False, unit="sd"))))
    assert len(section.figures[0].charts) == 1
    assert "decision" not in section.text
    assert "A step of 0.010 sd changes" in section.text.replace("\u00a0", " ")


def test_steps_that_change_nothing_are_drawn_too(run):
    found = made()
    zero = {**found.arrays, "change": 0 * found.arrays["change"], "gain": 0 * found.arrays["gain"]}
    section = perturbation_section(read(run.including(dataclasses.replace(found, arrays=zero))))
    assert section.heading == "What small steps change"
