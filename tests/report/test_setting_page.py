"""The page of a training's setting, and of a rate alone: what it says, against the result."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from checks import neighbour
from nakami import geometry, report
from nakami.geometry import AdviceEnding, AdviceNote, ChoiceEnding, NoiseEnding
from nakami.geometry.rate._race import scores_of
from nakami.geometry.rate._schedule import course_of
from nakami.report.page._kinds import page_of
from nakami.report.pages.setting._data import end
from nakami.results import Outcome

RATES = neighbour("report", "test_learning_rate_page")
ABOUT, charts, finite = RATES.ABOUT, RATES.charts, RATES.finite
FALL = [2.3 * 0.9**i for i in range(15)]


def trial(rate, losses, diverged=False):
    return geometry.Trial(rate, tuple(losses), diverged)


TRIALS = (
    trial(0.001, [2.3 - 0.02 * i for i in range(15)]),
    trial(0.00215, FALL),
    trial(0.00464, [2.3, 2.2, *FALL[2:]]),
    trial(0.01, [2.3, 2.9, 40.0, math.inf], True),
)
RACED = {
    "training": 1500, "schedule": "cosine", "advised": 0.002, "factor": 2.0, "trials": 4,
    "steps": 15, "rate": 0.00215,
}  # fmt: skip


def advice(**changes):
    """An advice for 1,500 steps, by hand."""
    fields = {
        "advised": 0.002, "interval": (0.001, 0.004), "outcome": Outcome(AdviceEnding.RACED, RACED),
        "notes": (), "trials": TRIALS, "steps": 15, "cost": 64.0, "constant_loss": 2.29,
        "optimizer": "AdamW", "loss": "cross-entropy", "n_samples": 480, "sample": "an example",
        "n_batches": 15, "training": 1500, "schedule": "cosine", "warmup": 75,
    }  # fmt: skip
    return geometry.LearningRate(**{**fields, **changes})


NOISE = geometry.NoiseScale(
    80.0, 6.0, 70.0, 50.0, 2.0, 0.6, 0.04, 32.0, 8, Outcome(NoiseEnding.UNBIASED, {"batches": 8}),
    Outcome(geometry.BatchAdvice.BELOW, {"batch": 32.0, "scale": 80.0, "gain": 1.6, "least": ""}),
)  # fmt: skip


def choices(rate=ChoiceEnding.RATE):
    named = {"below": 8, "tasks": 12}
    noise = {"noise": "noise", "tasks": 8, "least": 2.0, "middle": 18.0}
    return (
        geometry.Choice("optimizer", "AdamW", Outcome(ChoiceEnding.ADAMW, named)),
        geometry.Choice("rate", "0.002 (0.001 to 0.004)", Outcome(rate, {"why": "by trials"}), 64),
        geometry.Choice("batch", "32 examples", Outcome(ChoiceEnding.NOISE, noise), 8),
        geometry.Choice(
            "clipping", "none", Outcome(ChoiceEnding.CLIP, {"lower": 3, "higher": 2, "tasks": 12})
        ),
    )


def setting(**changes):
    """A setting by hand; ``advice`` and what is of it come from the same numbers."""
    said = changes.pop("advice", advice())
    fields = {
        "optimizer": "AdamW", "home": "torch.optim", "arguments": {"weight_decay": 0.01},
        "rate": said.advised, "interval": said.interval, "schedule": said.schedule, "steps": 1500,
        "warmup": 75, "batch": 32, "advice": said, "noise": NOISE, "choices": choices(),
        "cost": 72.0, "outcome": said.outcome,
    }  # fmt: skip
    return geometry.TrainingSetting(**{**fields, **changes})


def test_what_stands_on_the_page_of_a_setting():
    found = setting()
    page = page_of(found, ABOUT)
    verdict = page.frame.verdict
    assert verdict.headline == "Train with AdamW at a peak rate of 0.00200, falling by cosine"
    assert verdict.headline.data["rate"] == found.rate
    assert verdict.standfirst[0].data == {"steps": 1500, "batch": 32, "warmup": 75}
    assert [s.id for s in page.sections] == ["setting", "code", "trials", "schedule", "noise"]
    assert all(len(s.heading.split()) <= 14 for s in page.sections)
    shares = [f for f in verdict.figures if f.unit == "%"]
    assert [f.value for f in shares] == ["4.8"]
    assert "72 of 1,500" in shares[0].label
    assert [f.value for f in verdict.figures][:2] == ["0.00200", f"{end(TRIALS[1]):.3f}"]


def test_the_table_holds_every_part_with_its_reason_and_cost():
    found = setting(choices=choices(ChoiceEnding.DOUBTED))
    figure = page_of(found, ABOUT).sections[0].figures[0]
    rows = {row[0]: row[1:] for row in figure.table.rows}
    assert list(rows) == [c.name for c in found.choices]
    assert [row[2] for row in rows.values()] == [c.reason for c in found.choices]
    assert [row[1] for row in rows.values()] == [
        "known",
        "in\u00a0doubt",
        "known",
        "not\u00a0examined",
    ]
    assert [row[3] for row in rows.values()] == ["", "64", "8", ""]
    assert rows["optimizer"][0] == "AdamW, weight_decay 0.01"
    assert page_of(found, ABOUT).sections[0].heading.data == {"known": 2, "parts": 4}


def test_the_code_of_each_host_is_on_the_page_as_it_is(tmp_path):
    found = setting(home="torch.optim", arguments={"betas": (0.9, 0.99), "note": "a<b & 10⁻³ ± 2"})
    text = report.write(found, tmp_path / "a.html", ABOUT).read_text(encoding="utf-8")
    unescaped = {"&lt;": "<", "&#39;": "'", "&#34;": '"', "&amp;": "&", "&gt;": ">"}
    written = re.findall(r"<pre [^>]*>(.*?)</pre>", text, re.S)
    for shown, host in zip(written, ("torch", "lightning", "transformers"), strict=True):
        for mark, sign in unescaped.items():
            shown = shown.replace(mark, sign)
        assert shown == found.snippet(host)


@pytest.mark.parametrize("losses", [FALL, FALL[:2], [3.0, 1.0, 0.5, 2.0], [2.0, -1.0, -3.0]])
def test_trials_are_compared_as_the_search_did(losses):
    """The library's score is the logarithm of what the page calls the loss at the end."""
    mine = end(trial(0.1, losses))
    theirs = losses[-1] if min(losses) < 0 else math.exp(scores_of({0: losses})[0])
    assert mine == pytest.approx(theirs, rel=1e-12)
    assert end(trial(0.1, [2.0, math.inf], True)) == math.inf
    if len(losses) > 5:
        assert mine != pytest.approx(np.mean(losses[-5:]), rel=1e-3)  # no plain mean


def test_the_charts_of_trials_hold_their_numbers_and_mark_the_best():
    page = page_of(setting(), ABOUT)
    drawn = charts(page)
    ends, wanted = drawn["rates"].data["ends"], [end(t) for t in TRIALS]
    assert ends["x"] == [t.rate for t in TRIALS]
    assert ends["y"][:3] == pytest.approx(wanted[:3], rel=1e-3)
    assert ends["shape"] == ["circle"] * 3 + ["triangle-up"]
    assert [c == "var(--after)" for c in ends["stroke"]] == [False, True, False, False]
    spec = json.dumps(drawn["rates"].spec)
    assert '{"x": 0.001, "x2": 0.004}' in spec  # the interval
    assert '"values": [{"x": 0.002}]' in spec  # the advice
    assert sorted(drawn["rates"].data["labels"]["t"]) == ["advised", "start"]
    far = charts(page_of(setting(advice=advice(constant_loss=1.5)), ABOUT))["rates"]
    assert "one output for all" in far.data["labels"]["t"]
    broad = [line["mark"]["strokeWidth"] for line in drawn["steps"].spec["layer"]
             if line["mark"]["type"] == "line"]  # fmt: skip
    assert broad == [2, 3.5, 2, 2]
    assert drawn["steps"].data["t2"]["y"] == pytest.approx(FALL, rel=1e-3)
    section = next(s for s in page.sections if s.id == "trials")
    assert section.heading.data == {"rate": 0.00215, "trials": 4}
    assert "The advice, 0.00200, is lower than this by a factor of 1.07:" in section.text


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "wsd"])
def test_the_course_of_the_rate_is_that_of_the_search(schedule):
    found = setting(advice=advice(schedule=schedule))
    course = course_of(schedule, 1500, 75, None)
    assert [found.advice.factor(t) for t in range(1500)] == [course.factor(t) for t in range(1500)]
    drawn = charts(page_of(found, ABOUT))["course"].data["course"]
    wanted = [0.002 * course.factor(step - 1) for step in drawn["x"]]
    assert drawn["y"] == pytest.approx(wanted, rel=1e-3)
    assert max(drawn["y"]) == pytest.approx(0.002)
    assert drawn["hi"] == pytest.approx([2 * y for y in drawn["y"]], rel=1e-3)
    assert (drawn["x"][0], drawn["x"][-1]) == (1, 1500)


def test_doubts_stand_at_the_top_and_beside_the_trials():
    notes = (
        Outcome(AdviceNote.RAN_AWAY, {"rate": 0.01}),
        Outcome(AdviceNote.NOTHING),
        Outcome(AdviceNote.AT_END),
    )
    page = page_of(setting(advice=advice(notes=notes)), ABOUT)
    assert page.frame.verdict.headline.case == "headline.setting_doubt"
    said = page.frame.verdict.standfirst
    assert "it ran away at 0.01" in said[1]
    assert [s.data["doubt"] for s in said[2:]] == [note.reason for note in notes[1:]]
    text = next(s for s in page.sections if s.id == "trials").text
    assert all(f"In doubt: {note.reason}." in text for note in notes[1:])
    assert "In doubt" not in page_of(setting(), ABOUT).sections[2].text


def test_without_a_rate_the_page_says_so_and_draws_shares():
    ran = tuple(trial(t.rate, [2.3, 9.0, math.inf], True) for t in TRIALS)
    none = Outcome(AdviceEnding.NO_TRIAL, {"trials": 4})
    page = page_of(setting(advice=advice(advised=None, interval=None, outcome=none, trials=ran)))
    assert page.frame.verdict.headline.case == "headline.setting_none"
    assert page.frame.verdict.standfirst[1] == f"N{none.reason[1:]}."
    sections = {s.id: s for s in page.sections}
    assert sections["code"].text.startswith("No rate is known")
    assert all("0.001 stands" in code for code in sections["code"].figures[0].codes.values())
    assert sections["trials"].heading == "Four of four trials ran away"
    assert max(charts(page)["course"].data["course"]["y"]) == 1.0
    finite(page)


@pytest.mark.parametrize(("training", "schedule"), [(1500, "cosine"), (800, "OneCycleLR")])
def test_a_rate_alone_has_the_page_of_its_trials(training, schedule):
    page = page_of(advice(training=training, schedule=schedule), ABOUT)
    drawn = ["trials", "schedule"] if schedule == "cosine" else ["trials"]  # others have no formula
    assert [s.id for s in page.sections] == drawn
    assert page.frame.verdict.headline.data["steps"] == training
    assert page.frame.kind == "Learning rate"
    shares = [f.value for f in page.frame.verdict.figures if f.unit == "%"]
    assert [float(share) for share in shares] == [pytest.approx(6400 / training, rel=0.02)]
    assert "rules set on other tasks" in page.sections[0].text
    start = page_of(advice(training=None, schedule="constant"))
    assert start.frame.verdict.headline.case == "headline.start"
    assert "lower than this by a factor of 1.07: a parabola" in start.sections[0].text
    assert "other tasks" not in start.sections[0].text
    assert not any(f.unit == "%" for f in start.frame.verdict.figures)


def test_a_rate_by_one_gradient_has_no_trials_to_show():
    numbers = {**RACED, "gradients": 5.0}
    said = Outcome(AdviceEnding.ONE_GRADIENT, numbers)
    one = advice(trials=(), steps=0, cost=1.0, outcome=said, training=100, warmup=0)
    page = page_of(setting(advice=one, noise=None, warmup=0, steps=100), ABOUT)
    assert [s.id for s in page.sections] == ["setting", "code", "schedule"]
    assert page.sections[2].heading == "The rate falls by cosine over 100 steps"
    assert [s.id for s in page_of(one).sections] == ["schedule"]
    finite(page)


@pytest.mark.parametrize(
    "losses", [[2.3], [2.3, -1.0, -4.0], [-1.0, -2.0], [2.3, 1e-9], [0.0, 0.0], [1e30, 1.0]]
)
def test_odd_trials_are_drawn(losses):
    page = page_of(advice(trials=(trial(0.2, losses),), constant_loss=None), ABOUT)
    finite(page)
    for name, rows in (("rates", "ends"), ("steps", "t1")):
        drawn = charts(page)[name]
        encoding = drawn.spec["layer"][-1]["encoding"]
        for way in "xy":
            low, high = encoding[way]["scale"]["domain"]
            assert low < high
            assert min(drawn.data[rows][way]) >= low


def test_the_setting_of_a_run_is_drawn_again(tmp_path):
    """What ``nakami tune`` stores reads back to an equal setting, and to the same page."""
    from nakami.results._parts import typed, untyped

    found = setting()
    again = untyped(json.loads(json.dumps(typed(found))))
    assert again == found
    assert dataclasses.replace(again, steps=1501) != found
    pages = [report.write(each, tmp_path / f"{i}.html") for i, each in enumerate((found, again))]
    assert pages[0].read_bytes() == pages[1].read_bytes()
