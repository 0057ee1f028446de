"""Advice by the second protocol: regret and its rules, the grid's runs, held-back runs, report."""

import json
import math

import numpy as np
import pytest
import torch

advice = pytest.importorskip("benchmarks.knobs.advice", reason="the benchmarks are not installed")
from benchmarks.knobs import methods, score, summary, sweep, tasks  # noqa: E402

STEPS = 20


def made(folder, finals, horizon="200", validations=None):
    """A case of friedman with momentum whose grid has these final losses, by place and seed."""
    case = sweep.Case("friedman", "momentum", folder)
    for place, seeds in finals.items():
        for seed, value in enumerate(seeds):
            kept = (validations or finals)[place][seed]
            case.runs[f"{horizon}|{place}|{seed}"] = {
                "final": {horizon: value},
                "validation": {} if value is None else {horizon: kept},
                "cpu_s": 2.0,
            }
    return case


@pytest.mark.parametrize(
    ("final", "regret", "passed", "fall"),
    [
        ([2.0, 4.0], 0.0, True, 1.0),
        ([2 * math.exp(0.09), 4 * math.exp(0.1)], 0.095, True, None),
        ([2 * math.exp(0.21), 4.0], 0.105, False, None),
        ([1.0, 2.0], -math.log(2), True, (9 / 8 + 8 / 6) / 2),
        ([2.0, None], None, False, None),
        ([None, None], None, False, None),
    ],
)
def test_regret_is_the_mean_log_ratio_to_the_best_rate(tmp_path, final, regret, passed, fall):
    validations = {-6: (1.0, 1.0), -5: (3.0, 5.0), -4: (9.0, 9.0)}
    grid = made(
        tmp_path, {-6: (3.0, 3.5), -5: (2.0, 4.0), -4: (1.0, None)}, validations=validations
    )
    found = score.judged(grid, "200", final, final, constant=10.0)
    assert found["passed"] is passed
    if regret is None:
        assert found["regret"] is found["validation_regret"] is found["share_of_fall"] is None
        return
    assert found["regret"] == pytest.approx(regret)  # against -5: at -4 a seed diverged
    assert found["validation_regret"] == pytest.approx(np.log(final).mean())  # against -6
    if fall is not None:
        assert found["share_of_fall"] == pytest.approx(fall)


def test_losses_below_the_floor_are_equal_and_a_best_that_does_not_fall_has_no_share(tmp_path):
    grid = made(tmp_path, {-6: (1e-13, 1e-14)})
    assert score.judged(grid, "200", [1e-15, 1e-12], [1.0, 1.0], 1.0)["regret"] == 0
    assert score.share_of_fall([1.0, 1.0], np.log([2.0, 0.5]), 1.0) is None


def test_the_constant_has_the_smallest_mean_regret_of_the_other_tasks():
    curves = {
        "a": {-6: 0.3, -5: 0.0, -4: 0.2, -3: math.inf},
        "b": {-7: 0.4, -6: 0.1, -5: 0.0, -4: 0.5},
        "c": {-9: 0.2, -8: 0.0, -7: 0.3, -6: 0.8},  # goes on by 0.5 for each place
        "d": {},
    }
    assert score.constant_place(curves) == -6  # 0.4 on average; at -5 0.433
    assert score.constant_place({**curves, "c": {-6: 0.8, -5: 0.9}}) == -5
    assert score.constant_place(curves, without="c") == -5
    assert score._continued(curves["c"], -4) == pytest.approx(1.8)
    assert score._continued(curves["a"], -1) == math.inf
    assert score._continued({-6: 0.1, -5: 0.0, -4: 0.05}, -9) == pytest.approx(0.4)
    assert score._continued({-6: 0.1, -5: 0.3}, -9) == 0.1  # never better further out


@pytest.fixture
def short(tmp_path, monkeypatch):
    """A grid of one rate on a task of twenty steps, whose runs took nine seconds."""
    monkeypatch.setitem(tasks.PROTOCOL["horizon"]["200"], "steps", STEPS)
    which = tasks.task("committee")
    grid = sweep.Case("committee", "momentum", tmp_path)
    for seed in (0, 1):
        run = sweep.train(which, "momentum", seed, sweep.rate(-5), "200")
        grid.runs[f"200|-5|{seed}"] = {**run, "cpu_s": 9.0}
    return which, grid


def told(monkeypatch, says, **asks):
    monkeypatch.setitem(methods.METHODS, "told", methods.Method(says, "torch", **asks))


def test_a_rate_of_the_grid_takes_its_run_and_another_is_trained_alike(short, monkeypatch):
    which, grid = short
    rates = [sweep.rate(-5) * (1 + 1e-11), sweep.rate(-5) * (1 + 1e-8)]
    told(monkeypatch, lambda asked: methods.Said(rates[asked.seed], 4.0, {"seed": asked.seed}))
    found = advice.judge(which, "momentum", "200", "told", grid)
    assert [run["place"] for run in found["runs"]] == [-5, None]
    assert found["runs"][0]["cpu_s"] == 9.0
    assert found["runs"][1]["cpu_s"] < 9.0
    assert found["regret"] == pytest.approx(0, abs=1e-6)
    assert (found["passed"], found["cost_share"]) == (True, 4 / STEPS)
    assert found["training_cpu_s"] == 9.0
    again = sweep.train(which, "momentum", 0, sweep.rate(-5), "200")
    assert found["runs"][0]["final"] == again["final"]["200"]
    assert found["runs"][0]["validation"] == again["validation"]["200"]


def test_seconds_of_longer_runs_count_by_their_steps(tmp_path):
    grid = made(tmp_path, {-6: (1.0, 1.0), -5: (1.0, None)}, horizon="1500")
    assert score.training_seconds(grid, "1500") == 2.0
    assert score.training_seconds(grid, "200") == pytest.approx(2.0 * 200 / 1500)


@pytest.mark.parametrize("rate", [None, math.nan, math.inf, 0.0, -1.0, 1 / 3])
def test_no_usable_rate_fails_and_says_so(short, monkeypatch, rate):
    which, grid = short
    told(monkeypatch, lambda asked: 1 / 0 if rate == 1 / 3 else methods.Said(rate, 0.0, {}))
    before = torch.random.get_rng_state()
    found = advice.judge(which, "momentum", "200", "told", grid)
    assert (found["regret"], found["passed"]) == (None, False)
    assert [run["refused"] for run in found["runs"]] == [True, True]
    json.dumps(found, allow_nan=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    if rate == 1 / 3:
        assert found["runs"][0]["more"] == {"failed": "ZeroDivisionError: division by zero"}


def test_a_setting_of_its_own_is_trained_as_it_says_once_for_all_optimizers(short, monkeypatch):
    which, grid = short
    calls = []

    def says(asked):
        def make(task, model, seed):
            calls.append(seed)
            steps = torch.optim.SGD(model.parameters(), lr=sweep.rate(-5), momentum=0.9)
            return sweep.Update(steps, None, lambda *_: 7.0)

        return methods.Own(make, {"setting": "SGD"})

    told(monkeypatch, says, same=True)
    held = advice.Held("development", grid.path.parent)
    found = advice.judge(which, "momentum", "200", "told", grid)
    assert found["regret"] == 0
    assert [run["validation"] for run in found["runs"]] == [7.0, 7.0]
    held.cases["told/200/committee/momentum"] = found
    twin = advice.twin(held, "told", "200", "committee", "adamw")
    assert advice.judge(which, "adamw", "200", "told", grid, twin)["runs"] == found["runs"]
    assert calls == [0, 1]
    assert advice.twin(held, "nakami", "200", "committee", "adamw") is None


def test_a_run_stands_for_another_schedule_of_its_length_where_none_is_followed(
    tmp_path, monkeypatch
):
    held = advice.Held("development", tmp_path)
    held.cases["told/1500/ages/adamw"] = {"regret": 1.0}
    told(monkeypatch, None, unscheduled=True)
    assert advice.twin(held, "told", "1500-cosine", "ages", "adamw") == {"regret": 1.0}
    assert advice.twin(held, "told", "1500-cosine", "ages", "momentum") is None
    assert advice.twin(held, "told", "6000-cosine", "ages", "adamw") is None
    told(monkeypatch, None)
    assert advice.twin(held, "told", "1500-cosine", "ages", "adamw") is None


@pytest.mark.parametrize("method", ["Prodigy", "schedule-free", "DoG"])
@pytest.mark.parametrize("name", ["momentum", "adamw"])
def test_settings_of_peers_train(short, method, name):
    pytest.importorskip(methods.METHODS[method].package)
    which, _ = short
    model = which.model(0)
    asked = methods.Asked(which, model, tasks.optimizer(name, model, 1e-3), name, "200", 0)
    said = methods.advise(method, asked)
    run = sweep.train(which, name, 0, math.nan, "200", said.make)
    assert np.isfinite([run["final"]["200"], run["validation"]["200"]]).all()


def test_an_interrupted_run_goes_on_with_what_is_missing(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(advice, "judge", lambda *given: done.append(given[1:4]) or {"regret": 0.5})
    asked = {"methods": ["defaults", "DoG"], "horizons": ["200"], "tasks": ["friedman", "waves"]}
    held = advice.Held("development", tmp_path)
    held.begin(asked, "", anew=False)
    assert not advice.run(held, {**asked, "tasks": ["friedman"]}, minutes=-1)
    assert advice.run(held, {**asked, "tasks": ["friedman"]})
    assert len(done) == 4
    held = advice.Held("development", tmp_path)
    held.begin(asked, "", anew=False)
    held.end(advice.run(held, asked))
    assert len(done) == 8
    held = advice.Held("development", tmp_path)
    assert [each["whole"] for each in held.runs] == [True]
    assert len(held.cases) == 8


def test_held_back_tasks_are_not_run_again_without_a_reason(tmp_path):
    asked = {"methods": ["nakami"], "horizons": ["200"], "tasks": ["parity"]}
    first = advice.Held("held back", tmp_path)
    first.begin(asked, "", anew=False)
    first.cases["nakami/200/parity/adamw"] = {"regret": 0.0}
    first.write()
    first = advice.Held("held back", tmp_path)
    first.begin(asked, "", anew=False)  # it was interrupted
    first.end(True)
    again = advice.Held("held back", tmp_path)
    for wanted in (asked, {**asked, "methods": ["DoG"], "tasks": ["ages", "parity"]}):
        with pytest.raises(SystemExit, match="reason of a further run with --because"):
            again.begin(wanted, "", anew=False)
    again.begin({**asked, "horizons": ["6000-cosine"]}, "", anew=False)
    again.begin(asked, "an error in the code", anew=False)
    kept = advice.Held("held back", tmp_path)
    assert kept.earlier == [{"nakami/200/parity/adamw": {"regret": 0.0}}]
    assert not kept.cases
    assert [each["because"] for each in kept.runs][-1] == "an error in the code"


def test_methods_without_their_package_are_told_and_left_out(monkeypatch, capsys):
    monkeypatch.setitem(methods.METHODS, "told", methods.Method(print, "not_a_package"))
    assert advice.installed(["defaults", "told"]) == ["defaults"]
    assert capsys.readouterr().out == "told: not_a_package is not installed, left out\n"


def result(regret, fall, final, rate, share, refused=False):
    run = {"final": final, "rate": rate, "refused": refused}
    return {
        "regret": regret, "validation_regret": regret, "passed": (regret or 1) <= 0.1,
        "share_of_fall": fall, "cost_share": share, "cpu_share": 2 * share, "runs": [run, run],
    }  # fmt: skip


def test_the_report_has_the_figures_of_each_optimizer_and_of_both():
    cases = {
        "nakami/200/friedman/momentum": result(0.05, 0.9, 1.0, 0.01, 0.01),
        "nakami/200/waves/momentum": result(0.25, 0.7, 1.0, 0.02, 0.03),
        "nakami/200/friedman/adamw": result(None, None, None, 0.1, 0.02),
        "DoG/200/waves/adamw": result(None, None, None, None, 0.0, refused=True),
    }
    text = summary.report("development", [], cases)
    tables = dict(part.split("\n\n", 1) for part in text.split("\n\n200, ")[1:])
    row = "| nakami | 1 of 2 | 0.150 | 0.150 | 0.250 | 0 of 4 | 0.150 | 0.800 | 2.0% | 4.0% |"
    assert row in tables["momentum"]
    assert "| nakami | 0 of 1 | inf | 1.000 | inf | 2 of 2 | inf | -inf |" in tables["adamw"]
    assert "| DoG | 0 of 1 | inf | 1.000 | inf | 0 of 2, 2 without a rate |" in tables["adamw"]
    assert "| nakami | 1 of 3 | 0.250 | 0.433 | inf | 2 of 6 |" in tables["both"]
    assert "| waves, momentum | 0.250 at 0.02 |  |" in tables["regrets"]
