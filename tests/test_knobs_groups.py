"""The study of groups: its optimizer is the sweep's, its figures are those of closed forms."""

import math

import pytest
import torch
from torch import nn

groups = pytest.importorskip("benchmarks.knobs.groups", reason="the benchmarks are not installed")
from benchmarks.knobs import groups_tables as tables  # noqa: E402
from benchmarks.knobs import sweep, tasks  # noqa: E402


@pytest.mark.parametrize("of", ["adamw", "momentum"])
def test_groups_of_equal_rates_are_the_sweeps_optimizer(of):
    x, steps = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), 4
    ends = []
    for make in (
        lambda model: tasks.optimizer(of, model, 0.05),
        lambda model: groups.grouped("finetune-vit", of, model, 0.05, 0.05),
        lambda model: groups.grouped("finetune-vit", of, model, 0.05, 0.1),
    ):
        torch.manual_seed(0)
        model = nn.ModuleDict({"body": nn.Linear(5, 4), "head": nn.Linear(4, 1)})
        optimizer = make(model)
        for _ in range(steps):
            optimizer.zero_grad()
            model["head"](model["body"](x).tanh()).square().mean().backward()
            optimizer.step()
        ends.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_every_parameter_is_in_one_group():
    model = nn.ModuleDict({"body": nn.Linear(5, 4), "head": nn.Linear(4, 1)})
    body, head = groups.grouped("finetune-vit", "adamw", model, 0.1, 0.3).param_groups
    assert [p.shape for p in body["params"]] == [(4, 5), (4,)]
    assert [p.shape for p in head["params"]] == [(1, 4), (1,)]
    assert (body["lr"], head["lr"]) == (0.1, 0.3)
    assert {k: body[k] for k in ("betas", "weight_decay")} == {
        k: head[k] for k in ("betas", "weight_decay")
    }


def test_both_rates_follow_the_horizon():
    model = nn.ModuleDict({"body": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    update = groups.scheduled(
        tasks.task("finetune-vit"), model, 0, rates=(0.1, 0.3), of="momentum", horizon="1500-cosine"
    )
    for t in range(100):
        wanted = tasks.factor("1500-cosine", t)
        rates = [group["lr"] for group in update.optimizer.param_groups]
        assert rates == pytest.approx([0.1 * wanted, 0.3 * wanted])
        update.optimizer.step()


def test_a_paired_fall_and_its_error():
    base = [9.0] * 4 + [1.0, math.e]
    gain, error = tables.paired([9.0] * 4 + [1.0, 1.0], base)
    assert gain == pytest.approx(0.5)  # of falls 0 and 1
    assert error == pytest.approx(math.sqrt(0.5) / math.sqrt(2))
    assert tables.paired([9.0] * 5 + [None], base) == (-math.inf, 0.0)


def test_only_changes_beyond_two_errors_are_accepted_and_the_best_of_them():
    def verdict(gain, error, true):
        return tables.Verdict("", ((gain, error),) * len(tables.LENGTHS), {"200": true})

    cases = [[verdict(0.2, 0.05, -0.5), verdict(0.1, 0.01, 9.0)], [verdict(0.1, 0.06, 9.0)]]
    said = tables.accepted(cases, "adamw")
    assert "20 steps: 1 of 2; at 200 0 of 1 lower, mean fall -0.500\n" in said


def test_the_common_rates_of_the_stored_study_are_the_sweeps_best():
    if lacking := tasks.missing("finetune-vit"):
        pytest.skip(lacking)
    name, of, horizon = groups.CASES[0]
    found = {"runs": {}, "trials": {}}
    there = tables.log_losses(found, name, of, horizon)
    assert min(there, key=lambda k: there[k].mean()) == (groups.middle(name, of, horizon),) * 2
    assert set(there) == {(p, p) for p in sweep.Case(name, of).log_losses(horizon)}
