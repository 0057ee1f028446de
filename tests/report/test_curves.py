"""Curves that were cut, axes that end, numbers that stand beside lines, stages in the gallery."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nakami.report.page._kinds import page_of
from nakami.report.words import _numbers as num


def section(run, name):
    return next(s for s in page_of(run).sections if s.id == name)


def spectra(run):
    return section(run, "spectra").figures[0]


def test_the_index_is_logarithmic_where_some_spectrum_is_complete(make, mixed):
    assert spectra(mixed()).charts[0].state["x"] == "log"
    assert spectra(make()).charts[0].state["x"] == "log"
    assert spectra(make(k=60)).charts[0].state["x"] == "linear"


def test_a_cut_curve_has_an_end_mark_and_a_name_that_says_so(make, mixed):
    run = mixed()
    chart, caption = spectra(run).charts[0], spectra(run).caption
    assert chart.data["cuts"]["i"] == [100]
    assert chart.data["cuts"]["v"] == pytest.approx(run.mean_sd("conv1.relu")[0][-1:], rel=1e-3)
    assert [c["end"] for c in chart.curves] == [", cut at 100", "", "", "", ""]
    assert any(layer["data"].get("name") == "cuts" for layer in chart.spec["layer"])
    assert "Upright end mark: only the 100 largest values were computed at conv1.relu." in caption
    assert "conv1.relu from" in chart.text
    assert "at index 100, cut there" in chart.text
    whole = spectra(make())
    assert "cuts" not in whole.charts[0].data
    assert "cut" not in whole.caption
    every = spectra(make(k=60))  # all end at the right edge: the caption says so, no name does
    assert "only the 60 largest values were computed." in every.caption
    assert {c["end"] for c in every.charts[0].curves} == {""}


def test_the_caption_says_where_the_axis_ends_and_what_runs_on(make, mixed):
    assert "The log axis ends at 0.001; conv2.relu runs on below it." in spectra(mixed()).caption
    assert "every curve runs on below it" in spectra(make()).caption
    assert "runs on" not in spectra(make(rate=600.0)).caption
    assert [num.power(v) for v in (0.001, 1e-4, 0.0213)] == ["0.001", "10⁻⁴", "0.0213"]


def test_noise_is_not_stated_as_a_value(make):
    run = make(inputs=2)
    low = [dataclasses.replace(s, reliable=np.arange(784) < 50) for s in run.spectra]
    noisy = dataclasses.replace(run, spectra=tuple(low))
    assert "the hundredth is below the floor of the arithmetic at hidden1" in (
        section(noisy, "spectra").text
    )
    assert "below the floor" not in section(run, "spectra").text


def test_the_border_is_labelled_shrunk_not_erased(make):
    text = spectra(make()).charts[0].data["labels"]["t"]
    assert {"shrunk, s < 1", "s < 1"} & set(text)
    assert "erased" not in text


def test_a_course_that_turns_is_told_by_its_steps(make, mixed):
    run = mixed(inputs=8)
    assert section(run, "spectra").heading == "The curves fall more steeply with depth"
    assert (
        "A steeper curve means that the tenth value is a smaller share"
        in section(run, "spectra").text
    )
    flipped = {"fc1.relu": 0.2, "fc2.relu": 3.0}

    def turned(s):
        share = np.arange(len(s.values)) / 10
        return dataclasses.replace(s, values=s.values * np.exp(-share * flipped.get(s.stage, 0)))

    bent = dataclasses.replace(run, spectra=tuple(turned(s) for s in run.spectra))
    assert section(bent, "spectra").heading == (
        "The curves get steeper at three of four steps in depth, flatter at one"
    )
    small = mixed(("conv2.relu", "fc3", "fc1.relu"))
    assert section(small, "spectra").heading == (
        "Fewer directions are kept at one of two steps in depth, more at one"
    )


def test_the_gallery_offers_every_stage_up_to_twelve(make, mixed):
    grids = section(mixed(), "pictures").figures[0].grids
    assert grids.stages == ["conv1.relu", "conv2.relu", "fc1.relu", "fc2.relu", "fc3"]
    deep = section(make(stages=14, inputs=1, k=5), "pictures").figures[0]
    assert len(deep.grids.stages) == 12
    assert (deep.grids.stages[0], deep.grids.stages[-1]) == ("hidden1", "hidden14")
    assert "12 of 14 stages are offered, spread over depth." in deep.caption
