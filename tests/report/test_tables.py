"""The tables at the end: sums with their number of terms, floors, limits and residuals."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from nakami.report.pages.xray._completeness import common_terms
from nakami.report.pages.xray._curves import spread_caption
from nakami.report.pages.xray._data import read
from nakami.report.pages.xray._methods import how_table
from nakami.report.pages.xray._tables import figures_tables
from nakami.results import Outcome, SpectrumEnding, compare

WHOLE = Outcome(SpectrumEnding.WITHIN, {"values": 784, "tol": 1e-4})
CUT = Outcome(SpectrumEnding.LIMITED, {"within": 780, "values": 784, "tol": 1e-4, "limited": 4})


def floored(run, keep, outcome=WHOLE):
    """The run with only the first ``keep(s)`` values above the floor."""
    new = []
    for s in run.spectra:
        n = keep(s)
        good = np.arange(len(s.values)) < n
        floor = float(s.values[n - 1]) * 0.99 if n else 2 * float(s.values[0])
        new.append(dataclasses.replace(s, reliable=good, floor=floor, outcome=outcome))
    return dataclasses.replace(run, spectra=tuple(new))


def table(what, label):
    return next(t for t in figures_tables(read(what)) if t.label.startswith(label))


def cells(what, stage, quantity):
    rows = table(what, "From the input").rows
    return [str(c) for row in rows if row[0] == stage and quantity in str(row[1]) for c in row[3:]]


def how(what):
    return {str(row[0]): [str(c) for c in row[1:]] for row in how_table(read(what)).rows}


def test_a_sum_of_ln_s_stands_beside_its_number_of_terms(make, mixed):
    assert "<br><i>all 784 values</i>" in cells(make(), "hidden1", "sum of ln s")[0]
    some = floored(make(inputs=4), lambda s: 600 + s.input)
    assert "<i>600 to 603 of 784 values</i>" in cells(some, "hidden1", "sum of ln s")[0]
    assert (
        "<i>100 of 3,072 values, cut at 100</i>" in cells(mixed(), "conv1.relu", "sum of ln s")[0]
    )


def test_compared_sums_are_those_over_the_common_indices(make):
    old = floored(make(label="dbn/old", inputs=4), lambda s: 700 - s.input)
    new = floored(make(label="dbn/new", inputs=4, seed=3), lambda s: 650)
    both = compare(old, new)
    reading = read(both)
    assert common_terms(*reading.networks, "hidden1") == (650, 650)
    change = both.change("hidden1", "log_sum")
    by_hand = [np.log(s.values[:650]).sum() for s in old.at("hidden1")]
    assert change.before == pytest.approx(by_hand)
    before, after, moved, _ = cells(both, "hidden1", "sum of ln s")
    left, right = (float(re.match(r"−?[\d,]+", c)[0].replace("−", "-").replace(",", ""))
                   for c in (before, after))  # fmt: skip
    assert left == pytest.approx(np.mean(by_hand), abs=1)
    own = np.mean([s.log_sum for s in old.at("hidden1")])
    assert left != pytest.approx(own, abs=20)  # each run's own sum has other terms
    assert right - left == pytest.approx(change.mean, abs=2)
    assert all("<i>650 of 784 values</i>" in c for c in (before, after))
    assert moved.startswith("−" if change.mean < 0 else "+")


def test_sums_without_a_common_index_are_not_shown(make):
    old = floored(make(label="dbn/old", inputs=2), lambda s: 0)
    both = compare(old, make(label="dbn/new", inputs=2))
    assert cells(both, "hidden1", "sum of ln s")[:2] == ["no index reliable in both"] * 2


def test_a_last_value_below_the_floor_is_not_printed_as_a_measurement(make):
    clean = cells(make(inputs=4), "hidden1", "last computed")[0]
    assert "floor" not in clean
    run = floored(make(inputs=4), lambda s: 100)
    worst = run.summary()[0].decay_floor
    shown = cells(run, "hidden1", "last computed")[0]
    assert shown == f"< {worst:.2g}, floor"
    half = floored(make(inputs=4), lambda s: 784 if s.input else 100)
    assert "below the floor at 1 of 4 digits" in cells(half, "hidden1", "last computed")[0]


def test_values_that_the_arithmetic_limits_are_counted(make):
    run = floored(make(inputs=2, stages=2), lambda s: 782, outcome=CUT)
    lines = table(run, "Convergence")
    assert lines.head[-2:] == ["at the limit", "below the floor"]
    assert [row[-2:] for row in lines.rows] == [["8 of 1,568", "4 of 1,568"]] * 2
    assert "may miss the tolerance" in lines.note
    assert "noise" in lines.note
    said = how(run)
    assert said["Limit of the arithmetic"] == [
        "16 of 3,136 values at it; they may miss the tolerance; 8 of 3,136 below the floor, noise"
    ]
    assert said["Tolerance"][0].endswith("not met by every value, see below")
    caption = spread_caption(read(run), [], run.spectra)
    assert "16 of 3,136 values are at the limit of the arithmetic" in caption
    clean = make(inputs=2, stages=2)
    assert "limit" not in spread_caption(read(clean), [], clean.spectra)
    assert "not met" not in how(clean)["Tolerance"][0]


def test_a_residual_above_the_tolerance_has_its_word(make):
    run = make(inputs=2, rate=600.0)
    assert "So a residual may lie above it" not in table(run, "Convergence").note
    loose = [dataclasses.replace(s, residuals=0.005 * s.values) for s in run.spectra]
    run = dataclasses.replace(run, spectra=tuple(loose))
    assert "So a residual may lie above it" in table(run, "Convergence").note
    assert "at most 0.0050 of the value" in how(run)["Residual"][0]


def test_how_names_what_was_computed_and_what_is_a_bound(mixed):
    said = how(mixed())
    assert said["Values"][0].endswith("the 100 largest at conv1.relu")
    assert said["Lower bounds"] == ["counts at conv1.relu; effective ranks at conv1.relu"]
    assert how(mixed(("fc1.relu", "fc3")))["Lower bounds"] == ["none"]


def test_how_names_the_statistics_of_batch_normalisation(make):
    run = make(inputs=1)
    assert "Batch normalisation" not in how(run)
    read_by = {**run.settings, "batch_normalisation": "statistics of each batch"}
    said = how(dataclasses.replace(run, settings=read_by))
    assert said["Batch normalisation"] == ["statistics of each batch"]
