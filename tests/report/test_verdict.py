"""Headlines and findings follow from the numbers, for any network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nakami.report.page._kinds import page_of
from nakami.report.pages.xray._data import read
from nakami.report.pages.xray._frame import headline, verdict
from nakami.results import compare


def with_values(run, change):
    """The run with every spectrum's values changed."""
    new = [dataclasses.replace(s, values=change(s)) for s in run.spectra]
    new = [dataclasses.replace(s, reliable=s.reliable & (s.values > 0)) for s in new]
    return dataclasses.replace(run, spectra=tuple(new))


def counted(make, counts, **options):
    """A run with so many values above 1 at each stage, the same at every input."""
    run = make(stages=len(counts), **options)
    by_stage = dict(zip(run.names, counts, strict=True))

    def change(s):
        return np.where(np.arange(len(s.values)) < by_stage[s.stage], 2.0, 0.5)

    return with_values(run, change)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((61, 18, 11), "Eleven of 784 directions survive to hidden3"),
        ((61, 18, 1), "One of 784 directions survives to hidden3"),
        ((61, 18, 0), "None of 784 directions survives to hidden3"),
        ((784, 784), "All 784 directions survive to hidden2"),
        ((61,), "61 of 784 directions survive to hidden1"),
    ],
)
def test_headline_counts_the_survivors(make, counts, expected):
    assert headline(read(counted(make, counts))) == expected


def test_headline_of_truncated_spectra_is_a_lower_bound(make):
    run = counted(make, (60, 60), k=60)
    assert headline(read(run)) == "At least 60 of 784 directions survive to hidden2"


def test_headline_of_a_zero_spectrum(make):
    run = with_values(make(), lambda s: np.zeros_like(s.values))
    assert headline(read(run)) == "None of 784 directions reaches hidden3"


def test_unconverged_numbers_stay_out_of_the_headline(make):
    assert headline(read(make(k=60, converged=False))) == (
        "None of 48 spectra converged; nothing is concluded here"
    )
    run = counted(make, (61, 18, 11))
    spent = make(k=60, converged=False).spectra[0].outcome
    open_last = (
        dataclasses.replace(s, outcome=spent) if s.stage == "hidden3" else s for s in run.spectra
    )
    reading = read(dataclasses.replace(run, spectra=tuple(open_last)))
    assert headline(reading) == "18 of 784 directions survive to hidden2"
    assert not any("hidden3" in f.label for f in verdict(reading).figures)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (13, "13 of 784 directions survive to hidden2; new keeps two more than old"),
        (10, "Ten of 784 directions survive to hidden2; new keeps one fewer than old"),
        (11, "Eleven of 784 directions survive to hidden2; not distinguishable from old"),
    ],
)
def test_headline_of_two_networks_adds_the_paired_change(make, after, expected):
    old = counted(make, (18, 11), label="dbn/old")
    new = counted(make, (18, after), label="dbn/new")
    assert headline(read(compare(old, new))) == expected


def test_long_names_leave_the_headline_short(make):
    run = counted(make, (18, 11), names=["a" * 200, "b" * 200])
    assert headline(read(run)) == "Eleven of 784 directions survive to the last stage"


def test_a_change_within_two_standard_errors_is_not_told_as_one(make):
    old = make(label="dbn/old", seed=0)
    new = make(label="dbn/new", seed=5)  # other inputs' spread, no effect
    changes = compare(old, new).change("hidden1", "count")
    assert changes.verdict == "not distinguishable"
    compared = next(s for s in page_of(compare(old, new)).sections if s.id == "compared")
    assert "does not change distinguishably" in compared.text
    assert "at hidden1" in compared.text


def test_rounding_is_no_change(make):
    old = make(label="dbn/old")
    new = with_values(make(label="dbn/new"), lambda s: s.values * (1 + 1e-13))
    first = next(s for s in page_of(compare(old, new)).sections if s.id == "compared")
    assert first.heading == "No distinguishable change from old to new"
    assert first.text == "Compared digit by digit, the count is the same in both networks."


CASES = {
    "three stages": {},
    "one input": {"inputs": 1},
    "one stage": {"stages": 1},
    "one value": {"k": 1},
    "two inputs of two values": {"inputs": 2, "shape": (2,), "m": 3, "settings": {"picture": None}},
    "all below one": {"gain": 0.3},
    "truncated": {"k": 60, "gain": 30.0, "rate": 100.0},
    "nothing converged": {"k": 60, "converged": False},
    "twelve stages": {"stages": 12, "inputs": 3, "k": 50},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("networks", [1, 2])
def test_every_case_has_a_headline_and_short_aids(make, case, networks):
    run = make(**CASES[case])
    what = run if networks == 1 else compare(make(**CASES[case], label="dbn/old"), run)
    reading = read(what)
    assert len(headline(reading).split()) <= 14
    assert 3 <= len(verdict(reading).figures) <= 4
    for section in page_of(what).sections:
        assert section.heading
        assert 1 <= len(section.may) <= 2
        assert 1 <= len(section.may_not) <= 2
        for aid in [*section.may, *section.may_not]:
            assert len(aid.split()) <= 30, aid


def test_headings_of_depth_follow_the_paired_trend(make):
    falling = page_of(make()).sections[0]
    assert falling.heading == "Each stage keeps fewer directions"
    level = page_of(make(rate=60.0)).sections[0]
    assert level.heading == "Depth makes no distinguishable difference to the count"


def test_directions_below_the_floor_decide_nothing(make):
    pictures = {s.id: s for s in page_of(make()).sections}["pictures"]
    assert pictures.heading.startswith("The first three directions cover ")
    assert "chance" in pictures.text
    pictures = {s.id: s for s in page_of(make(rate=60.0)).sections}["pictures"]
    assert pictures.heading == "The first direction covers a smaller area than the last one shown"
    assert "the 784th covers" in pictures.text


@pytest.mark.parametrize(
    ("settings", "noun"),
    [
        ({"input_noun": "molecule"}, "molecules"),
        ({"input_noun": None}, "pictures"),  # an older run, whose record says that they are
        ({"input_noun": None, "picture": None}, "inputs"),  # names say nothing: "test digit 3"
    ],
)
def test_inputs_are_called_what_the_record_calls_them(make, settings, noun):
    page = page_of(make(settings=settings))
    assert page.frame.verdict.kicker.endswith(f"X-ray at 16 {noun}")


def test_a_matrix_of_zeros_is_told_as_zero_not_as_noise(make):
    run = with_values(make(), lambda s: np.zeros_like(s.values))
    page = page_of(run)
    spectra, kept = page.sections[:2]
    assert spectra.text.startswith("Every singular value is 0: a small step at the input changes")
    assert kept.text == "A matrix of zeros keeps no direction, and its effective rank is 0."
    assert "noise" not in spectra.figures[0].caption
    assert not any("noise" in str(cell) for row in spectra.figures[0].table.rows for cell in row)


def test_a_course_with_lower_bounds_names_each_stage(make):
    run = counted(make, (60, 60, 20), k=60, inputs=2)
    assert (
        verdict(read(run))
        .standfirst[0]
        .startswith(
            "At 2 digits, the number of input directions that a small change can take without "
            "shrinking is at least 60 at hidden1, at least 60 at hidden2 and 20 at hidden3."
        )
    )
    one = page_of(make(k=1))
    assert one.sections[0].heading == "The largest singular value at each stage"
    assert one.frame.verdict.standfirst[0] == (
        "At 16 digits, only the largest value was computed. At every stage some digits have no "
        "computed value below 1, so the counts are lower bounds."
    )
