"""Noise on the page: the sentences follow the numbers."""

import dataclasses

import numpy as np
import pytest

from nakami import report
from nakami.report.pages.xray._data import read
from nakami.report.pages.xray._noise import noise_section
from nakami.results import Noise

CONDITIONS = [["gaussian", 0.1], ["gaussian", 1.0], ["uniform", 0.3]]


def made(late=(0.99, 0.8, 0.6), labels=None, decides=True, inputs=4):
    """Late values that are so many times the clean ones, with some spread; early ones that stay."""
    rng = np.random.default_rng(0)
    factor = np.stack([np.ones(3), np.array(late)], axis=1)[None, :, None, :, None]
    clean = np.ones((inputs, 2, 1)) * np.array([3.0, 1.0])
    spread = 1 + 0.01 * rng.normal(size=(inputs, 3, 1, 2, 1))
    decision = np.ones((inputs, 1, 1), dtype=int) * np.array([0, 0, 1])[:, None]
    settings = {
        "conditions": CONDITIONS, "stages": ["hidden1", "hidden3"], "k": 2, "repeats": 1,
        "seed": 0, "labels": labels, "decides": decides,
    }  # fmt: skip
    arrays = {
        "clean": clean, "clean_floor": np.full((inputs, 2), 1e-9),
        "values": clean[:, None, None] * factor * spread,
        "floor": np.full((inputs, 3, 1, 2), 1e-9),
        "converged": np.ones((inputs, 3, 1, 2), dtype=bool),
        "decided": np.zeros(inputs, dtype=int), "decision": decision,
        "size": np.ones((inputs, 3, 1)) * np.array([0.1, 1.0, 0.9])[:, None],
        "seed": np.zeros((inputs, 3, 1), dtype=int),
    }  # fmt: skip
    return Noise(settings, tuple(range(inputs)), arrays)


@pytest.mark.parametrize(
    ("late", "heading"),
    [
        ((1.0, 0.8, 0.6), "The singular values at hidden3 shrink under strong noise"),
        ((1.0, 1.2, 1.6), "The singular values at hidden3 grow under strong noise"),
        ((1.0, 0.8, 1.6), "What strong noise does to the singular values at hidden3 depends on it"),
        ((0.9, 1.0, 1.0), "No clear change of the singular values at hidden3 under strong noise"),
    ],
)
def test_the_heading_is_the_verdict_of_the_paired_changes(run, late, heading):
    assert noise_section(read(run)) is None
    section = noise_section(read(run.including(made(late))))
    assert section.heading.startswith(heading)


def test_sentences_charts_and_table_say_what_was_measured(run, tmp_path):
    tried = run.including(made(labels=[0, 0, 1, 1]))
    section = noise_section(read(tried))
    text = section.text.replace("\u00a0", " ")
    assert "of 2 (gaussian, 1 sd)" in text
    assert (
        "The decision stays in 100 % (gaussian, 51 to 100 %) and 0 % (uniform, 0 to 49 %)." in text
    )
    figure = section.figures[0]
    names = [c.name for c in figure.charts]
    assert names == ["noise-decisions", "noise-0", "noise-1"]
    late = figure.charts[2].data["gaussian-change"]
    assert late["x"] == [0, 0.1, 1]
    assert late["y"][0] == 0
    assert late["y"][2] == pytest.approx(-0.2, abs=0.01)
    assert late["lo"][2] < late["y"][2] < late["hi"][2]
    decided = figure.charts[0].data
    assert decided["gaussian-decided"]["y"] == [1, 1, 1]
    assert decided["gaussian-right"]["y"] == [0.5, 0.5, 0.5]
    assert decided["gaussian-right"]["lo"] == pytest.approx([0.15] * 3, abs=1e-3)
    assert "1 (0.51 to 1)" in figure.table.rows[0]
    assert len(figure.table.rows) == 6
    assert 'id="noise"' in report.write(tried, tmp_path / "page.html").read_text("utf-8")


def test_without_decisions_and_with_one_input_there_are_fewer_words(run):
    section = noise_section(read(run.including(made(decides=False, inputs=1))))
    assert [c.name for c in section.figures[0].charts] == ["noise-0", "noise-1"]
    assert "decision" not in section.text
    assert section.heading.startswith("No clear change")


def test_nothing_changes_where_noise_does_nothing(run):
    found = made()
    same = np.broadcast_to(found.arrays["clean"][:, None, None], found.arrays["values"].shape)
    section = noise_section(read(run.including(dataclasses.replace(
        found, arrays={**found.arrays, "values": same}))))  # fmt: skip
    assert section.heading.startswith("No clear change")
