"""Spectra, summaries and comparisons against numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nakami.results import (
    Estimate,
    Outcome,
    SpectrumEnding,
    UsageError,
    compare,
    estimate,
    paired_change,
    unknown,
    wrong,
)
from spectra_made_by_hand import spectrum, xray


def test_readings_of_one_spectrum():
    s = spectrum([3.0, 2.0, 1.0, 0.5])
    assert s.count_above_one == 2
    assert s.effective_rank == pytest.approx((9 + 4 + 1 + 0.25) ** 2 / (81 + 16 + 1 + 0.0625))
    assert s.log_sum == pytest.approx(math.log(3 * 2 * 0.5))
    assert s.decay.tolist() == pytest.approx([1, 2 / 3, 1 / 3, 1 / 6])
    assert s.complete


def test_a_truncated_spectrum_gives_lower_bounds():
    whole = [3.0, 2.5, 2.0, 1.5]
    part = spectrum(whole[:2], shape=(4, 4))
    assert not part.complete
    assert part.count_is_lower_bound
    assert part.effective_rank <= spectrum(whole).effective_rank
    assert not spectrum([3.0, 0.5], shape=(4, 4)).count_is_lower_bound
    summary = xray([[3.0, 2.0]], shape=(4, 4)).summary()[0]
    assert summary.count.lower_bound
    assert summary.effective_rank.lower_bound


def test_the_zero_spectrum_has_no_rank_and_no_nan():
    s = spectrum([0.0, 0.0])
    assert s.effective_rank == 0
    assert s.decay.tolist() == [0, 0]
    assert s.log_sum == 0


def test_values_below_the_floor_do_not_count_in_the_log_sum():
    s = replace(spectrum([2.0, 1e-9]), reliable=np.array([True, False]))
    assert s.log_sum == pytest.approx(math.log(2))


def test_a_summary_tells_what_its_sums_and_last_values_are_worth():
    run = xray([[2.0, 1.0, 1e-9], [4.0, 1.0, 1e-9]], shape=(3, 3))
    marks = ([True, True, False], [True, False, False])
    numbers = {"within": 1, "values": 3, "tol": 1e-4, "limited": 2}
    ended = Outcome(SpectrumEnding.LIMITED, numbers)
    floored = [
        replace(s, reliable=np.array(m), floor=4e-8, outcome=ended)
        for s, m in zip(run.spectra, marks, strict=True)
    ]
    row = replace(run, spectra=tuple(floored)).summary()[0]
    assert row.log_sum_terms == (1, 2)
    assert row.decay_is_noise
    assert row.decay_below_floor == 2
    assert row.decay_floor == pytest.approx(2e-8)  # the larger of 4e-8 / 2 and 4e-8 / 4
    assert row.limited == 4
    assert row.complete
    half = replace(run, spectra=(floored[0], run.spectra[1])).summary()[0]
    assert (half.decay_below_floor, half.decay_is_noise, half.limited) == (1, False, 2)
    cut = xray([[2.0, 1.0]], shape=(3, 3)).summary()[0]
    assert (cut.complete, cut.decay_is_noise, cut.limited) == (False, False, 0)


def test_mean_and_sd_by_index():
    run = xray([[3.0, 1.0], [5.0, 2.0], [4.0, 0.0]])
    mean, sd = run.mean_sd("h1")
    assert mean.tolist() == [4, 1]
    assert sd.tolist() == [1, 1]
    assert run.values("h1").shape == (3, 2)
    one = xray([[3.0, 1.0]])
    assert np.isnan(one.mean_sd("h1")[1]).all()


def test_estimates_use_the_sample_divisor():
    e = estimate([1.0, 2.0, 4.0])
    assert e.mean == pytest.approx(7 / 3)
    assert e.sd == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert e.se == pytest.approx(e.sd / math.sqrt(3))


def test_unknown_stage_offers_names():
    with pytest.raises(UsageError, match="stage 'h2' is unknown; nearest: 'h1'"):
        xray([[1.0]]).at("h2")


def test_paired_change_is_a_paired_t_interval():
    before, after = [1.0, 2.0, 3.0, 4.0], [1.5, 3.0, 3.5, 5.5]
    change = paired_change("h1", "count", before, after)
    peer = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (change.low, change.high) == pytest.approx((peer.low, peer.high))
    assert change.verdict == "rises"
    assert paired_change("h1", "count", after, before).verdict == "falls"
    assert paired_change("h1", "count", [1, 2, 3], [2, 1, 3]).verdict == "not distinguishable"
    assert paired_change("h1", "count", [1], [2]).verdict == "not distinguishable"


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_a_verdict_agrees_with_the_interval_beside_it(n):
    rng, seen = np.random.default_rng(n), set()
    for centre in np.linspace(0, 20 / n, 60):
        change = paired_change("h1", "largest", np.zeros(n), rng.normal(centre, 1, n))
        words = "rises" if change.low > 0 else "falls" if change.high < 0 else "not distinguishable"
        assert change.verdict == words
        seen.add((abs(change.mean) > 2 * change.se, words == "not distinguishable"))
    assert {(True, False), (False, True)} <= seen
    assert n > 3 or (True, True) in seen  # two standard errors of few inputs are no evidence


def test_a_verdict_on_truncated_spectra_holds_for_the_whole_ones():
    rng, seen = np.random.default_rng(0), set()
    for scale in np.linspace(0.3, 3, 60):
        whole = [
            np.sort(rng.lognormal(0.1, 0.3, (4, 9)) * s)[:, ::-1].tolist() for s in (1.0, scale)
        ]
        true = compare(*(xray(w) for w in whole))
        for cuts in ((7, 9), (9, 7), (3, 3)):
            cut = [[v[:k] for v in w] for w, k in zip(whole, cuts, strict=True)]
            found = compare(*(xray(w, shape=(9, 9)) for w in cut))
            for quantity in ("count", "effective_rank"):
                change, right = (c.change("h1", quantity) for c in (found, true))
                assert change.low <= right.mean <= change.high or math.isnan(change.low)
                if change.verdict in ("rises", "falls"):
                    assert (right.mean > 0) == (change.verdict == "rises")
                if any(change.bounds):
                    assert change.verdict != "not distinguishable"
                seen.add((quantity, change.bounds, change.verdict))
    assert ("count", (False, True), "rises") in seen
    assert ("count", (True, False), "falls") in seen
    assert ("count", (True, True), "not known") in seen
    assert not {v for _, bounds, v in seen if all(bounds)} - {"not known"}
    assert found.change("h1", "largest").bounds == (False, False)


def test_rounding_is_neither_a_rise_nor_a_fall():
    before = [18.0, 17.0, 21.0]
    rounded = [v * (1 + 1e-15) for v in before]
    assert min(np.subtract(rounded, before)) > 0  # each difference has the same sign
    change = paired_change("h1", "largest", before, rounded)
    assert (change.steady, change.verdict) == (True, "not distinguishable")
    real = paired_change("h1", "largest", before, [v * (1 + 1e-6) for v in before])
    assert (real.steady, real.verdict) == (False, "rises")
    none = paired_change("h1", "count", [0, 0], [0, 0])
    assert (none.steady, none.verdict) == (True, "not distinguishable")


def test_rounding_of_a_sum_that_cancels_is_judged_by_its_terms():
    sums = [0.0, 0.0, 0.0], [1e-15, 1.1e-15, 0.9e-15]
    assert paired_change("h1", "log_sum", *sums, scale=784.0).verdict == "not distinguishable"
    assert paired_change("h1", "log_sum", *sums).verdict == "rises"


def test_compare_takes_runs_or_their_folders():
    run = xray([[1.0]])
    with pytest.raises(TypeError, match=r"before must be a run, or the folder of one, got 1; give"):
        compare(1, run)
    with pytest.raises(TypeError, match=r"after must be a run, or the folder of one, got None"):
        compare(run, None)


def test_compare_needs_the_same_inputs():
    a, b = xray([[2.0, 0.5], [3.0, 2.0]]), xray([[2.0, 1.5], [3.0, 2.0]])
    result = compare(a, b)
    assert result.change("h1").mean == 0.5
    assert result.change("h1", "largest").mean == 0
    other = replace(b, settings={**b.settings, "inputs_sha256": "other"})
    with pytest.raises(UsageError, match="both runs must have the same inputs_sha256"):
        compare(a, other)
    unit = replace(b, settings={**b.settings, "input_unit": "pixel, 0 to 255"})
    with pytest.raises(UsageError, match="both runs must have the same input_unit"):
        compare(a, unit)
    detached = replace(b, settings={**b.settings, "derivative": "detached"})
    with pytest.raises(UsageError, match="the same derivative, got 'exact' and 'detached'"):
        compare(a, detached)
    last = replace(b, settings={**b.settings, "positions": "last"})
    with pytest.raises(UsageError, match="read at the same positions, got 'all' and 'last'"):
        compare(a, last)
    assert compare(last, last).change("h1", "largest").steady
    with pytest.raises(UsageError, match="both runs must share a stage, got h1 and h9"):
        compare(a, xray([[2.0, 0.5], [3.0, 2.0]], stage="h9"))


def test_partial_runs_are_paired_by_input_not_by_position():
    whole = xray([[9.0], [2.0], [5.0], [7.0]])
    a = replace(whole, spectra=whole.spectra[:3])  # inputs 0, 1, 2
    b = replace(whole, spectra=whole.spectra[1:])  # inputs 1, 2, 3
    result = compare(a, b)
    change = result.change("h1", "largest")
    assert change.inputs == (1, 2)
    assert change.before.tolist() == change.after.tolist() == [2, 5]
    assert change.steady
    by_position = a.values("h1") - b.values("h1")  # what this guards against
    assert np.abs(by_position).max() > 0
    for run in (result.before, result.after):  # the means beside it are over the same inputs
        assert run.values("h1").ravel().tolist() == [2, 5]
        assert run.summary()[0].largest == estimate([2, 5])
    with pytest.raises(UsageError, match="a spectrum at the same input and stage, got none in"):
        compare(replace(a, spectra=a.spectra[:1]), b)


def with_reliable(run, *marks):
    pairs = zip(run.spectra, marks, strict=True)
    return replace(run, spectra=tuple(replace(s, reliable=np.array(m)) for s, m in pairs))


def test_log_sums_are_compared_over_indices_reliable_in_both_runs():
    rows = [[4.0, 2.0, 1e-7], [3.0, 1.0, 1e-7]]
    a = with_reliable(xray(rows), [True, True, True], [True, True, False])
    b = with_reliable(xray(rows), [True, True, False], [True, False, False])
    assert a.summary()[0].log_sum != b.summary()[0].log_sum  # sums of other numbers of values
    change = compare(a, b).change("h1", "log_sum")
    assert change.before.tolist() == pytest.approx([math.log(8), math.log(3)])
    assert change.steady
    moved = replace(b, spectra=tuple(replace(s, values=2 * s.values) for s in b.spectra))
    change = compare(a, moved).change("h1", "log_sum")
    assert (change.after - change.before).tolist() == pytest.approx([2 * math.log(2), math.log(2)])


def test_rounding_around_one_is_no_change_of_a_log_sum():
    ones = [[1.0, 1.0]] * 3
    near = [[1 + 2e-16 * i, 1 + 4e-16] for i in (2, 3, 4)]
    change = compare(xray(ones), xray(near)).change("h1", "log_sum")
    assert change.mean > 2 * change.se  # without the guard this were a rise
    assert change.verdict == "not distinguishable"


def test_log_sums_without_a_common_index_are_left_out():
    a = xray([[4.0, 2.0], [3.0, 2.0], [3.0, 2.0]])
    some = with_reliable(a, [False, False], [True, True], [True, False])
    assert compare(a, some).change("h1", "log_sum").inputs == (1, 2)
    none = with_reliable(a, *[[False, False]] * 3)
    assert compare(a, none).find("h1", "log_sum") is None
    assert compare(a, none).find("h1", "count") is not None


def test_a_change_that_is_not_there_is_a_sentence():
    run = xray([[2.0]])
    with pytest.raises(UsageError, match="change 'h2, count' is unknown; nearest"):
        compare(run, run).change("h2")
    assert compare(run, run).find("h2") is None


def test_a_stage_without_spectra_has_no_values():
    run = replace(xray([[2.0]]), spectra=())
    assert run.summary() == ()
    assert run.values("h1").shape == (0, 0)
    assert [v.shape for v in run.mean_sd("h1")] == [(0,), (0,)]
    assert run.n_inputs == 1


def test_the_shape_of_a_message():
    assert str(wrong("k", "lie between 1 and 9", 12, "pass a smaller k")) == (
        "k must lie between 1 and 9, got 12; pass a smaller k."
    )
    assert str(unknown("to", "conv9", ["conv1", "conv2"])) == (
        "to 'conv9' is unknown; nearest: 'conv2', 'conv1'."
    )


def test_runs_print_on_one_line():
    run = xray([[3.0, 0.5], [2.0, 1.0]])
    assert repr(run) == "Xray('by hand': 2 spectra, 2 inputs, stages h1)"
    assert repr(run.spectra[0]) == "Spectrum(input 0, input to h1, 2 x 2, 2 values 3 to 0.5, all)"


def test_an_estimate_says_that_it_is_a_lower_bound():
    assert str(Estimate(50.0, 0.0, 4, lower_bound=True)) == "≥ 50 ± 0"
    assert str(Estimate(12.5, 1.25, 4)) == "12.5 ± 1.25"
    assert str(Estimate(3.0, float("nan"), 1)) == "3"
