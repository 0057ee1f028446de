"""What was computed is told stage by stage, and an unfinished run says what is missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nakami.report.page._kinds import page_of
from nakami.report.pages.xray._completeness import computed, possible, so_far, unfinished
from nakami.report.pages.xray._data import read
from nakami.report.pages.xray._frame import headline, verdict
from nakami.results import compare


def without(run, *lost):
    """The run without some spectra, given as (stage, input)."""
    left = tuple(s for s in run.spectra if (s.stage, s.input) not in lost)
    return dataclasses.replace(run, spectra=left)


def section(run, name):
    return next(s for s in page_of(run).sections if s.id == name)


def test_each_stage_says_how_much_of_it_was_computed(make, mixed):
    rows = list(read(mixed()).main.rows.values())
    assert computed(rows) == (
        "all values at conv2.relu, fc1.relu, fc2.relu, fc3; the 100 largest at conv1.relu"
    )
    assert computed(rows[1:]) == "all singular values"
    assert computed(rows[:1]) == "the 100 largest values"
    every = make(stages=7, k=60).summary()
    assert computed([rows[4], *every]) == "all values at fc3; the 60 largest at seven stages"


def test_exact_counts_beside_a_cut_one_stay_exact(mixed):
    run = mixed()
    reading = read(run)
    sentence = str(verdict(reading).standfirst[0])
    last = run.summary()[-1].count
    assert not last.lower_bound
    assert sentence.startswith(
        "At 4 digits, the number of input directions that a small change can take without "
        "shrinking goes from at least 100 at conv1.relu to "
    )
    assert sentence.endswith(
        f" {last.mean:.2g} at fc3, over five stages. Only the 100 largest values were computed at "
        "conv1.relu."
    )
    measured = dict(verdict(reading).meta)["Measured"]
    assert "the 100 largest at conv1.relu" in measured
    assert "1,600" not in " ".join(map(str, verdict(reading).standfirst)) + measured


def test_lower_bounds_of_the_kept_section_are_named(mixed):
    kept = section(mixed(), "kept")
    assert kept.text.startswith(
        "Only the 100 largest values were computed at conv1.relu, so counts and effective ranks "
        "there are lower bounds. The effective rank is at least"
    )
    assert kept.text.count("at least") == 1  # fc1.relu and fc3 are exact
    assert "only the 100 largest values were computed at conv1.relu." in kept.figures[0].caption
    assert "lower bound" not in section(mixed(("fc1.relu", "fc3")), "kept").figures[0].caption


def test_a_cut_spectrum_that_ends_below_one_has_an_exact_count(make):
    run = make(k=300)  # 300 of 784, the last far below 1
    kept = section(run, "kept")
    assert "so effective ranks are lower bounds" in kept.text
    assert "counts" not in kept.text
    assert "at least" not in str(verdict(read(run)).standfirst[0])


def test_a_stage_smaller_than_the_input_says_how_many_it_could_keep(mixed):
    run = mixed(("fc1.relu", "fc3"))
    row = run.summary()[-1]
    assert possible(row) == "at most 10"
    assert "of at most 10 directions survive to fc3" in headline(read(run))
    assert "of at most 10;" in verdict(read(run)).figures[0].label
    every = [dataclasses.replace(s, values=s.values + 1) for s in run.spectra]
    full = dataclasses.replace(run, spectra=tuple(every))
    assert headline(read(full)) == "All 10 possible directions survive to fc3"


def test_an_unfinished_run_says_what_is_missing(make):
    run = make(stages=2, inputs=4)
    assert so_far(read(run)) == unfinished(read(run)) == ""
    half = without(run, *((s, i) for s in run.names for i in (2, 3)))
    assert unfinished(read(half)) == (
        "This run is unfinished: 4 of 8 spectra so far; missing: 2 of 4 digits at every stage."
    )
    top = verdict(read(half))
    assert str(top.standfirst[-1]).startswith("This run is unfinished")
    assert top.kicker.endswith("X-ray at 2 of 4 digits")
    assert dict(top.meta)["Measured"].endswith("all singular values; 4 of 8 spectra so far")
    odd = without(run, ("hidden2", 1), ("hidden2", 3))
    assert unfinished(read(odd)).endswith(
        "6 of 8 spectra so far; missing: 2 of 4 digits at hidden2."
    )
    assert read(odd).inputs() == "2 to 4 of 4 digits"
    gone = without(run, *(("hidden2", i) for i in range(4)))
    assert "missing: 4 of 4 digits at hidden2." in unfinished(read(gone))


def test_layers_that_were_asked_for_count_too(make):
    run = make(stages=3, inputs=2, layers=True, settings={"layers": True})
    assert so_far(read(run)) == ""
    lost = tuple(s for s in run.spectra if not (s.source == "hidden2" and s.input == 1))
    told = unfinished(read(dataclasses.replace(run, spectra=lost)))
    assert told.endswith("9 of 10 spectra so far; missing: 1 of 2 digits at hidden3 alone.")


def test_two_runs_say_how_many_spectra_they_share(make):
    old, new = make(label="dbn/old", inputs=4), make(label="dbn/new", inputs=4)
    both = compare(old, without(new, ("hidden3", 0)))
    assert unfinished(read(both)) == (
        "These runs share 11 of 12 spectra so far; missing: 1 of 4 digits at hidden3."
    )


@pytest.mark.parametrize(
    ("mean", "words"),
    [
        (6.5, "6.5 of 784 directions survive to"),
        (6.1, "About six of 784 directions survive to"),
        (6.0, "Six of 784 directions survive to"),
        (61.4, "About 61 of 784 directions survive to"),
        (1.2, "About one of 784 directions survives to"),
        (0.4, "Fewer than one of 784 directions survives to"),
    ],
)
def test_a_mean_is_worded_as_a_number_that_it_is(make, mean, words):
    run = make(stages=1, inputs=10)
    low = int(mean)
    more = round((mean - low) * 10)  # so many of ten inputs have one direction more
    found = [
        dataclasses.replace(s, values=np.where(np.arange(784) < low + (s.input < more), 2.0, 0.5))
        for s in run.spectra
    ]
    assert headline(read(dataclasses.replace(run, spectra=tuple(found)))) == f"{words} hidden1"
