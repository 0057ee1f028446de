"""The page of x-rays taken during a training, from numbers made by hand."""

import dataclasses

import numpy as np
import pytest

from nakami.report.page._kinds import page_of
from nakami.results import (
    Outcome,
    SkippedLook,
    Spectrum,
    SpectrumEnding,
    StageInfo,
    UsageError,
    XrayHistory,
    XrayLook,
)

STAGES = (
    StageInfo("input", "input", (9,)),
    StageInfo("first", "linear", (8,)),
    StageInfo("last", "linear", (4,)),
)
READ = Outcome(SpectrumEnding.WITHIN, {"values": 4, "within": 4, "limited": 0, "tol": 1e-3})
OPEN = Outcome(
    SpectrumEnding.ABOVE, {"values": 4, "within": 3, "limited": 0, "tol": 1e-3, "above": 1}
)


def spectrum(i, stage, scale, outcome=READ):
    m = {s.name: s.size for s in STAGES}[stage]
    values = scale * np.array([4.0, 2.0, 1.0, 0.5])
    nothing = np.zeros(4)
    return Spectrum(
        i, stage, "input", (m, 9), values, nothing, nothing == 0, 1e-9, outcome, "krylov",
        "linearised", 20, np.zeros(0, dtype=np.int64), np.zeros((0, 9), dtype=np.float32), 0.1,
    )  # fmt: skip


def look(step, scale, training, outcome=READ):
    spectra = tuple(
        spectrum(i, name, scale * (1 + 0.1 * i), outcome)
        for name in ("first", "last")
        for i in (0, 1)
    )
    return XrayLook(step, spectra, 0.5, 0.5 * (1 + step // 100), training)


def history(*looks, **changed):
    settings = {
        "subject": "net", "input_unit": "volt", "n_inputs": 2, "k": 4, "every": 100, "tol": 1e-3,
        "max_share": 0.05, "seed": 0, "dtype": "float32", "device": "cpu",
        "model": {"parameters": 1234}, "versions": {"nakami": "0.1.0"},
        "created": "2026-11-29T10:00:00+00:00",
    }  # fmt: skip
    fields = {"spent": looks[-1].spent, "training": looks[-1].training} if looks else {}
    found = XrayHistory(settings, STAGES, np.zeros((2, 9)), looks, **fields)
    return dataclasses.replace(found, **changed)


THREE = [look(0, 1.0, 0.0), look(100, 2.0, 20.0), look(200, 3.0, 40.0)]


def test_what_stands_on_the_page():
    page = page_of(history(*THREE, skipped=(SkippedLook(150, 0.5, 0.1),)))
    assert [s.id for s in page.sections] == ["film", "counts", "budget"]
    verdict = page.frame.verdict
    assert verdict.headline.case == "verdict.moved"
    assert verdict.headline.data["begin"] == 0
    assert verdict.headline.data["end"] == 200
    assert "from 4.20 ± 0.28 to 12.60 ± 0.85" in verdict.headline.replace("\u00a0", " ")
    assert page.sections[-1].heading.case == "budget.kept"
    assert "One look that was due was left out" in page.sections[-1].text
    charts = {c.name: c for c in page.charts}
    names = {"film0", "film1", "frames0", "frames1", "rank", "count", "budget"}
    assert set(charts) == names
    rows = charts["film1"].data["s1"]
    assert rows["x"] == [0, 100, 200]
    assert rows["y"] == pytest.approx([4.2, 8.4, 12.6])  # means over two inputs
    sd = 4 * 0.1 / 2**0.5
    assert rows["hi"] == pytest.approx([4.2 + sd, 8.4 + 2 * sd, 12.6 + 3 * sd], rel=1e-3)
    frames, slider = charts["frames0"], charts["frames0"].spec["params"][0]
    assert (slider["value"], slider["bind"]["max"]) == (2, 2)
    at = [y for y, n in zip(frames.data["frames"]["y"], frames.data["frames"]["look"], strict=True)
          if n == 1]  # fmt: skip
    assert at == pytest.approx(2 * np.array([4, 2, 1, 0.5]) * 1.05)
    assert charts["count"].data["count1"]["y"] == [2.5, 3.5, 4.0]  # means of 2 and 3, 3 and 4, 4
    assert charts["budget"].data["share"]["y"] == pytest.approx([5.0, 3.75])
    table = page.frame.tables[0]
    assert [row[:2] for row in table.rows[:3]] == [
        ["first", "0"],
        ["first", "100"],
        ["first", "200"],
    ]


def test_one_look_before_the_training_has_no_film_yet():
    page = page_of(history(THREE[0]))
    assert page.frame.verdict.headline.case == "verdict.one"
    assert [s.heading.case for s in page.sections] == ["film.one", "counts.one", "budget.early"]
    assert {c.name for c in page.charts} == {"film0", "film1", "rank", "count"}


def test_doubt_and_a_budget_that_was_not_kept_are_said():
    looks = [look(0, 1.0, 0.0), look(100, 2.0, 1.0, OPEN)]
    page = page_of(history(*looks, skipped=(SkippedLook(50, 0, 0, "weights are NaN"),)))
    assert "4 of 8 spectra did not converge" in page.sections[0].text
    assert page.sections[-1].heading.case == "budget.more"
    assert "One look failed" in page.sections[-1].text


def test_a_history_without_looks_is_refused():
    with pytest.raises(UsageError, match="result must hold a look, got none; call look"):
        page_of(history())
    left = (SkippedLook(100, 0.0, 0.0), SkippedLook(200, 0.0, 0.0), SkippedLook(300, 0, 0, "NaN"))
    reasons = r"none \(2 looks left out for the budget, max_share=0.05, 1 look failed: NaN\); give"
    with pytest.raises(UsageError, match=reasons):
        page_of(history(skipped=left))


def test_it_says_which_looks_were_taken_and_no_unit_that_was_not_stated():
    first = history(*THREE[1:])
    page = page_of(first)
    assert "the first at step 100, the last at step 200" in page.frame.how.rows[0][1]
    assert page.sections[1].text.endswith("Counts hold for the input unit, volt.")
    bare = page_of(dataclasses.replace(first, settings={**first.settings, "input_unit": "1"}))
    assert bare.sections[1].text.endswith("the unit of the inputs, which was not stated.")
