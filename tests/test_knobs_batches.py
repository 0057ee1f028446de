"""Critical batches: the fit against curves that are known, the window, the search, resuming."""

import numpy as np
import pytest

batches = pytest.importorskip("benchmarks.knobs.batches", reason="the benchmarks are not installed")
from benchmarks.knobs import batches_fit, batches_tables, tasks  # noqa: E402

SIZES = np.array([8.0, 32.0, 128.0, 512.0])


@pytest.mark.parametrize(("s_min", "b_crit"), [(100.0, 10.0), (37.0, 64.0), (500.0, 700.0)])
def test_a_curve_without_noise_is_found(s_min, b_crit):
    found = batches_fit.fit(SIZES, s_min * (1 + b_crit / SIZES))
    assert found.s_min == pytest.approx(s_min, rel=1e-4)
    assert found.b_crit == pytest.approx(b_crit, rel=1e-4)
    assert found.inside
    assert found.residual < 1e-6
    examples, least = SIZES * found.steps(1.0) / found.steps(1.0), found.s_min * found.b_crit
    steps = np.array([found.steps(b) for b in SIZES])
    examples = SIZES * steps
    assert (steps / found.s_min - 1) * (examples / least - 1) == pytest.approx(np.ones(4), rel=1e-3)


def test_the_error_is_that_of_repeated_measurements():
    g, curve = np.random.default_rng(0), 100 * (1 + 60 / SIZES)
    sizes = np.tile(SIZES, 2)
    found = [
        batches_fit.fit(sizes, np.tile(curve, 2) * np.exp(0.1 * g.standard_normal(8)))
        for _ in range(60)
    ]
    logs = np.log([one.b_crit for one in found])
    assert abs(logs.mean() - np.log(60)) < 4 * logs.std() / 60**0.5
    said = np.sqrt(np.mean(np.log([one.factor for one in found]) ** 2))
    assert said == pytest.approx(logs.std(), rel=0.3)


@pytest.mark.parametrize("steps", [1e4 / SIZES, 100 + 0 * SIZES])
def test_batches_that_cannot_tell_say_so(steps):
    assert not batches_fit.fit(SIZES, steps).inside


def test_the_lower_bound_is_exceeded_as_often_as_two_standard_errors():
    g, sizes = np.random.default_rng(1), np.tile(SIZES, 2)
    for b_crit in (60.0, 3000.0):  # the second beyond the batches
        curve = 100 * (1 + b_crit / sizes)
        found = [
            batches_fit.fit(sizes, curve * np.exp(0.1 * g.standard_normal(8))) for _ in range(40)
        ]
        assert all(one.at_least <= one.b_crit * 1.001 for one in found)
        assert sum(one.at_least <= b_crit for one in found) >= 36


def test_the_window_of_examples_and_its_middle():
    losses = np.arange(100.0, 0, -1)  # the mean of 10 from step t on is 95.5 - t
    assert batches.crossing(losses, 50.0, 10) == 46 + 5
    assert batches.crossing(losses, 50.0, 1) == 50.5
    assert batches.crossing(losses, 1.0, 10) is None
    assert batches.crossing(losses[:5], 1000.0, 10) is None


def test_smoothing_makes_batches_comparable():
    g, wanted = np.random.default_rng(0), []
    for factor in batches.FACTORS:  # the same course in examples, noise of single examples
        steps = np.arange(int(800 / factor)) * factor
        noise = g.standard_normal((20, len(steps))) * 0.2 / factor**0.5
        window = round(batches.WINDOW / factor)
        each = [batches.crossing(np.exp(-steps / 200) + n, 0.2, window) for n in noise]
        wanted.append(np.mean([one * factor for one in each]))
    assert wanted == pytest.approx(wanted[1] * np.ones(4), rel=0.06)  # 5 steps at the largest
    single = batches.crossing(
        np.exp(-np.arange(3200) / 800) + 0.2 * g.standard_normal(3200), 0.2, 1
    )
    assert single * 0.25 < 0.7 * wanted[1]  # without a window, small batches would seem fast


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A store, and runs by a parabola in place of trainings."""
    if lacking := tasks.missing("friedman"):
        pytest.skip(lacking)
    ran = []

    def run(which, each, factor, place, seed, limits):
        ran.append((factor, place, seed))
        steps = 400 * 4**-factor * (1 + (place + 2) ** 2)
        return {"steps": steps if steps <= limits[1] else None, "ran": 1, "cpu_s": 0.0}

    monkeypatch.setattr(batches, "run", run)
    monkeypatch.setattr(batches, "noise", lambda *_: {"tune": [3.0, 1.0, 2.0], "cpu_s": 0.0})
    return batches.Store(tmp_path / "batches.json"), ran


def test_the_search_walks_until_the_best_is_inside_and_goes_on_where_it_stopped(made):
    store, ran = made
    search = batches.Search(store, "friedman", "adamw", 0.25, 0)
    search.complete()
    assert search.best() == -2
    assert search.place() == pytest.approx(-2.0, abs=0.2)
    places = [place for _, place, _ in ran]
    assert {-3, -2, -1} <= set(places)
    assert len(set(places)) == len(places)
    again = batches.Store(store.path)
    key = next(key for key in again.runs if key.split("|")[3] == "-2")
    del again.runs[key]
    batches.Search(again, "friedman", "adamw", 0.25, 0).complete()
    assert ran[len(places) :] == [(0.25, -2, 0)]


def test_what_is_there_is_not_run_again(made):
    store, ran = made
    batches.complete(store, ["friedman"], [0, 1], ["adamw"])
    count = len(ran)
    batches.complete(batches.Store(store.path), ["friedman"], [0, 1], ["adamw"])
    assert len(ran) == count
    text = batches_tables.report(store)
    assert "friedman, adamw" in text


def test_a_run_reaches_the_committed_courses_target():
    if lacking := tasks.missing("friedman"):
        pytest.skip(lacking)
    which, (target, place) = tasks.task("friedman"), batches.target_of("friedman", "adamw")
    course = batches.courses("friedman", "adamw")[place][0]
    loss = float(course[6:14].mean())  # steps 60 to 139: their middle is 100
    assert loss > target
    found = batches.run(which, "adamw", 1.0, place, 0, (loss, 3600))
    by_blocks = batches.crossing(course, loss, 8) * 10
    assert found["steps"] == pytest.approx(by_blocks, abs=10)
    stopped = batches.run(which, "adamw", 1.0, place, 0, (0.0, 50))
    assert stopped["steps"] is None
    assert stopped["ran"] == 90


def test_no_held_back_task():
    assert {tasks.PROTOCOL["task"][name]["role"] for name in batches.NAMES} == {"development"}


def test_what_tune_says_of_the_critical_batch_is_what_was_measured():
    if lacking := [words for name in batches.NAMES if (words := tasks.missing(name))]:
        pytest.skip(lacking[0])
    from nakami.geometry.setting._choices import CRITICAL

    store = batches.Store()
    every = [batches_tables.found_of(store, name, "adamw") for name in batches.NAMES]
    logs = batches_tables.ratios(every, "tune", "adamw", bounds=True)
    assert len(logs) == CRITICAL["tasks"]
    assert np.exp(logs.min()) == pytest.approx(CRITICAL["least"], rel=0.1)
    assert np.exp(np.median(logs)) == pytest.approx(CRITICAL["middle"], rel=0.1)
    assert 1.5 < np.exp(batches_tables.ratios(every, "after", "adamw").mean()) < 3
