"""Estimates of what was not computed, on the page: never without their doubt, never as bounds."""

from __future__ import annotations

import dataclasses

import pytest

from nakami.report.page._kinds import page_of
from nakami.results import Remainder, compare


def probed(run, above):
    """The run, of which each cut spectrum has an estimate; ``above`` by stage, in order."""
    bounds = dict(zip(run.names, above, strict=True))
    found = []
    for s in run.spectra:
        shift = s.input % 3
        rest = Remainder(
            size=min(s.shape) - len(s.values), squares=50.0, fourths=60.0,
            covariance=(1.0, 1.0, 2.0), above=tuple(v + shift for v in bounds[s.stage]),
            exact=False, n_probes=8, n_deep=2, steps=24, n_products=108,
        )  # fmt: skip
        found.append(dataclasses.replace(s, remainder=rest))
    return dataclasses.replace(run, spectra=tuple(found))


@pytest.fixture(scope="module")
def cut(make):
    """Two stages, 60 of 784 values computed, all above 1."""
    options = {"stages": 2, "k": 60, "gain": 9.0, "rate": 9e3, "inputs": 4}
    return lambda *above, **more: probed(make(**options, **more), above)


def page(what):
    made = page_of(what)
    return made, {s.id: s for s in made.sections}


def test_counts_are_told_as_intervals(cut):
    made, sections = page(cut((300.0, 340.0), (100.0, 130.0)))
    headline = str(made.frame.verdict.headline)
    assert headline.startswith("About 1")
    assert " of 784 directions survive to hidden2" in headline
    told = " ".join(map(str, made.frame.verdict.standfirst))
    assert "with 95\u00a0% intervals" in told
    assert "falls from about 3" in told
    assert "at least" not in told
    assert "lower bound" not in told
    assert "The count falls from about 3" in str(sections["kept"].heading)


def test_figures_mark_estimates(cut):
    _, sections = page(cut((300.0, 340.0), (100.0, 130.0)))
    figure = sections["kept"].figures[0]
    charts = {c.name: c.data["after"] for c in figure.charts}
    assert set(charts["count"]["shape"]) == {"diamond"}
    for rows in charts.values():
        ends = zip(rows["least"], rows["m"], rows["most"], strict=True)
        assert all(low < mean < high for low, mean, high in ends)
    labels = figure.charts[0].data["labels"]["t"]
    assert all(text.startswith("≈ ") for text in labels)
    assert "Diamonds and ≈\u00a0mark estimates" in figure.caption
    assert "lower bounds" not in figure.caption


def test_ends_far_apart_have_no_middle(cut):
    made, sections = page(cut((300.0, 340.0), (20.0, 600.0)))
    assert str(made.frame.verdict.headline).startswith("Between ")
    assert "between " in " ".join(map(str, made.frame.verdict.standfirst))
    assert "does not change distinguishably" in str(sections["kept"].heading)


def test_counts_without_an_upper_end_stay_bounds_and_ranks_are_estimates(cut):
    made, sections = page(cut((300.0, 340.0), (200.0, 724.0)))
    assert str(made.frame.verdict.headline).startswith("At least ")
    assert str(sections["kept"].heading).startswith("At least ")
    mixed, kept = page(cut((200.0, 724.0), (300.0, 340.0)))
    assert str(kept["kept"].heading).startswith("About ")
    assert "the rest is estimated" in " ".join(map(str, mixed.frame.verdict.standfirst))
    text = str(sections["kept"].text)
    assert "random probes find a lower bound of the counts where marked" in text
    charts = {c.name: c.data["after"]["shape"] for c in sections["kept"].figures[0].charts}
    assert charts == {"count": ["diamond", "triangle-up"], "rank": ["diamond", "diamond"]}


def test_the_tables_say_which_figures_are_estimates(cut):
    made, _ = page(cut((300.0, 340.0), (100.0, 130.0)))
    how = {row[0]: row[1] for row in made.frame.how.rows}
    assert how["Lower bounds"] == "none"
    assert how["Estimates"].startswith("counts at hidden1, hidden2; effective ranks at hidden1")
    assert how["Estimates"].endswith(
        "8 random probes a spectrum, two of them with up to 24 Lanczos steps"
    )
    counts = [row for row in made.frame.tables[0].rows if row[1] == "directions with s > 1"]
    assert all(" to " in str(row[3]) for row in counts)


def test_two_networks_are_compared_by_intervals(cut):
    old = cut((300.0, 340.0), (100.0, 130.0), label="a/old")
    new = cut((320.0, 360.0), (300.0, 330.0), label="a/new")
    made, sections = page(compare(old, new))
    gain = made.frame.verdict.figures[1]
    assert (gain.value, gain.unit) == ("+170", "to +230")
    assert "95 % interval" in gain.label
    assert "More directions kept at hidden2 in new than in old" in str(sections["compared"].heading)
    labels = sections["compared"].figures[1].charts[0].data["mean"]
    assert labels["t"] == ["\u221220 to +60", "+170 to +230"]
    assert "what the probes leave open" in sections["compared"].figures[1].caption
