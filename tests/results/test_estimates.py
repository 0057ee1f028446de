"""Estimates of what was not computed: their intervals, on disk, in summaries and comparisons."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nakami.results import Remainder, RunFolder, compare, estimate, load, span
from spectra_made_by_hand import settings, spectrum, xray

REST = Remainder(
    size=96, squares=100.0, fourths=300.0, covariance=(4.0, 10.0, 36.0), above=(30.0, 40.0),
    exact=False, n_probes=8, n_deep=2, steps=24, n_products=108, seed=3,
)  # fmt: skip


def cut(above=(30.0, 40.0), **more):
    """Four values of a hundred, all above 1, and an estimate of the others."""
    rest = replace(REST, above=above, **more)
    return replace(spectrum([5.0, 4.0, 3.0, 2.0], shape=(100, 200)), remainder=rest)


def run_of(spectra):
    """A run with one stage."""
    base = xray([[5.0, 4.0, 3.0, 2.0]] * len(spectra), shape=(100, 200))
    return replace(base, spectra=tuple(replace(s, input=i) for i, s in enumerate(spectra)))


def test_a_cut_spectrum_is_read_with_what_was_left():
    s = cut()
    assert s.count_above_one == 4 + 35
    assert s.count_open == 5
    low, high = s.count_interval
    assert 4 < low < 34 < 44 < high < 100
    one, two = 54 + 100, 625 + 256 + 81 + 16 + 300
    assert s.effective_rank == pytest.approx(one**2 / two)
    low, high = s.effective_rank_interval
    variance = 4 * 4 / one**2 - 2 * 2 * 10 / (one * two) + 36 / two**2
    half = stats.t(7).ppf(0.975) * variance**0.5
    assert np.log([low, high]) == pytest.approx(np.log(one**2 / two) + np.array([-half, half]))
    assert (s.count_is_lower_bound, s.rank_is_lower_bound, s.complete) == (False,) * 3


def test_the_interval_of_a_count_is_that_of_the_beta_distribution():
    low, high = replace(REST, above=(30.0, 40.0)).above_interval
    share = lambda c: stats.beta(c, 96 - c)  # noqa: E731 (two probes: twice half of each)
    assert share(low).sf(30 / 96) == pytest.approx(0.025, rel=1e-3)
    assert share(high).cdf(40 / 96) == pytest.approx(0.025, rel=1e-3)
    assert replace(REST, above=(0.0, 96.0)).above_interval == (0, 96)
    assert replace(REST, exact=True).above_interval == (30, 40)


def test_a_last_value_below_one_leaves_no_count_open():
    s = replace(spectrum([3.0, 0.5], shape=(100, 200)), remainder=REST)
    assert (s.count_above_one, s.count_interval, s.count_open) == (1, (1, 1), 0)
    assert s.effective_rank_interval[0] < s.effective_rank < s.effective_rank_interval[1]


def test_without_an_estimate_bounds_stay_bounds():
    s = replace(cut(), remainder=None)
    assert s.count_above_one == 4
    assert s.count_is_lower_bound
    assert s.rank_is_lower_bound
    assert s.count_interval == (4, 100)
    assert s.effective_rank_interval == (pytest.approx(54**2 / 978), 100)
    row = run_of([s]).summary()[0]
    assert (row.count.interval, row.effective_rank.interval) == (None, None)


def test_intervals_stay_within_what_is_possible():
    wide = cut(covariance=(1e6, 0.0, 1e8), above=(0.0, 96.0))
    low, high = wide.effective_rank_interval
    assert (low, high) == (pytest.approx(54**2 / 978), 100)
    assert wide.count_interval == (4, 100)


def test_a_count_without_an_upper_end_is_a_lower_bound():
    s = cut(above=(20.0, 96.0))
    low, high = s.count_interval
    assert 4 < low < 24
    assert high == 100
    assert s.count_is_lower_bound
    assert s.count_above_one == int(low)
    row = run_of([s]).summary()[0]
    assert str(row.count) == f"≥ {int(low)}"
    assert not row.effective_rank.lower_bound
    assert not cut(above=(70.0, 96.0)).count_is_lower_bound  # an end at all of them that says much
    change = compare(run_of([s] * 3), run_of([cut()] * 3)).change("h1", "count")
    assert (change.bounds, change.estimated, change.verdict) == (
        (True, False),
        (False, True),
        "not known",
    )


def test_a_stored_estimate_is_read_back_and_older_pieces_have_none(tmp_path):
    folder = RunFolder(tmp_path, settings(1, 2))
    folder.write_input(0, np.zeros(2, dtype=np.float32))
    folder.write(cut())
    run = folder.finish()
    assert run.spectra[0].remainder == REST
    again = load(tmp_path)
    assert again.spectra[0].remainder == REST
    assert again.summary()[0].count.interval == run.summary()[0].count.interval
    summary = json.loads((tmp_path / "result.json").read_text())["summary"][0]
    assert summary["count"]["interval"] == list(run.summary()[0].count.interval)
    piece = next((tmp_path / "pieces").glob("0000-h1")) / "result.json"
    record = json.loads(piece.read_text())
    del record["remainder"], record["sha256"]
    piece.write_text(json.dumps(record))
    assert load(tmp_path).spectra[0].count_is_lower_bound


def test_a_summary_has_the_interval_of_its_mean():
    spectra = [cut(), cut(above=(32.0, 38.0))]
    row = run_of(spectra).summary()[0]
    ends = np.mean([s.count_interval for s in spectra], axis=0)
    assert row.count.interval == pytest.approx(tuple(ends))
    assert not row.count.lower_bound
    assert str(row.count) == f"{span(*ends)} ± 0"
    flat = run_of(spectra).rows()[0]
    assert (flat["count_low"], flat["count_high"]) == pytest.approx(tuple(ends))
    assert flat["effective_rank_low"] < flat["effective_rank"] < flat["effective_rank_high"]
    assert flat["count_lower_bound"] is False
    whole = xray([[3.0, 2.0]]).rows()[0]
    assert whole["count_low"] == whole["count_high"] == whole["count"]
    mixed = run_of([cut(), replace(cut(), remainder=None)]).summary()[0].count
    assert (mixed.lower_bound, mixed.interval) == (True, None)


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((12312.4, 13477.2), "12,300 to 13,500"),
        ((931.3, 150528.0), "930 to 150,528"),
        ((35418.2, 150528.0), "35,000 to 150,528"),
        ((11.8712, 12.1438), "11.87 to 12.15"),
        ((0.0, 3.27), "0 to 3.3"),
        ((-4.12, 13.5), "-4.2 to 14"),
        ((0.011234, 0.012345), "0.0112 to 0.0124"),
        ((7.0, 7.0), "7"),
        ((35184.0, 35184.0), "35,184"),
    ],
)
def test_intervals_in_words_are_rounded_outwards(ends, text):
    assert span(*ends) == text


def test_estimates_compare_with_finite_ends_and_what_bounds_leave_open():
    old = run_of([cut(above=(30.0, 40.0))] * 4)
    new = run_of([cut(above=(36.0, 44.0))] * 4)
    near = compare(old, new).change("h1", "count")
    assert (near.mean, near.open) == (5, 9)
    assert (near.low, near.high) == (-4, 14)
    assert near.verdict == "not distinguishable"
    far = compare(old, run_of([cut(above=(60.0, 70.0))] * 4)).change("h1", "count")
    assert (far.low, far.high, far.verdict) == (20, 40, "rises")
    assert far.estimated == (True, True)
    rank = compare(old, new).change("h1", "effective_rank")
    assert (rank.open, rank.estimated, rank.bounds) == (0, (True, True), (False, False))
    bound = compare(run_of([replace(cut(), remainder=None)] * 4), new).change("h1", "count")
    assert (bound.low, bound.bounds, bound.verdict) == (-np.inf, (True, False), "not known")
    assert bound.estimated == (False, True)


def test_an_estimate_without_doubt_has_no_interval():
    assert estimate([3.0, 4.0], intervals=[(3.0, 3.0), (4.0, 4.0)]).interval is None
