"""Optimizers whose rates a schedule has set to 0: what is read is what is read without it."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

import nakami
from nakami.geometry import RateControl
from nakami.results import UsageError


def case(kind, begun):
    """A network, its batches and an optimizer of two groups, under a warm-up from 0 or not."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    x = torch.randn(6, 16, 6)
    groups = [
        {"params": model[0].parameters(), "lr": 0.002},
        {"params": model[2].parameters(), "lr": 0.02, "weight_decay": 0.1},
    ]
    optimizer = kind(groups, lr=1.0)
    scheduler = LambdaLR(optimizer, lambda t: min(1.0, t / 10)) if begun else None
    return model, list(zip(x, x[..., :3].argmax(-1), strict=True)), optimizer, scheduler


READINGS = {
    "learning_rate": lambda *given: nakami.learning_rate(*given, trial_steps=5),
    "steps": lambda *given: nakami.learning_rate(*given, steps=400, budget=0.5),
    "critical_sharpness": nakami.critical_sharpness,
    "rate_limit": nakami.rate_limit,
    "tune": lambda *given: nakami.tune(*given[:3], steps=60, optimizer=given[3]),
}


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("reading", READINGS)
def test_a_schedule_that_begins_at_zero_changes_no_reading(reading, kind):
    plain, begun = (
        READINGS[reading](model, data, "cross_entropy", optimizer)
        for model, data, optimizer, _ in (case(kind, False), case(kind, True))
    )
    assert dataclasses.astuple(plain) == dataclasses.astuple(begun)


def test_the_optimizer_keeps_its_rates_and_its_schedule():
    model, data, optimizer, scheduler = case(torch.optim.SGD, True)
    nakami.learning_rate(
        model, data, "cross_entropy", optimizer, steps=100, budget=0.5, schedule=scheduler
    )
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.0]
    assert scheduler.last_epoch == 0


def test_no_rate_at_all_is_refused_in_a_sentence():
    model, data, *_ = case(torch.optim.SGD, False)
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    with pytest.raises(UsageError, match=r"optimizer must have a learning rate above 0, got none"):
        nakami.learning_rate(model, data, "cross_entropy", still)
    with pytest.raises(UsageError, match=r"a learning rate above 0, got (none|0); build it with"):
        RateControl(model, still, data, "cross_entropy", 0.1)
    again = LambdaLR(still, lambda t: 1.0)
    with pytest.raises(UsageError, match=r"a learning rate above 0, got (none|0); build it with"):
        RateControl(model, still, data, "cross_entropy", 0.1, schedule=again)
    assert type(again) is LambdaLR
