"""Figures by stage: lower bounds are marked at any number of stages, numbers are clear of lines."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from checks import neighbour
from nakami.report.page._kinds import page_of
from nakami.report.pages.xray import _stage_charts as stage_charts
from nakami.results import compare, estimate

counted = neighbour("report", "test_verdict").counted
boxes = neighbour("report", "test_labels").boxes


def by_stage(what):
    kept = next(s for s in page_of(what).sections if s.id == "kept").figures[0]
    return {c.name: c for c in kept.charts}, kept.caption


@pytest.mark.parametrize("stages", [2, 4, 9])
def test_a_lower_bound_is_a_triangle_and_its_number_has_the_sign(make, stages):
    counts = (60,) * (stages - 1) + (20,)
    charts, caption = by_stage(counted(make, counts, k=60, inputs=2))
    shapes = charts["count"].data["after"]["shape"]
    assert shapes == ["triangle-up"] * (stages - 1) + ["circle"]
    assert charts["rank"].data["after"]["shape"] == ["triangle-up"] * stages  # cut everywhere
    assert "Triangles and ≥\u00a0mark lower bounds" in caption
    if stages <= stage_charts.LABELLED:
        texts = charts["count"].data["labels"]["t"]
        assert sorted(texts) == sorted(["≥ 60"] * (stages - 1) + ["20"])


def test_whole_spectra_have_no_triangle(make):
    charts, caption = by_stage(make(inputs=2))
    assert set(charts["count"].data["after"]["shape"]) == {"circle"}
    assert "Triangle" not in caption


def test_both_networks_are_marked(make):
    old, new = (counted(make, c, k=60, label=f"a/{c[1]}") for c in ((60, 30), (60, 60)))
    charts, _ = by_stage(compare(old, new))
    assert charts["count"].data["before"]["shape"] == ["triangle-up", "circle"]
    assert charts["count"].data["after"]["shape"] == ["triangle-up", "triangle-up"]


def crossings(drawn, width):
    """Numbers of the network before that its own curve runs through."""
    rows, spec = drawn.data["before"], drawn.spec
    low, high = spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    names, height = rows["s"], spec["height"]
    x = [width * (i + 0.5) / len(names) - stage_charts.APART for i in range(len(names))]
    y = [height * (1 - (m - low) / (high - low)) for m in rows["m"]]
    at = np.linspace(x[0], x[-1], 2000)
    curve = np.interp(at, x, y)
    return [
        text
        for text, left, top, right, bottom in boxes(drawn, width)
        if ((at > left) & (at < right) & (curve > top) & (curve < bottom)).any()
    ]


@pytest.mark.parametrize("width", [290, 330, 640])
def test_no_curve_runs_through_its_own_number(width):
    # counts of the digits' network before and after its training
    means = {"before": [13.94, 3.94, 2.06], "after": [15.31, 4.75, 2.94]}
    groups = []
    for key, values in means.items():
        inputs = [[m - 1.0, m, m + 1.0] for m in values]
        found = [estimate(one) for one in inputs]
        groups.append(stage_charts.Group(key == "before", found, inputs, [False] * 3))
    drawn = stage_charts.stage_chart("count", ["a", "b", "c"], groups, "number", "Text.")
    assert set(drawn.data["labels"]["t"]) >= {"2.06", "13.9", "3.94"}
    assert crossings(drawn, width) == []
    moved = {**drawn.data["labels"], "dy": [0] * 6, "dx": [-18.0] * 6, "align": ["right"] * 6}
    assert crossings(dataclasses.replace(drawn, data={**drawn.data, "labels": moved}), width)


def test_a_thousand_stages_have_few_names(make):
    run = make(stages=120, inputs=1, k=3, m=5, shape=(4,), settings={"picture": None})
    chart = page_of(run).sections[0].figures[0].charts[0]
    names = set(chart.data["labels"]["t"]) & set(run.names)
    assert 1 <= len(names) <= 24
    assert len(chart.curves) == 120  # the read-out has them all
