"""Pages of learning rates and of theory: what they say, from made-up and from computed numbers."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from types import SimpleNamespace

import pytest

from nakami import geometry, report
from nakami.report.page._kinds import page_of
from nakami.theory import meanfield

ABOUT = {
    "model": "net",
    "optimizer": "sgd",
    "training": "weights at random",
    "data": "400 of the digits",
    "input_unit": "pixel, 0 to 1",
    "created": "2026-11-20T10:00:00+00:00",
    "seconds": 3.2,
    "threads": 1,
    "versions": {"nakami": "0.1.0", "torch": "2.13.0"},
}


def trial(rate, losses, diverged=False):
    return SimpleNamespace(rate=rate, losses=tuple(losses), diverged=diverged)


def made_up(**changes):
    """A report by hand, with the fields of ``nakami.geometry.LearningRateReport``; no torch."""
    limit = {
        "limit": 0.5, "error": 1e-4, "limits": (0.5,), "lambda_max": 4.0, "sharpness": 4.0,
        "batch_sharpness": (4.1, 4.4), "batch_limit": 2 / 4.4,
        "rule": SimpleNamespace(stability_threshold=2.0),
        "optimizer": "SGD", "method": "SGD with momentum 0.9", "preconditioner": "",
        "loss": "cross-entropy", "value": 2.3,
        "matrix": "Gauss-Newton", "n_samples": 100, "sample": "an example", "n_batches": 2,
        "cost": 221.0, "seed": 0, "converged": True, "reason": "all within tol",
    }  # fmt: skip
    rate = {
        "cost": 100.0, "loss": "cross-entropy",
        "advised": 0.2, "interval": (0.1, 0.3), "advice": "the loss fell fastest near 0.2",
        "trials": (
            trial(0.02, [2.3, 2.2, 2.1]),
            trial(0.2, [2.3 * 0.9**i for i in range(21)]),
            trial(2.0, [2.3, 40.0, math.inf], True),
        ),
    }  # fmt: skip
    noise = {
        "value": 80.0, "error": 6.0, "at_least": 70.0, "trace": 50.0, "trace_error": 2.0,
        "squared_norm": 0.6, "squared_norm_error": 0.04, "batch": 50.0, "n_batches": 8,
        "reason": "unbiased", "advice": "batches of 50 lie below it.",
    }  # fmt: skip
    points = tuple(4.0 * 10 ** (i / 10) for i in range(-30, 6))
    eigenvalues = {
        "points": points, "count": tuple(10.0 for _ in points), "error": tuple(1.0 for _ in points),
        "largest": 4.0, "largest_error": 1e-3, "above": 33.0, "parameters": 5000, "exact": False,
        "n_probes": 5, "steps": 64, "width": 0.2, "n_samples": None,
    }  # fmt: skip
    theory = {
        "low": 2.0, "high": 3.0, "limit": (2 / 3, 1.0), "widths": (784, 100, 10),
        "activations": ("relu",), "assumed": ("weights are independent",), "doubts": (),
        "bounds": True,
    }  # fmt: skip
    limit["noise"] = SimpleNamespace(**noise)
    for part in (limit, rate):
        for name in [k for k in changes if k in part]:
            part[name] = changes.pop(name)
    parts = {
        "rate": SimpleNamespace(**rate),
        "limit": SimpleNamespace(**limit),
        "eigenvalues": SimpleNamespace(**eigenvalues),
        "theory": SimpleNamespace(**theory),
        "theory_outcome": SimpleNamespace(reason=""),
        "value": 2.3,
        "batch": 50,
        "first": None,
    }
    return geometry.LearningRateReport(**{**parts, **changes})


def test_the_fields_are_those_of_the_library():
    found = made_up()
    pairs = [
        (found, geometry.LearningRateReport),
        (found.rate, geometry.LearningRate),
        (found.limit, geometry.RateLimit),
        (found.limit.noise, geometry.NoiseScale),
        (found.eigenvalues, geometry.Eigenvalues),
        (found.theory, geometry.WideTheory),
        (found.rate.trials[0], geometry.Trial),
    ]
    for mine, theirs in pairs:
        assert set(vars(mine)) <= {f.name for f in dataclasses.fields(theirs)} | set(dir(theirs))


def charts(page):
    return {c.name: c for s in page.sections for f in s.figures for c in f.charts}


def test_what_stands_on_the_page_of_rates():
    page = page_of(made_up(), ABOUT)
    headline = page.frame.verdict.headline
    assert (headline.case, headline.data) == ("headline.both", {"rate": 0.2, "limit": 0.5})
    assert headline == "Rate 0.200 is advised; the limit at these weights is 0.500"
    assert [s.id for s in page.sections] == ["advice", "spectrum", "theory", "noise"]
    assert page.sections[2].heading == "Measured curvature is 1.33 times the upper end of theory"
    found = charts(page)
    assert set(found) == {"rates", "steps", "spectrum", "theory", "noise"}
    assert "rate 2: diverged" in found["rates"].text
    assert "rate 0.0200: 2.20, stopped before" in found["rates"].text
    assert found["spectrum"].data["count"]["x"][0] == pytest.approx(0.004)
    assert found["noise"].data["here"]["y"] == [pytest.approx(50 / 130, rel=1e-3)]
    assert all(len(s.heading.split()) <= 14 for s in page.sections)


def test_adam_has_no_line_for_rates_among_eigenvalues():
    theory = SimpleNamespace(**{**vars(made_up().theory), "limit": None})
    adam = {"preconditioner": "30 steps on a copy", "optimizer": "Adam"}
    page = page_of(made_up(theory=theory, **adam), ABOUT)
    plain = charts(page_of(made_up(), ABOUT))["spectrum"].data["labels"]["t"]
    assert "advised" in plain
    assert charts(page)["spectrum"].data["labels"]["t"] == ["λ_max"]
    assert "theory has no limit for it" in page.sections[2].text
    assert "after its trial" in page.frame.verdict.headline


def test_a_curvature_of_the_first_batches_is_said_to_be_one():
    some = SimpleNamespace(**{**vars(made_up().eigenvalues), "n_samples": 50})
    page = page_of(made_up(eigenvalues=some), ABOUT)
    figure = page.sections[1].figures[0]
    assert "Read on the first 50 of 100 samples" in figure.caption
    assert figure.charts[0].data["labels"]["t"].count("λ_max") == 1
    assert "measured, first batches" in page.sections[2].figures[0].charts[0].text
    assert "first" not in page_of(made_up(), ABOUT).sections[1].figures[0].caption


def test_a_page_of_rates_names_the_statistics_of_batch_normalisation():
    def how(about):
        return {str(row[0]): str(row[1]) for row in page_of(made_up(), about).frame.how.rows}

    assert "Batch normalisation" not in how(ABOUT)
    said = how({**ABOUT, "batch_normalisation": "statistics of each batch"})
    assert said["Batch normalisation"] == "statistics of each batch"


def test_what_is_missing_leaves_no_gap():
    bare = made_up(
        noise=None, eigenvalues=None, theory=None, advised=None,
        theory_outcome=SimpleNamespace(reason="a convolution."),
        interval=None, advice="none: the loss fell in no trial", trials=(), limit=math.inf,
        batch_sharpness=(0.0,), batch_limit=math.inf,
    )  # fmt: skip
    page = page_of(bare, ABOUT)
    assert [s.id for s in page.sections] == ["theory"]
    assert page.sections[0].heading == "Theory does not cover this network"
    assert page.sections[0].figures == []
    assert page.frame.verdict.headline == (
        "No rate is advised; the loss has no curvature here, so no limit"
    )
    unsure = SimpleNamespace(**{**vars(made_up().limit.noise), "value": None, "error": None})
    heading = page_of(made_up(noise=unsure), ABOUT).sections[3].heading
    assert heading.startswith("A batch of at least 70")


def test_a_curve_that_leaves_the_picture_is_named_where_it_leaves():
    ran = trial(2.0, [2.3, 1.3, 6.3, math.inf], True)
    drawn = charts(page_of(made_up(trials=(trial(0.1, [2.3, 2.2, 2.1]), ran)), ABOUT))["steps"]
    cap, labels = 1.25 * 2.3, drawn.data["labels"]
    places = {t: (x, y) for t, x, y in zip(labels["t"], labels["x"], labels["y"], strict=True)}
    assert places["2"] == pytest.approx((2 + (cap - 1.3) / 5, cap), rel=1e-3)
    assert places["0.10"] == pytest.approx((3, 2.1))


def finite(page):
    """All charts as JSON, which takes neither NaN nor infinity."""
    parts = [[c.spec, c.data, c.text] for c in charts(page).values()]
    text = json.dumps(parts, allow_nan=False)
    assert "nan" not in text
    return text


@pytest.mark.parametrize("losses", [[2.3], [2.3, 1e30, 1e35], [2.3, math.inf], [2.3, 1e-9]])
def test_odd_trials_are_drawn(losses):
    one = trial(0.2, losses, losses[-1] > 3)
    assert finite(page_of(made_up(trials=(one,)), ABOUT))


def test_a_written_page_is_escaped_and_holds_the_charts(tmp_path):
    evil = '</script><img src=x onerror="alert(1)">'
    path = report.write(made_up(), tmp_path / "a.html", {**ABOUT, "model": evil})
    page = path.read_text(encoding="utf-8")
    assert "<img src=x" not in page
    body = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert set(body["charts"]) == {"rates", "steps", "spectrum", "theory", "noise"}
    assert "Learning rate</span>" in page


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_what_stands_on_the_page_of_theory(loss):
    found = meanfield.predict((50, 100, 80, 5), "tanh", 3, 0.64, samples=10, loss=loss)
    page = page_of(found)
    assert [s.id for s in page.sections] == ["depth", "eigenvalues", "map"]
    drawn = charts(page)
    assert drawn["activity"].data["c0"]["y"][1] == pytest.approx(found.order.q_hat1[1], rel=1e-3)
    here = drawn["map"].data["here"]
    assert (here["x"], here["y"]) == ([100], [pytest.approx(found.rates.advised, rel=1e-3)])
    at = drawn["map"].data["map"]["x"].index(100)
    assert drawn["map"].data["map"]["safe"][at] == pytest.approx(found.rates.safe, rel=1e-3)
    assert f"{found.rates.safe:.3g}" in page.frame.verdict.headline
    assert len(page.frame.tables) == 3


def test_theory_of_one_hidden_layer_and_of_growing_signals():
    for widths, variance in (((50, 60, 1), 2.0), ((20, *[30] * 30, 3), 9.0)):
        found = meanfield.predict(widths, "relu", variance, samples=2)
        assert finite(page_of(found))


def test_a_page_of_theory_is_written(tmp_path):
    found = meanfield.predict((50, 60, 3), "relu", 2, samples=5)
    page = report.write(found, tmp_path / "t.html").read_text(encoding="utf-8")
    assert "Mean-field theory</span>" in page
    assert "Computed with nakami" in page


def test_theory_of_one_sample_has_no_bulk_to_compare_with():
    page = page_of(meanfield.predict((784, 20, 10), "tanh", 0.5, samples=1))
    assert page.sections[1].heading == "Ten eigenvalues near 238, the others zero"
    assert page.frame.verdict.standfirst[0] == (
        "Ten eigenvalues, one for each output, lie near 238; all others are zero."
    )
    single = page_of(meanfield.predict((50, 60, 1), "relu", 2.0, samples=5))
    assert single.frame.verdict.standfirst[0].startswith("One eigenvalue lies near ")
    assert single.sections[1].heading.startswith("One outlier near ")


def test_no_limit_has_no_error():
    rows = page_of(made_up(limit=math.inf), ABOUT).frame.tables[0].rows
    assert next(row for row in rows if row[0] == "limit") == ["limit", "none", ""]
