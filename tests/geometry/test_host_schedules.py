"""A training's own schedulers multiply the rate, whichever way they compute theirs."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as torchs
from torch.testing import assert_close

from nakami.geometry import Measures, RateControl
from nakami.geometry.control._host_schedule import schedulers_of

STEPS = 24
MEASURES = Measures(budget=0.9, every=4, settle=1)


def problem():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    x = torch.randn(12, 4, dtype=torch.float64)
    return model, x, x[:, :1].sin()


SCHEDULERS = {
    "exponential": lambda o: torchs.ExponentialLR(o, 0.9),
    "cosine": lambda o: torchs.CosineAnnealingLR(o, STEPS),
    "from 0": lambda o: torchs.LambdaLR(o, lambda step: min(1.0, step / 5)),
    "to 0": lambda o: torchs.LinearLR(o, 1.0, 0.0, STEPS),
    "in a row": lambda o: torchs.SequentialLR(
        o, [torchs.ConstantLR(o, 0.1, 4), torchs.StepLR(o, 3, 0.5)], [6]
    ),
    "chained": lambda o: torchs.ChainedScheduler(
        [torchs.ConstantLR(o, 0.1, 4), torchs.ExponentialLR(o, 0.9)]
    ),
    "one cycle": lambda o: torchs.OneCycleLR(o, 0.3, total_steps=STEPS + 1),
    "cyclic": lambda o: torchs.CyclicLR(o, 0.02, 0.3, step_size_up=4),
}
HIGHEST = {"one cycle": 0.3, "cyclic": 0.3}


def optimizer_of(model, kind="sgd"):
    groups = [{"params": model[0].parameters(), "lr": 0.05}, {"params": model[2].parameters()}]
    if kind == "adam":
        return torch.optim.Adam(groups, lr=0.1)
    return torch.optim.SGD(groups, lr=0.1, momentum=0.5)


def factors(name):
    """What a scheduler alone makes of the rate of the second group, over the highest."""
    optimizer = optimizer_of(problem()[0])
    scheduler, seen = SCHEDULERS[name](optimizer), []
    for _ in range(STEPS + 1):
        seen.append(optimizer.param_groups[1]["lr"] / HIGHEST.get(name, 0.1))
        optimizer.step()
        scheduler.step()
    return seen


def train(schedule=None, make=None, order="control first", passed=False, steps=STEPS, saved=None):
    model, x, y = problem()
    optimizer = optimizer_of(model)
    scheduler = None if make is None else make(optimizer)
    given = scheduler if passed else schedule
    control = RateControl(
        model, optimizer, (x, y), "mse", 0.4, warmup=4, schedule=given, measures=MEASURES
    )
    if saved is not None:
        for each, state in zip((model, optimizer, scheduler, control), saved, strict=True):
            each.load_state_dict(state)
    rates = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        calls = [lambda loss=loss: control.step(loss)]
        if scheduler is not None:
            calls.append(scheduler.step)
        for call in calls if order == "control first" else reversed(calls):
            call()
        if scheduler is not None:
            assert scheduler.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
    return rates, model, optimizer, scheduler, control


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("order", ["control first", "scheduler first"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_does_what_its_factors_do(name, order):
    alone = factors(name)
    wanted, model, _, _, by_function = train(lambda step: alone[step])
    rates, own, _, _, control = train(make=SCHEDULERS[name], order=order)
    ratio = 1.0 if name in HIGHEST else 0.5  # these two give all groups one rate
    second = [rate for _, rate in wanted]
    assert_close([rate for _, rate in rates], second, rtol=1e-9, atol=1e-12)
    if name not in HIGHEST:
        assert_close(rates, wanted, rtol=1e-9, atol=1e-12)
        assert_close(own.state_dict(), model.state_dict())
        assert len(control.log) == len(by_function.log) > 3
        for one, other in zip(control.log, by_function.log, strict=True):
            assert one.as_dict() == pytest.approx(other.as_dict(), rel=1e-6)
    else:
        assert_close(
            [rate for rate, _ in rates], [ratio * rate for rate in second], rtol=1e-9, atol=0
        )
    assert not any(record.rate == 0 for record in control.log)


def test_a_scheduler_may_be_passed_and_one_of_another_optimizer_not():
    found, passed = (train(make=SCHEDULERS["cosine"], passed=passed)[0] for passed in (False, True))
    assert found == passed
    model, x, y = problem()
    mine, other = optimizer_of(model), optimizer_of(model)
    with pytest.raises(ValueError, match="schedule must be a scheduler of optimizer, got one of"):
        RateControl(model, mine, (x, y), "mse", 0.1, schedule=torchs.StepLR(other, 2))


def test_two_schedulers_on_one_optimizer_both_multiply():
    def both(optimizer):
        pair = [torchs.ExponentialLR(optimizer, 0.9), torchs.ExponentialLR(optimizer, 0.8)]
        return torchs.ChainedScheduler(pair)

    rates = train(make=both)[0]
    wanted = train(lambda step: 0.72**step)[0]
    assert_close(rates, wanted, rtol=1e-9, atol=0)


def test_a_plateau_lowers_the_rate():
    model, x, y = problem()
    optimizer = optimizer_of(model)
    scheduler = torchs.ReduceLROnPlateau(optimizer, factor=0.1, patience=0)
    control = RateControl(model, optimizer, (x, y), "mse", 0.4, warmup=0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.4]
    for value in (1.0, 2.0):
        scheduler.step(value)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.02, 0.04])
    assert control.rate == pytest.approx(0.04)


@pytest.mark.parametrize("name", ["cosine", "chained", "from 0"])
def test_a_resumed_training_is_the_same(name):
    whole = train(make=SCHEDULERS[name])
    half = train(make=SCHEDULERS[name], steps=10)
    saved = [copy.deepcopy(each.state_dict()) for each in half[1:]]
    assert "step" not in saved[2]
    rest = train(make=SCHEDULERS[name], steps=STEPS - 10, saved=saved)
    assert half[0] + rest[0] == whole[0]
    assert rest[4].log == whole[4].log
    assert_close(rest[1].state_dict(), whole[1].state_dict(), rtol=0, atol=0)


def test_schedulers_are_given_back():
    _, _, optimizer, scheduler, control = train(make=SCHEDULERS["cosine"], steps=5)
    alone = factors("cosine")
    assert isinstance(scheduler, torchs.CosineAnnealingLR)
    control.release()
    assert type(scheduler) is torchs.CosineAnnealingLR
    assert not optimizer._optimizer_step_post_hooks
    assert optimizer.param_groups[1]["lr"] == pytest.approx(0.1 * alone[5])
    scheduler.step()
    assert optimizer.param_groups[1]["lr"] == pytest.approx(0.1 * alone[6])


def test_a_refused_control_leaves_the_scheduler_alone():
    model, x, y = problem()
    optimizer = optimizer_of(model)
    scheduler = torchs.LambdaLR(optimizer, lambda step: step / 5)
    with pytest.raises(ValueError, match="every must be at least"):
        RateControl(model, optimizer, (x, y), "mse", 0.1, measures=Measures(every=1))
    assert type(scheduler) is torchs.LambdaLR
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.0]


def test_schedulers_are_found_by_their_optimizer():
    optimizer, other = (optimizer_of(problem()[0]) for _ in range(2))
    assert schedulers_of(optimizer) == []
    own = [torchs.StepLR(optimizer, 2), torchs.ReduceLROnPlateau(optimizer)]
    _ = torchs.StepLR(other, 2)
    assert {id(each) for each in schedulers_of(optimizer)} == {id(each) for each in own}
    assert "optimizer" in vars(own[1])  # from here on its attributes are in a dictionary
    assert {id(each) for each in schedulers_of(optimizer)} == {id(each) for each in own}


def rates(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_second_control_is_refused_until_the_first_is_released(wrapped):
    model, x, y = problem()
    optimizer = optimizer_of(model)
    scheduler = torchs.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    first = RateControl(model, optimizer, (x, y), "mse", 0.4, warmup=0)
    again = optimizer
    if wrapped:  # as accelerate does
        again = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        again.optimizer = optimizer
    with pytest.raises(ValueError, match=r"have one RateControl, got a second one; call release"):
        RateControl(model, again, (x, y), "mse", 0.3)
    assert rates(optimizer) == [0.2, 0.4]
    first.step(1.0)
    first.release()
    first.release()  # a second time does nothing
    assert type(scheduler) is torchs.ExponentialLR
    for late in (lambda: first.step(1.0), first.apply):
        with pytest.raises(ValueError, match=r"RateControl must be in use, got one after release"):
            late()
    second = RateControl(model, again, (x, y), "mse", 0.3, warmup=0)
    scheduler.step()
    assert rates(optimizer) == pytest.approx([0.075, 0.15])
    first.release()  # takes nothing from the second
    second.step(1.0)


def test_a_control_that_is_gone_makes_room():
    model, x, y = problem()
    optimizer = optimizer_of(model)
    scheduler = torchs.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    RateControl(model, optimizer, (x, y), "mse", 0.4, warmup=0)
    with pytest.raises(ValueError, match="rate must be positive"):
        RateControl(model, optimizer, (x, y), "mse", -1.0)
    control = RateControl(model, optimizer, (x, y), "mse", 0.3, warmup=0)
    assert len(optimizer._optimizer_step_post_hooks) == 1
    scheduler.step()
    assert rates(optimizer) == pytest.approx([0.075, 0.15])
    control.release()
    assert type(scheduler) is torchs.ExponentialLR
    assert rates(optimizer) == pytest.approx([0.025, 0.05])


def test_a_scheduler_that_is_passed_twice_counts_once():
    model, x, y = problem()
    optimizer = optimizer_of(model)
    scheduler = torchs.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    given = [scheduler, scheduler]
    control = RateControl(model, optimizer, (x, y), "mse", 0.4, warmup=0, schedule=given)
    scheduler.step()
    assert rates(optimizer) == pytest.approx([0.1, 0.2])
    control.release()
    assert type(scheduler) is torchs.ExponentialLR
