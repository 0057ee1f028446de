"""Cases made for "I don't know": built as the protocol says, and counted as it says."""

import json
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import nn

unknown = pytest.importorskip("benchmarks.knobs.unknown", reason="the benchmarks are not installed")
from benchmarks.knobs import advice, methods, sweep, tasks  # noqa: E402
from benchmarks.knobs import unknown_cases as cases  # noqa: E402


def test_every_case_of_the_protocol_is_a_kind_and_a_task():
    assert len(cases.CASES) == 12
    for case in cases.CASES:
        which = cases.made(case)
        assert type(which) is cases.KINDS[case.split(":")[0]]
        assert which.settings == tasks.PROTOCOL["task"][which.name]
    assert type(cases.made("friedman")) is tasks.Task


def test_labels_are_the_tasks_targets_in_an_order_that_is_drawn_for_each_batch():
    which, own = cases.made("labels: friedman"), tasks.task("friedman")
    there = {float(y) for y in own.data.y}
    pairs = list(zip(islice(which.batches(0), 200), islice(own.batches(0), 200), strict=True))
    for (x, y), (x_own, _) in pairs[:20]:
        assert torch.equal(x, x_own)
        assert y.shape == (32, 1)
        assert {float(value) for value in y} <= there
        assert len(y.unique()) == 32  # a part of an order, not draws with repetition
    shuffled, true = (torch.cat([pair[i][1] for pair in pairs]).flatten() for i in (0, 1))
    assert abs(torch.corrcoef(torch.stack([shuffled, true]))[0, 1]) < 4 / 6400**0.5
    first, second = (
        dict(zip(x[:, 0].tolist(), y.flatten().tolist(), strict=True)) for x, y in _epochs(which)
    )
    same = [first[key] == second[key] for key in first.keys() & second.keys()]
    assert len(same) > 3000
    assert sum(same) < 10  # an example has another target the next time
    again = next(which.batches(0))[1]
    assert torch.equal(again, pairs[0][0][1])
    assert not torch.equal(next(which.batches(0, "advice"))[1], again)


def _epochs(which):
    batches = which.batches(0)
    for _ in range(2):
        x, y = zip(*islice(batches, 4000 // 32), strict=True)
        yield torch.cat(x), torch.cat(y)


def test_dead_networks_have_no_gradient_but_that_of_the_last_bias():
    which = cases.made("dead: friedman")
    model, (x, y) = which.model(0), next(which.batches(0))
    given = []
    for module in model:
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, inputs, out: given.append(out))
    which.loss()(model(x), y).backward()
    assert len(given) == 2
    assert not any(out.any() for out in given)
    moved = [name for name, p in model.named_parameters() if p.grad.any()]
    assert moved == [f"{len(model) - 1}.bias"]
    hidden = [m.bias for m in model if isinstance(m, nn.Linear)][:-1]
    assert all((bias == -100).all() for bias in hidden)
    untouched = tasks.task("friedman").model(0)
    assert torch.equal(model[1].weight, untouched[1].weight)


def test_inputs_are_zero_and_targets_stay():
    which = replace(cases.made("zero: speech-cnn"), settings=tasks.PROTOCOL["task"]["friedman"])
    (x, y), (x_own, y_own) = (next(of.batches(0)) for of in (which, tasks.task("friedman")))
    assert x.shape == x_own.shape
    assert not x.any()
    assert not which.data.x_kept.any()
    assert torch.equal(y, y_own)


def test_parity_is_the_product_of_all_24_signs():
    which = cases.made("parity-24: parity")
    data = which.data
    for x, y in ((data.x, data.y), (data.x_kept, data.y_kept)):
        assert x.shape[1] == 24
        assert torch.equal(y[:, 0] == 1, (x < 0).sum(1) % 2 == 0)
    assert which.constant == pytest.approx(torch.tensor(2.0).log().item(), rel=1e-3)
    assert (data.y != tasks.task("parity").data.y).any()


def test_trained_weights_are_those_after_the_long_training_and_are_read_again(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(tasks.PROTOCOL["horizon"][cases.LONG], "steps", 150)
    grid = sweep.Case("friedman", "adamw", tmp_path)
    assert grid.best(cases.LONG) is None
    which = replace(cases.made("trained: friedman", tmp_path / "weights"), folder=tmp_path)
    with pytest.raises(ValueError, match="the grid of friedman, adamw, 6000-cosine has no best"):
        which.model(0)
    run = sweep.train(tasks.task("friedman"), "adamw", 0, sweep.rate(-4), cases.LONG)
    grid.runs = {f"{cases.LONG}|-4|{seed}": run for seed in (0, 1)}
    grid.write()
    trained, start = which.model(0), tasks.task("friedman").model(0)
    kept, begun = which.validation(trained), which.validation(start)
    assert kept < 0.2 * begun
    assert kept == pytest.approx(run["validation"][cases.LONG])
    monkeypatch.setattr(cases, "after_training", None)  # its file is there
    again = which.model(0)
    assert again.training
    assert which.validation(again) == pytest.approx(kept)


def test_a_grid_that_is_not_complete_is_told_and_its_case_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweep.Case, "best", lambda *_: None)
    held = advice.Held("unknown", file=tmp_path / "unknown.json")
    asked = {"methods": ["nakami"], "horizons": ["200"], "tasks": ["trained: friedman"]}
    assert not unknown.run(held, asked, tmp_path)
    assert not held.cases
    assert "the grid of friedman, adamw, 6000-cosine is not complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (lambda: methods.Said(0.1, 1.0, {"doubts": []}), "0 of 2"),
        (lambda: methods.Said(0.1, 1.0, {"doubts": ["NOTHING"]}), "2 of 2 (NOTHING)"),
        (lambda: methods.Said(None, 1.0, {"doubts": []}), "2 of 2 (no rate)"),
        (lambda: methods.Own(None, {"rate": 0.1, "doubts": ["AT_END"]}), "2 of 2 (AT_END)"),
        (lambda: 1 / 0, "0 of 2 (no rate, failed)"),
    ],
)
def test_no_rate_or_a_note_against_it_is_doubt_and_a_failure_is_not(
    tmp_path, monkeypatch, says, words
):
    monkeypatch.setitem(methods.METHODS, "nakami", methods.Method(lambda _: says(), "torch"))
    held = advice.Held("unknown", file=tmp_path / "unknown.json")
    asked = {"methods": ["nakami"], "horizons": ["200"], "tasks": ["dead: friedman", "committee"]}
    assert unknown.run(held, asked)
    assert len(held.cases) == 4
    assert unknown.shown(held.cases["nakami/200/dead: friedman/adamw"]) == words
    assert [held.cases[f"nakami/200/{c}/adamw"]["learned"] for c in asked["tasks"]] == [None, True]
    assert json.loads(held.path.read_text())["cases"] == held.cases
    text = unknown.report(held.cases)
    assert f"| committee | {words} | {words} |" in text
    seeds = "2 of 2" if words.startswith("2") else "0 of 2"
    assert text.count(f"| **all** | {seeds} | {seeds} | 0 of 0 | 0 of 0 |") == 2
    monkeypatch.setattr(unknown, "ask", None)  # all is there
    assert unknown.run(held, asked)


def run_of(*doubts, rate=0.1):
    return {"rate": rate, "doubts": list(doubts), "failed": False}


def test_what_cannot_be_learned_does_not_count_as_wrong_and_a_note_can_be_left_out():
    found = [
        {"runs": [run_of("NOTHING"), run_of("NOTHING")], "learned": False},
        {"runs": [run_of("AT_END"), run_of()], "learned": True},
        {"runs": [run_of("NOTHING", "AT_END"), run_of(rate=None)], "learned": None},
    ]
    assert unknown.count(found) == "3 of 4"
    assert unknown.count(found, "AT_END") == "2 of 4"
