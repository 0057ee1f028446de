"""Pages of theory: what they say follows from the numbers of the run."""

import dataclasses

import numpy as np
import pytest

from nakami.cli import _phase_tables, _plateau_tables
from nakami.report.page._kinds import page_of
from nakami.sampling import study as sampled
from nakami.theory import phase, plateau

pytestmark = pytest.mark.usefixtures("one_diagram_of_each_margin")


def section(page, name):
    return next(s for s in page.sections if s.id == name)


@pytest.fixture(scope="module")
def plateaus():
    return plateau.study([2, 3], starts=1)


@pytest.fixture(scope="module")
def kernels():
    return sampled([1.5])


@pytest.mark.parametrize(
    ("length", "trend", "headline", "may"),
    [
        ([574.0], "one", "With 2 outputs, learning stands still for 574", "nothing about other"),
        ([574.0, 38.5], "falls", "falls from 574 to 38.5", "That more outputs shorten"),
        ([0.0, 67.3], "rises", "rises from 0 to 67.3", "did not shorten"),
        ([5.0, 5.0], "stays", "equally long: 5", "do not differ"),
        ([574.0, 13.6, 48.3], "turns", "neither only falls nor only rises", "scatter"),
    ],
)
def test_the_headline_of_plateaus_is_that_of_the_lengths(plateaus, length, trend, headline, may):
    numbers = np.arange(2, 2 + len(length))
    by = plateaus.by_outputs
    whole = {name: np.resize(getattr(by, name), len(length)) for name in by.columns}
    by = plateau.ByOutputs(**whole | {"outputs": numbers, "length": np.array(length)})
    found = dataclasses.replace(plateaus, by_outputs=by)
    assert found.by_outputs.trend == trend
    page = page_of(found)
    assert headline in page.frame.verdict.headline
    lengths = section(page, "length")
    assert len(lengths.may) == 1
    assert may in lengths.may[0]
    assert bool(lengths.do) == (trend == "falls")
    caption = _plateau_tables.tables(found)[0].caption
    assert caption.endswith(_plateau_tables.TRENDS[trend])


def test_one_number_of_outputs_stands_in_the_middle_of_its_axis(plateaus):
    by = plateaus.by_outputs
    one = plateau.ByOutputs(**{name: getattr(by, name)[:1] for name in by.columns})
    chart = section(page_of(dataclasses.replace(plateaus, by_outputs=one)), "length").figures[0]
    assert "[1.0, 3.0]" in str(chart.charts[0].spec)


def test_labels_are_compared_by_the_errors_of_the_run():
    few = section(page_of(phase.study(0.5, [0.1], [0, 5], points=0)), "labels")
    assert few.heading == "At β 5, 0.01 labels for each weight reach what 2 do not at β 0"
    many = section(page_of(phase.study(0.2, [0.1], [0, 5], points=0)), "labels")
    assert many.heading == "At β 5, 0.01 labels for each weight do not reach what 2 do at β 0"
    known = phase.state_evolution(0.2, [0.01, 2.0], [5.0, 0.0]).bayes_error
    said = [many.text.data["with_few"], many.text.data["with_many"]]
    assert said == pytest.approx(known.tolist(), abs=2e-3)
    one = section(page_of(phase.study(0.5, [0.1], [3], points=0)), "labels")
    assert "nothing is compared" in one.text


def test_what_is_said_of_jumps_is_said_where_there_are_some():
    smooth = page_of(phase.study(0.7, [0.1, 0.5], [3], points=1, dimension=60))
    jump = section(smooth, "jump")
    assert "without a jump" in smooth.frame.verdict.headline
    assert "jump" not in jump.figures[0].caption
    assert "at once" not in jump.may[0]
    assert not jump.do
    late = page_of(phase.study(0.5, [0.5, 0.1], [3], points=0))  # the second alpha jumps
    assert "jumps at β 3.96" in late.frame.verdict.headline
    assert "at once" in section(late, "jump").may[0]
    assert "Points" not in section(late, "jump").figures[0].caption


@pytest.mark.parametrize("kappa", [0.2, 0.5])
def test_below_a_margin_of_a_third_the_better_state_comes_before_beta_c(kappa):
    found = phase.study(kappa, [0.1], [3], points=0)
    before = phase.transition(kappa, 0.0).beta_t
    early = before < found.diagram.weak_recovery
    assert early == (kappa < 0.338)
    caption = _phase_tables.tables(found)[0].caption
    assert "tell nothing" not in caption
    assert (f"likelier one from β {before:.4g} on" in caption) == early
    page = page_of(found)
    labels = [figure.label for figure in page.frame.verdict.figures]
    assert any("does not find it" in label for label in labels) == early
    assert ("likelier one before" in section(page, "diagram").text) == early


def test_instances_that_did_not_settle_are_hollow_and_say_in_which_stage():
    found = phase.study(0.5, [0.5], [3], points=2, dimension=40)
    instances = dataclasses.replace(
        found.instances,
        converged=np.array([True, False]),
        unsettled=np.array(["", "fine-tuning"]),
    )
    page = page_of(dataclasses.replace(found, instances=instances))
    figure = section(page, "jump").figures[0]
    assert "Hollow: 1 of 2 whose message passing did not settle" in figure.caption
    fills = [
        set(c["fill"]) for c in figure.charts[0].data.values() if "fill" in c and len(c["x"]) == 1
    ]
    assert fills == [{"var(--d1)"}, {"var(--paper)"}]
    assert [row[-1] for row in page.frame.tables[1].rows] == ["none", "fine-tuning"]
    shown = _phase_tables.tables(dataclasses.replace(found, instances=instances))[1].rows
    assert [str(row[-1]).partition(" ")[2] for row in shown] == [
        "",
        "(fine-tuning: no fixed point)",
    ]


def test_what_is_said_of_kernels_follows_from_their_times_and_biases(kernels):
    found = kernels
    page = page_of(found)
    assert "Summing the hidden units out does" in page.frame.verdict.standfirst[0]
    assert "harms the first step" in page.frame.verdict.standfirst[1]
    assert len(section(page, "times").may_not) == 2
    assert section(page, "bias").do
    slow = {"collapsed Gibbs": 100.0, "Metropolis given h": 50.0}
    times = tuple(
        dataclasses.replace(one, time=one.time * slow.get(one.kernel, 1.0)) for one in found.times
    )
    low = {"collapsed Suwa-Todo": 0.1}
    bias = tuple(
        dataclasses.replace(one, bias=one.bias * low.get(one.kernel, 1.0)) for one in found.bias
    )
    other = page_of(dataclasses.replace(found, times=times, bias=bias))
    assert "does not make chains the fastest" in other.frame.verdict.standfirst[0]
    assert "do not harm" in other.frame.verdict.standfirst[1]
    assert len(section(other, "times").may_not) == 1
    assert "no worse here" in section(other, "bias").heading
    assert not section(other, "bias").do


def test_kernels_are_told_apart_by_colour_and_dashes(kernels):
    found = kernels
    chart = section(page_of(found), "times").figures[0].charts[0]
    looks = {(c["stroke"][0], c["fill"][0]) for c in chart.data.values() if "stroke" in c}
    assert len(looks) == len(found.times)
    assert len({stroke for stroke, _ in looks}) == 3
