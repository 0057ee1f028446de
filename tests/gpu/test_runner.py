"""`make gpu` keeps what is done, goes on, stops in time, and its bounds fail on wrong numbers."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

runner = pytest.importorskip("benchmarks.gpu.runner", reason="the benchmarks are not installed")
from benchmarks.gpu import bounds, checks_products, page, worker  # noqa: E402
from benchmarks.gpu.__main__ import MODULES, places  # noqa: E402
from benchmarks.gpu.units import Found, Setting, Unit, gathered  # noqa: E402

from nakami.spectra import _tf32  # noqa: E402
from rounding import Rounding  # noqa: E402

FACTS = {"same": {"card": "a card", "torch": "2.13.0"}, "about": {"cuda": "13.0"}}
UNITS = [(name, 10.0, "checks") for name in "abc"]


@dataclass
class Fake:
    """Answers at a price in seconds; ``math.inf`` stands for a unit that hangs."""

    clock: float = 0.0
    costs: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    stops: tuple = ()

    def ask(self, name, seconds):
        self.asked.append(name)
        cost = self.costs.get(name, 1.0)
        self.clock += min(cost, seconds)
        if name in self.stops:
            raise worker.Stopped("the process ended with code -9")
        if cost > seconds:
            raise TimeoutError(f"took longer than its {seconds:.1f} s")
        made = {"rows": [], "numbers": {}, "notes": {}, "warnings": [], "peak_bytes": 0}
        return {"state": "passed", "reason": "", "group": "checks", "seconds": cost} | made


def go(tmp_path, fake, deadline=1e9, source="now", retry=False, began=0.0):
    results = runner.Results(tmp_path / "gpu.json", source)
    assert results.belong_to(FACTS) == ""
    due = results.missing([name for name, *_ in UNITS], retry)
    units = [unit for unit in UNITS if unit[0] in due]
    lines = []
    left = runner.run(units, results, fake, deadline, lines.append, began, lambda: fake.clock)
    return results, left, lines


def test_what_is_done_is_kept_and_not_done_again(tmp_path):
    first = Fake(costs={"c": 8.0})
    results, left, _ = go(tmp_path, first, deadline=9.0)
    assert (first.asked, left) == (["a", "b", "c"], ["c"])  # c was cut by the time, not kept
    assert list(json.loads((tmp_path / "gpu.json").read_text())["units"]) == ["a", "b"]
    second = Fake(costs={"c": 8.0})
    results, left, lines = go(tmp_path, second, deadline=9.0)
    assert (second.asked, left, list(results.units)) == (["c"], [], ["a", "b", "c"])
    assert lines == ["[1/1] c: passed, 8.0 s"]
    assert go(tmp_path, third := Fake())[1] == []
    assert third.asked == []


def test_no_unit_is_begun_with_no_time_left(tmp_path):
    fake = Fake()
    assert go(tmp_path, fake, deadline=runner.LEAST + 0.5)[1] == ["b", "c"]
    assert fake.asked == ["a"]


def test_one_that_no_call_can_finish_fails_and_the_rest_goes_on(tmp_path):
    fake = Fake(costs={"a": 8.0})
    results, left, _ = go(tmp_path, fake, deadline=5.0)
    assert results.units["a"]["reason"] == "took longer than its 5.0 s"
    assert left == ["b", "c"]


def test_one_that_had_little_of_a_call_is_left_for_the_next(tmp_path):
    results, left, _ = go(tmp_path, Fake(costs={"a": 8.0}), deadline=5.0, began=-6.0)
    assert (results.units, left) == ({}, ["a", "b", "c"])


def test_a_failure_has_its_reason_and_is_tried_again_where_the_code_changed(tmp_path):
    fake = Fake(stops=("b",), costs={"a": 11.0})
    results, left, lines = go(tmp_path, fake)
    assert left == []
    states = {name: record["state"] for name, record in results.units.items()}
    assert states == {"a": "failed", "b": "failed", "c": "passed"}
    assert lines[1] == "[2/3] b: failed, the process ended with code -9"
    go(tmp_path, again := Fake())
    assert again.asked == []
    go(tmp_path, again, retry=True)
    assert again.asked == ["a", "b"]
    go(tmp_path, Fake(stops=("a", "b", "c")), source="now", retry=True)
    results, _, _ = go(tmp_path, later := Fake(stops=("a",)), source="later", retry=True)
    assert later.asked == []  # all had passed


def test_results_of_another_machine_do_not_mix(tmp_path):
    go(tmp_path, Fake())
    other = {"same": FACTS["same"] | {"torch": "2.11.0"}, "about": {}}
    results = runner.Results(tmp_path / "gpu.json", "now")
    assert results.belong_to(other) == "torch '2.13.0' there, '2.11.0' here"
    assert results.machine == FACTS


def test_units_are_chosen_by_pattern():
    names = ["jacobian/mlp/tf32", "optim/sdprop/float32"]
    assert runner.chosen(names, []) == names
    assert runner.chosen(names, ["jacobian/*"]) == names[:1]


def test_only_a_card_at_full_size_writes_into_the_docs(tmp_path):
    file, document = places(None, Setting("cuda"))
    assert file.parent.name == "results"
    assert document.name == "measurements-gpu.md"
    for setting in (Setting("cpu"), Setting("cpu", small=True), Setting("cuda", small=True)):
        folders = {path.parent.parts[-3:] for path in places(None, setting)}
        assert folders == {("build", "gpu", setting.device)}
    assert places(tmp_path, Setting("cuda"))[0] == tmp_path / "gpu.json"


def test_a_process_survives_what_its_units_do(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    hands = worker.Worker(("units_made_up",), Setting("cpu"))
    try:
        hello = hands.start(60)
        results = runner.Results(tmp_path / "gpu.json", "now")
        assert results.belong_to(hello["facts"]) == ""
        assert runner.run(hello["units"], results, hands, 1e12, lambda _: None) == []
    finally:
        hands.close()
    said = {name.partition("/")[2]: r["reason"] for name, r in results.units.items()}
    assert said == {
        "good": "",
        "wrong": "out of bounds: a sum",
        "raising": "RuntimeError: CUDA error: out of memory",
        "bare": "a_package_that_nobody_has is not installed",
        "warning": "out of bounds: no warning, got: NakamiWarning: this derivative is doubtful",
        "hanging": "took longer than its 0.5 s",
        "good-again": "",
        "dying": "the process ended with code 7",
    }
    assert results.units["made-up/bare"]["state"] == "skipped"
    text = page.shown(results)
    assert "8 units: 2 passed, 5 failed, 1 skipped." in text
    assert "| made-up/wrong | failed | a sum |" not in text.partition("## What did not pass")[2]
    assert "| made-up/dying | failed | the process ended with code 7 |" in text


def test_a_worker_that_cannot_start_says_why():
    hands = worker.Worker(("no_such_module",), Setting("cpu"))
    with pytest.raises(worker.Stopped, match="No module named 'no_such_module'"):
        hands.start(60)


def test_units_begin_without_tf32_and_leave_the_switches_as_they_were():
    seen = []
    before = torch.backends.cudnn.allow_tf32
    look = Unit("look", lambda setting, found: seen.append(torch.backends.cudnn.allow_tf32))
    assert worker.performed(look, Setting("cpu"))["state"] == "passed"
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32 == before


def test_a_number_that_is_not_finite_is_within_no_bound():
    found = Found()
    found.within("nan", float("nan"), 1.0)
    found.near("a matrix", torch.tensor([1.0, float("inf")]), torch.ones(2), 1.0)
    found.within("no bound", 0.0, float("inf"))
    assert [row["held"] for row in found.rows] == [False] * 3


@pytest.mark.parametrize("net", ["conv", "attention", "gru", "relu"])
@pytest.mark.parametrize("lifted", [True, False])
def test_tf32_breaks_the_bounds_where_it_is_not_lifted(net, lifted, monkeypatch):
    monkeypatch.setattr(_tf32, "SWITCHES", _tf32.CARD if lifted else ())
    unit = gathered(MODULES)[f"jacobian/{net}/tf32"]
    with Rounding() as mode:
        record = worker.performed(unit, Setting("cpu"))
    assert record["state"] == ("passed" if lifted else "failed"), record["reason"]
    assert (mode.rounded == 0) == lifted
    assert lifted or "J v" in record["reason"]


@pytest.mark.parametrize("how", ["float64", "float32", "tf32"])
def test_the_bound_of_products_is_kept_and_a_wrong_factor_breaks_it(how, monkeypatch):
    unit = Unit("a", next(u.run for u in checks_products.UNITS if u.name == f"jacobian/mlp/{how}"))
    assert worker.performed(unit, Setting("cpu"))["state"] == "passed"
    bound = bounds.product(3, 64, how)
    true = checks_products.dense
    monkeypatch.setattr(checks_products, "dense", lambda *a: true(*a) * (1 + 2 * bound))
    record = worker.performed(unit, Setting("cpu"))
    assert record["state"] == "failed"
    assert "J v" in record["reason"]


QUICK = (
    *("curvature/mlp/float32", "optim/sdprop", "optim/kfac/mlp", "recurrent/constraint"),
    *("transport/float32", "zoo/cnn", "rate-limit/sgd", "ladder", "blocks/gpt2-124m"),
)


@pytest.mark.parametrize("name", QUICK)
def test_the_cpu_passes_as_a_card_has_to(name):
    record = worker.performed(gathered(MODULES)[name], Setting("cpu", small=True))
    assert (record["state"], record["reason"]) == ("passed", "")
    assert record["rows"]


def test_a_card_that_lost_a_digit_would_not_pass(monkeypatch):
    from benchmarks.gpu import checks_training

    true = checks_training._given

    def rounded(make, device, dtype, how):
        made = true(make, device, dtype, how)
        return [w.bfloat16().to(dtype) if dtype == torch.float32 else w for w in made]

    monkeypatch.setattr(checks_training, "_given", rounded)
    record = worker.performed(gathered(MODULES)["optim/sdprop"], Setting("cpu"))
    assert record["reason"].startswith("out of bounds: weight 0")


def test_the_page_shows_what_was_measured_with_its_share_of_the_peak(tmp_path):
    done = {"state": "passed", "group": "speed", "peak_bytes": 2**30, "rows": [], "notes": {}}
    done |= {"seconds": 1.0, "reason": "", "date": "2026-11-30", "source": "now"}
    one = {"pass_8_ms": 2.0, "jv_8_ms": 3.0, "jtu_8_ms": 4.0, "jv_8_tflops": 20.0}
    numbers = {
        "peak/float32": {"tflops": 50.0, "gb_per_s": 4000.0},
        "products/squeezenet": one | {"jtu_8_tflops": 15.0},
        "pictures/squeezenet/00": {"stages": 11, "k": 500, "seconds": 7.0},
        "pictures/squeezenet/01": {"stages": 11, "k": 500, "seconds": 9.0},
        "step/a": {"parameters": 1e9, "sdprop_ms": 14.0, "adamw_foreach_ms": 28.0}
        | {"adamw_fused_ms": 7.0},
    }
    units = {name: done | {"numbers": of} for name, of in numbers.items()}
    results = runner.Results(tmp_path / "gpu.json", "now", machine=FACTS, units=units)
    text = page.shown(results)
    assert "| squeezenet | 8 | 2 | 3 | 4 | 1.50 | 2.00 | 40 % | 30 % | 1.00 |" in text
    assert "| squeezenet | 2 | 11 | 500 | 16.0 | 7.0 to 9.0 | 1.00 |" in text
    assert "| sdprop, a | 14 | 50 % |" in text
    del units["peak/float32"]
    assert "no peak measured" in page.shown(results)
