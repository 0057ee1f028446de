"""The second learning-rate protocol: it stays as it was; its grid, scores and tasks are right."""

import hashlib
import math

import numpy as np
import pytest
import torch

sweep = pytest.importorskip("benchmarks.knobs.sweep", reason="the benchmarks are not installed")
from benchmarks.knobs import data, tasks  # noqa: E402

FROZEN = "c3fe08cc0b9dd11baad0b007f0b835a0948fe71bc69a66c6bd903f6ae11411d7"
GENERATED = ("friedman", "waves", "rare-class", "committee", "parity")


def test_the_protocol_is_as_it_was_before_any_advice():
    text = (tasks.Path(tasks.__file__).with_name("protocol.toml")).read_bytes()
    assert hashlib.sha256(text).hexdigest() == FROZEN
    roles = [table["role"] for table in tasks.PROTOCOL["task"].values()]
    assert roles == ["development"] * 12 + ["held back"] * 12
    for table in tasks.PROTOCOL["task"].values():
        assert table["model"] in tasks.MODELS
        assert table["data"] in tasks.DATA


@pytest.mark.parametrize(
    ("least", "wanted"),
    [(-5, [-7, -6, -5, -4, -3]), (-9, [*range(-11, -3)]), (-1, [*range(-6, 2)])],
)
def test_the_grid_is_followed_until_two_worse_rates_stand_on_each_side(tmp_path, least, wanted):
    case = sweep.Case("friedman", "momentum", tmp_path)
    run = 0
    while (place := case.next_place("1500")) is not None:
        run += 1
        value = None if place > least + 3 else float(np.exp((place - least) ** 2 / 9))
        for seed in (0, 1):
            record = {"final": {"1500": value, "200": value}, "validation": {}, "cpu_s": 0}
            case.runs[f"1500|{place}|{seed}"] = record
    assert sorted(case.log_losses("1500")) == wanted
    assert (run, case.best("1500")) == (len(wanted), least)
    assert case.next_place("200") is None  # the beginnings of the same runs
    assert (
        case.next_place("6000-cosine") is None
    )  # there is no best rate of 1500-cosine to begin at


def test_a_grid_in_which_all_diverge_goes_down_and_stops_at_its_end(tmp_path):
    case = sweep.Case("friedman", "adamw", tmp_path)
    places = []
    while (place := case.next_place("1500-cosine")) is not None:
        places.append(place)
        for seed in (0, 1):
            case.runs[f"1500-cosine|{place}|{seed}"] = {"final": {"1500-cosine": None}}
    assert places == [-8, -9, -7, *range(-10, -19, -1)]
    assert case.best("1500-cosine") is None


def test_schedules():
    assert [tasks.factor("200", t) for t in (0, 199)] == [1, 1]
    assert tasks.factor("1500-cosine", 0) == pytest.approx(1 / 75)
    assert tasks.factor("1500-cosine", 750) == pytest.approx(0.5)
    assert tasks.factor("6000-cosine", 5999) == pytest.approx(math.sin(math.pi / 12000) ** 2)


@pytest.mark.parametrize("name", GENERATED)
def test_a_step_of_generated_tasks_and_the_best_constant_predictor(name):
    task = tasks.task(name)
    record = sweep.train(task, "adamw", 0, 1e-3, "200")
    assert np.isfinite([record["final"]["200"], record["validation"]["200"]]).all()
    assert len(record["course"]) == 20
    bias = torch.zeros(1, task.data.y.shape[1], requires_grad=True)  # fitted by Newton's method
    loss = task.loss()
    for _ in range(8):
        value = loss(bias.expand(len(task.data.y), -1), task.data.y)
        (slope,) = torch.autograd.grad(value, bias, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), bias)
        with torch.no_grad():
            bias -= slope / bend
    fitted = float(loss(bias.expand(len(task.data.y), -1), task.data.y).detach())
    assert task.constant == pytest.approx(fitted, rel=1e-4)


def test_a_run_that_diverges_ends_and_counts_as_infinite():
    record = sweep.train(tasks.task("waves"), "momentum", 0, 1.0, "200")
    assert record["final"] == {"200": None}
    assert len(record["course"]) < 20
    assert not record["validation"]


def test_classes_and_notes_have_the_constant_predictor_of_their_frequencies():
    y = torch.tensor([0, 0, 1, 2])
    task = tasks.Task("made", {"data": "made", "loss": "CrossEntropyLoss"})
    tasks._data.cache_clear()
    tasks.DATA["made"] = lambda: data.Data(y, y, y, y)
    assert task.constant == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(4))
    tasks.DATA["made"] = lambda: data.Data(y, torch.tensor([[[1.0, 0], [0, 0]]]), y, y)
    tasks._data.cache_clear()
    notes = tasks.Task("made", {"data": "made", "loss": "BCEWithLogitsLoss"})
    assert notes.constant == pytest.approx(math.log(2) / 2)  # one note half the time, one never
    del tasks.DATA["made"]
    tasks._data.cache_clear()


def test_pictures_are_moved_as_a_roll_with_the_mean_at_the_edge():
    x = torch.arange(1.0, 2 * 3 * 36 + 1).view(2, 3, 6, 6)
    found = data.moved(x, torch.Generator().manual_seed(0))
    down, across = torch.randint(5, (2, 2), generator=torch.Generator().manual_seed(0)) - 2
    for picture, made, dy, dx in zip(x, found, down.tolist(), across.tolist(), strict=True):
        wanted = torch.zeros_like(picture)
        for i in range(6):
            for j in range(6):
                if 0 <= i + dy < 6 and 0 <= j + dx < 6:
                    wanted[:, i, j] = picture[:, i + dy, j + dx]
        assert torch.equal(made, wanted)
