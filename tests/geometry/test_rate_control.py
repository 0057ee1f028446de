"""A rate held through training: where it is measured, when it falls, and what it leaves behind."""

import copy
import io
import math
import re
import warnings

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from nakami.geometry import ControlEnding, Measures, RateControl
from nakami.geometry.control._running_loss import RateRecord
from nakami.geometry.rate._schedule import SHAPES, course_of
from nakami.optim import SDProp

LOSS = nn.MSELoss()


def quadratic(n=40, d=6):
    """A linear model: its Hessian is the same everywhere. And the largest eigenvalue."""
    gen = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=gen, dtype=torch.float64) * torch.linspace(3, 0.3, d).double()
    model = nn.Linear(d, 1, bias=False).double()
    nn.init.ones_(model.weight)
    return model, (x, torch.zeros(n, 1).double()), float(torch.linalg.eigvalsh(2 * x.T @ x / n)[-1])


def descend(model, data, control, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        value = LOSS(model(data[0]), data[1])
        value.backward()
        optimizer.step()
        control.step(value)


def controlled(rate, optimizer=None, **settings):
    model, data, top = quadratic()
    stepping = (optimizer or (lambda p: torch.optim.SGD(p, lr=1.0)))(model.parameters())
    settings = split({"warmup": 0, "budget": 0.9, **settings})
    return model, data, stepping, RateControl(model, stepping, data, LOSS, rate / top, **settings)


def split(settings):
    """Settings with those of ``Measures`` put into one."""
    own = ("budget", "every", "settle", "patience", "batch_size", "seed", "memory_budget")
    measures = Measures(**{k: v for k, v in settings.items() if k in own})
    return {**{k: v for k, v in settings.items() if k not in own}, "measures": measures}


def test_sharpness_and_limit_of_a_quadratic():
    top = quadratic()[2]
    kinds = {
        2.0: lambda p: torch.optim.SGD(p, lr=1.0),
        3.8: lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9),
        3.8 / 2.8: lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9, nesterov=True),
    }
    for reach, kind in kinds.items():
        model, data, stepping, control = controlled(0.1, kind)
        descend(model, data, control, stepping, 30)
        last = control.log[-1]
        assert 0.999 * top < last.sharpness <= top * (1 + 1e-9)
        assert last.limit == pytest.approx(reach / last.sharpness)
        assert not any(record.above or record.beyond or record.lowered for record in control.log)


COORDINATES = {
    "adam": (torch.optim.Adam, lambda s: (s["exp_avg_sq"] / (1 - 0.999**30)).sqrt() + 1e-8, 38),
    "sdprop": (SDProp, lambda s: (s["grad_var"].sqrt() + 1e-8) / math.sqrt(1 - 0.99**30), 2),
}


@pytest.mark.parametrize(("kind", "divisor", "reach"), COORDINATES.values(), ids=COORDINATES)
def test_adaptive_ones_are_measured_in_their_own_coordinates(kind, divisor, reach):
    model, data, _, control = controlled(0.02, lambda p: kind(p, lr=1.0))
    stepping = control._monitor.optimizer
    descend(model, data, control, stepping, 30)
    d, x = divisor(stepping.state[model.weight]).flatten(), data[0]
    own = torch.linalg.eigvalsh((2 * x.T @ x / len(x)) / (d[:, None] * d).sqrt())[-1]
    found = control._monitor.read(0)[0]
    assert 0.99 * float(own) < found <= float(own) * (1 + 1e-9)
    assert control.log[-1].limit == pytest.approx(reach / control.log[-1].sharpness)


class WithUnused(nn.Module):
    """A model beside a layer that never gets a gradient."""

    def __init__(self, used):
        super().__init__()
        self.used, self.unused = used, nn.Linear(3, 3).double()

    def forward(self, x):
        return self.used(x)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_parameters_without_gradients_change_no_measure(kind):
    logs = []
    for wrapped in (nn.Sequential, WithUnused):
        inner, data, _ = quadratic()
        model = wrapped(inner)
        stepping = kind(model.parameters(), lr=1.0, weight_decay=0.1)
        control = RateControl(
            model, stepping, data, LOSS, 0.01, warmup=0, measures=Measures(budget=0.9)
        )
        descend(model, data, control, stepping, 30)
        logs.append([record.sharpness for record in control.log])
    assert len(logs[0]) == len(logs[1]) > 3
    assert logs[1][1:] == pytest.approx(logs[0][1:], rel=0.02)  # the first: a random start


@pytest.mark.parametrize("patience", [1, 3, 5])
def test_lowered_after_so_many_measures(patience):
    model, data, stepping, control = controlled(2.2, patience=patience, every=4, settle=4)
    descend(model, data, control, stepping, 60)
    limit = 2 / quadratic()[2]
    first = next(i for i, record in enumerate(control.log) if record.lowered)
    beyond = [record.rate > limit for record in control.log]
    left = [record.level > record.high for record in control.log]
    expected = [
        i
        for i in range(60)
        if i >= patience - 1 and left[i : i + 1] == [True] and all(beyond[i + 1 - patience : i + 1])
    ]
    assert first == expected[0]
    record = control.log[first]
    assert record.streak >= patience
    before = control.log[first - 1].target if first else 2.2 / quadratic()[2]
    assert record.target == pytest.approx(before / 2)  # 2 / 2.2 is above a half
    assert control.target == record.target
    assert float(LOSS(model(data[0]), data[1]).detach()) < 0.1  # and the run is saved


def test_without_a_measure_it_diverges():
    model, data, stepping, control = controlled(2.2, budget=0)
    with pytest.raises(
        RuntimeError, match=r"the loss is (inf|nan) after step \d+ at rate .*smaller"
    ):
        descend(model, data, control, stepping, 5000)
    assert control.log == []


def test_sharpness_alone_changes_nothing():
    _, _, _, control = controlled(1.0, every=4)
    start = control.rate
    for step in range(60):
        control.target = start * (1 + step / 20)  # the matrix stays, the product rises fourfold
        assert not (record := control.step(1.0 - step / 100)) or not record.above
    assert control.log[-1].beyond
    assert control.log[-1].streak > 3
    assert not any(record.lowered for record in control.log)
    assert control.step(50.0).lowered  # the loss leaves its band: judged at once


def test_a_rising_loss_alone_changes_nothing():
    _, _, _, control = controlled(0.5, every=4)
    for step in range(80):
        control.step(1.0 + 0.01 * step + (30.0 if step > 40 else 0.0))
    assert any(record.above for record in control.log)
    assert not any(record.beyond or record.lowered for record in control.log)


def test_a_lowering_is_from_a_quarter_to_a_half():
    for rate, factor in ((2.2, 0.5), (6.0, 1 / 3), (50.0, 0.25)):
        _, _, _, control = controlled(rate, every=4)
        target, step = control.target, 0
        while not control.log or not control.log[-1].lowered:
            control.step(1.0 if step < 20 else 100.0)
            step += 1
        assert control.target == pytest.approx(target * factor, rel=1e-3)


def heavy(parameters):
    return torch.optim.SGD(parameters, lr=1.0, momentum=0.9)


def rising(control, steps, by=3.0):
    """Losses of 1 with a little noise, then so many that climb; the record that lowered, if any."""
    found = [control.step(1.0 + 0.01 * (t % 2)) for t in range(20)]
    found += [control.step(1.0 + by * (1 + t)) for t in range(steps)]
    return next((record for record in found if record is not None and record.lowered), None)


def test_with_momentum_a_rise_counts_beyond_the_limit_of_small_batches():
    _, _, _, control = controlled(0.4, heavy)  # limits: 3.8 of all data, 0.2 of small batches
    target, record = control.target, rising(control, 4)
    assert (record.step, record.rising, record.streak) == (24, 4, 0)  # one more than patience
    assert record.noise_limit == pytest.approx(record.limit / 19)
    assert record.noise_limit < record.rate < record.limit
    assert control.target == pytest.approx(target * 0.2 / 0.4, rel=1e-3)
    assert record.outcome.kind is ControlEnding.ROSE
    assert "stayed above its band for 4 steps" in record.outcome.reason
    for rate, kind, steps, by in (
        (0.4, heavy, 3, 3.0),  # too short
        (0.4, heavy, 9, -0.1),  # down
        (0.19, heavy, 9, 3.0),  # stable even so
        (1.9, None, 9, 3.0),  # without momentum both limits are one
    ):
        _, _, _, control = controlled(rate, kind)
        assert rising(control, steps, by) is None
        assert control.target == pytest.approx(rate / quadratic()[2])


def test_a_rise_that_comes_down_is_no_reason_to_lower():
    _, _, _, control = controlled(0.4, heavy)
    for t in range(20):
        control.step(1.0 + 0.01 * (t % 2))
    for value in [60.0, *[1.0] * 20]:  # one bad batch: the mean of the last few stays high
        control.step(value)
    assert max(record.rising for record in control.log) > 0
    assert not any(record.lowered for record in control.log)


def test_a_spent_budget_is_judged_by_the_last_measure():
    _, _, _, control = controlled(0.4, heavy, budget=0.05, steps=240)
    control.cost = 12.0  # all of it
    control.log.append(
        RateRecord(1, 0.1, 1.0, 0.0, 1.9, 1, 1, 1, False, False, 0, 1, False, 5, 0.1)
    )
    control.target = 0.5
    record = rising(control, 4)
    assert (record.step, record.sharpness, record.cost) == (24, 1.0, 12.0)
    assert control.target == 0.25 * 0.5


def test_mini_batches_that_momentum_sums_up_are_kept_from_running_away():
    """A batch curves one of eight directions by 2: limits 1.9, and 0.1 where gradients scatter."""
    data, order = (torch.eye(8).double(), torch.zeros(8, 1).double()), torch.Generator()
    ends = []
    for budget in (0.0, 0.2):
        model = nn.Linear(8, 1, bias=False).double()
        nn.init.ones_(model.weight)
        stepping, losses = heavy(model.parameters()), []
        measures = Measures(budget=budget)
        one = (data[0][:1], data[1][:1])
        control = RateControl(model, stepping, one, LOSS, 0.5, warmup=0, measures=measures)
        order.manual_seed(0)
        for i in torch.randint(8, (200,), generator=order).tolist():
            stepping.zero_grad()
            value = LOSS(model(data[0][i : i + 1]), data[1][:1])
            losses.append(float(value.detach()))
            value.backward()
            stepping.step()
            control.step(value)
        ends.append(max(losses[-20:]))
    assert ends[0] > 1e6
    assert ends[1] < 0.1
    assert not any(record.beyond for record in control.log)


def test_warm_up_and_schedule():
    _, _, stepping, control = controlled(1.0, warmup=4, schedule=lambda step: 1 / (1 + step))
    seen = [control.rate]
    for _ in range(6):
        control.step(1.0)
        seen.append(stepping.param_groups[0]["lr"])
    warm = [0.2, 0.4, 0.6, 0.8, 1, 1, 1]
    assert_close(seen, [control.target * w / (1 + i) for i, w in enumerate(warm)])


@pytest.mark.parametrize("name", SHAPES)
def test_a_named_schedule_is_that_of_the_advice(name):
    _, _, stepping, control = controlled(1.0, steps=30, warmup=4, schedule=name)
    course = course_of(name, 30, 4, stepping)
    for step in range(33):
        wanted = course.factor(step) if step < 30 else {"constant": 1.0}.get(name, 0.0)
        assert stepping.param_groups[0]["lr"] == pytest.approx(control.target * wanted)
        control.step(1.0)


def test_a_schedule_of_the_advice_is_carried_over():
    model, held, _ = quadratic()

    def built(advice, scheduled=False, **settings):
        stepping = torch.optim.SGD(model.parameters(), lr=1.0)
        own = torch.optim.lr_scheduler.ExponentialLR(stepping, 0.5) if scheduled else None
        control = RateControl(model, stepping, held, LOSS, advice, **settings)
        return [control.steps, control.warmup, *_rates(control, stepping, own)]

    warm = nakami.learning_rate(model, held, LOSS, steps=300, schedule="linear", warmup=9)
    assert (warm.training, warm.schedule, warm.warmup) == (300, "linear", 9)
    factors = course_of("linear", 300, 9, torch.optim.SGD(model.parameters())).factor
    assert built(warm) == [300, 9, *map(pytest.approx, map(factors, range(40)))]
    assert built(warm, steps=250, warmup=0)[:4] == [250, 0, 1.0, pytest.approx(1 - 1 / 250)]
    assert built(warm, schedule="constant")[-1] == 1.0
    halves = [(t + 1) / 21 * 0.5**t for t in range(5)]
    assert built(warm, scheduled=True)[:7] == [300, 20, *map(pytest.approx, halves)]
    cold = nakami.learning_rate(model, held, LOSS, steps=300, schedule="cosine")
    assert built(cold)[:2] == [300, 20]
    own = nakami.learning_rate(model, held, LOSS, steps=300, schedule=lambda t: 0.5)
    with pytest.raises(
        ValueError,
        match="schedule must be that of the advice, got none, and advice for a function; pass it",
    ):
        built(own)
    assert built(own, schedule=lambda t: 0.5, warmup=0)[:3] == [300, 0, 0.5]
    assert built(nakami.learning_rate(model, held, LOSS))[:2] == [1000, 20]


def _rates(control, stepping, scheduler):
    """Of 40 steps, over the target."""
    for _ in range(40):
        yield stepping.param_groups[0]["lr"] / control.target
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer makes no step
            control.step(1.0)
            if scheduler is not None:
                scheduler.step()


def test_groups_keep_their_ratios():
    model, data, _ = quadratic()
    bias = nn.Parameter(torch.zeros(1).double())
    model.register_parameter("more", bias)
    groups = [{"params": [model.weight], "lr": 0.1}, {"params": [bias], "lr": torch.tensor(0.4)}]
    stepping = torch.optim.SGD(groups)
    control = RateControl(model, stepping, data, LOSS, 0.2, warmup=1)
    held = stepping.param_groups[1]["lr"]
    assert [float(g["lr"]) for g in stepping.param_groups] == pytest.approx([0.025, 0.1])
    control.step(1.0)
    assert [float(g["lr"]) for g in stepping.param_groups] == pytest.approx([0.05, 0.2])
    assert stepping.param_groups[1]["lr"] is held  # a tensor is written to


def test_the_budget_is_kept():
    for settings, steps in (({"steps": 60}, 100), ({"steps": 400, "batch_size": 10}, 100)):
        _, _, _, control = controlled(3.0, budget=0.2, patience=99, **settings)
        worth = settings.get("batch_size", 40) / 40
        for step in range(steps):
            control.step(1.0 if step < 20 else 100.0 + step)
            assert control.cost <= 0.2 * worth * max(settings["steps"], step + 1) + 1e-9
        assert control.cost > 0.2 * worth * settings["steps"] - 10 / 3  # it was asked for


def network():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)
    )
    net[1].num_batches_tracked += 1  # its statistics are meant
    return net


def data():
    gen = torch.Generator().manual_seed(1)
    return torch.randn(20, 5, generator=gen), torch.randint(0, 3, (20,), generator=gen)


def measured(steps, **settings):
    """Steps of a calm training at which it is measured, and what all measures cost."""
    model, data, _ = quadratic()
    stepping = torch.optim.SGD(model.parameters(), lr=1.0)
    control = RateControl(model, stepping, data, LOSS, 1e-4, steps=steps, **settings)
    for i in range(steps):
        control.step(1.0 - i * 1e-4)
    return [record.step for record in control.log], control.cost


@pytest.mark.parametrize("steps", [234, 240, 260, 300, 500, 1000])
def test_a_training_is_measured_at_its_start_middle_and_end(steps):
    seen, cost = measured(steps)
    assert seen[0] <= 21
    assert any(0.3 * steps <= at <= 0.7 * steps for at in seen)
    assert seen[-1] >= 0.94 * steps
    assert cost <= 0.05 * steps * (1 + 1e-9)


@pytest.mark.parametrize(("steps", "times"), [(5, 0), (60, 0), (100, 1), (200, 2)])
def test_a_training_too_short_for_three_measures_is_told_so(steps, times):
    message = (
        rf"measures {times} times? in {steps} steps, not at start.*take 11\.7 gradients.* allows"
    )
    with pytest.warns(nakami.results.NakamiWarning, match=message) as caught:
        seen, cost = measured(steps)
    assert len(seen) == times
    assert cost <= 0.05 * steps
    if steps > 12:  # and what it says to type does
        share = float(re.search(r"budget=([\d.]+)\)", str(caught[0].message))[1])
        assert len(measured(steps, measures=Measures(budget=share))[0]) >= 3
    else:
        assert "more than this training can pay" in str(caught[0].message)


def test_no_trace():
    model, (x, y) = network(), data()
    model[1].eval()
    stepping = torch.optim.AdamW(model.parameters(), lr=0.01)
    control = RateControl(
        model, stepping, (x, y), "cross_entropy", 0.01, warmup=2, measures=Measures(budget=0.9)
    )
    nn.functional.cross_entropy(model(x), y).backward()
    stepping.step()

    def everything():
        state = copy.deepcopy((model.state_dict(), stepping.state_dict()["state"]))
        grads = [p.grad.clone() for p in model.parameters()]
        modes = [m.training for m in model.modules()]
        return state, grads, modes, torch.random.get_rng_state()

    before = everything()
    assert control.step(1.0) is not None
    assert_close(everything(), before, rtol=0, atol=0)


def trained(steps, saved_at=None):
    """Weights, log and rates; a run that is saved and taken up again at a step."""
    (x, y), parts = data(), []

    def build():
        model = network()
        stepping = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.5)
        measures = Measures(budget=0.9, every=5)
        control = RateControl(model, stepping, (x, y), "cross_entropy", 60.0, measures=measures)
        return model, stepping, control

    model, stepping, control = build()
    torch.manual_seed(3)
    for step in range(steps):
        if step == saved_at:
            file = io.BytesIO()
            random = torch.random.get_rng_state()
            torch.save([part.state_dict() for part in (model, stepping, control)], file)
            file.seek(0)
            parts = build()
            for part, state in zip(parts, torch.load(file, weights_only=True), strict=True):
                part.load_state_dict(state)
            model, stepping, control = parts
            torch.random.set_rng_state(random)
        stepping.zero_grad()
        value = nn.functional.cross_entropy(model(x), y)
        value.backward()
        stepping.step()
        control.step(value)
    return model.state_dict(), control.state_dict(), stepping.state_dict()


@pytest.mark.parametrize("saved_at", [3, 31])
def test_a_resumed_run_is_the_same(saved_at):
    whole = trained(50)
    assert any(record["beyond"] for record in whole[1]["log"])
    resumed = trained(50, saved_at)
    assert_close(resumed, whole, rtol=0, atol=0)
    assert resumed[1]["log"] == whole[1]["log"]


def test_records_are_plain_numbers():
    model, held, stepping, control = controlled(0.5)
    descend(model, held, control, stepping, 10)
    row = control.log[0].as_dict()
    assert row["step"] == 1
    assert all(isinstance(value, (bool, int, float)) for value in row.values())
    with pytest.raises(AttributeError, match="cannot assign to field"):
        control.log[0].rate = 2.0
    assert nakami.RateControl is RateControl


REFUSED = {
    "rate": ({"rate": -1.0}, r"rate must be positive and finite, got -1\.0; pass the rate"),
    "no rate": ({"rate": "fast"}, r"rate must be a number or a LearningRate, got 'fast'"),
    "infinite": ({"rate": math.inf}, r"rate must be positive and finite, got inf"),
    "budget": ({"budget": 1.0}, r"budget must be a share from 0 to below 1, got 1\.0"),
    "every": ({"every": 2}, r"every must be at least 67 within budget=0\.05, got 2; raise"),
    "patience": ({"patience": 0}, r"patience must be a whole number from 1 on, got 0"),
    "warmup": ({"warmup": 2.5}, r"warmup must be a whole number from 0 on, got 2\.5"),
    "steps": ({"steps": 0}, r"steps must be a whole number from 1 on"),
    "batch size": ({"batch_size": True}, r"batch_size must be a whole number from 1 on, got True"),
    "schedule": ({"schedule": 3}, "schedule must be a name, a scheduler or a function, got 3"),
    "shape": ({"schedule": "cosin"}, r"schedule must be one of .*, got 'cosin'; or pass"),
    "long": (
        {"schedule": "wsd", "steps": 20, "warmup": 20},
        "warmup must be below steps, 20, got 20",
    ),
    "name": ({"optimizer": "sgd"}, r"optimizer must be a torch optimizer, got 'sgd'; pass torch"),
    "kind": (
        {"optimizer": torch.optim.Rprop([nn.Parameter(torch.ones(1))])},
        r"optimizer must make steps that are linear in the gradient once .*AdamW.*, got Rprop; ask",
    ),
    "foreign": (
        {"optimizer": torch.optim.SGD([nn.Parameter(torch.ones(1))])},
        r"optimizer must hold parameters of the model, got none of them",
    ),
    "empty": ({"data": []}, r"data must hold at least one batch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    changed, message = REFUSED[name]
    model, held, _ = quadratic()
    settings = {"optimizer": torch.optim.SGD(model.parameters()), "data": held, "rate": 0.1}
    settings.update(changed)
    with pytest.raises(ValueError, match=message) as caught:
        RateControl(model, loss=LOSS, **split(settings))
    assert "\n" not in str(caught.value)


def test_advice_is_taken_and_its_lack_refused():
    model, held, top = quadratic()
    found = nakami.learning_rate(model, held, LOSS)
    stepping = torch.optim.SGD(model.parameters())
    assert RateControl(model, torch.optim.SGD(model.parameters()), held, LOSS, found).target == (
        found.advised
    )
    object.__setattr__(found, "advised", None)
    with pytest.raises(ValueError, match="rate must hold advice, got advised=None; pass a number"):
        RateControl(model, stepping, held, LOSS, found)
    object.__setattr__(found, "advised", 0.5 / top)
    assert RateControl(model, stepping, held, LOSS, found).target == 0.5 / top
    for kind in (torch.optim.Adam, torch.optim.AdamW):
        with pytest.raises(ValueError, match="advice for this kind of optimizer, got one for SGD"):
            RateControl(model, kind(model.parameters()), held, LOSS, found)
    adam = nakami.learning_rate(model, held, LOSS, "adam")
    with pytest.raises(ValueError, match="got one for Adam; pass optimizer to both"):
        RateControl(model, stepping, held, LOSS, adam)
    RateControl(model, torch.optim.AdamW(model.parameters()), held, LOSS, adam)


def test_a_second_hand_is_refused():
    _, _, stepping, control = controlled(0.5)
    with pytest.warns(UserWarning, match="lr_scheduler.step"):
        torch.optim.lr_scheduler.ExponentialLR(stepping, 0.9).step()
    with pytest.raises(ValueError, match=r"keep the rates it is given, got lr .* pass schedule="):
        control.step(1.0)
    _, _, stepping, control = controlled(0.5)
    stepping.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    with pytest.raises(ValueError, match="must keep its 1 parameter group, got 2; make a new"):
        control.step(1.0)


def test_wrong_losses_and_states():
    _, _, _, control = controlled(0.5)
    with pytest.raises(
        ValueError, match=r"loss must be one number, got shape \(3,\); pass loss\.mean\(\)"
    ):
        control.step(torch.ones(3))
    with pytest.raises(RuntimeError, match="the loss is nan after step 1"):
        control.step(math.nan)
    with pytest.raises(ValueError, match="state must have schema 1, got None; pass RateControl's"):
        control.load_state_dict({})
    state = control.state_dict()
    with pytest.raises(ValueError, match="state must have schema 1, got NoneType; pass RateCont"):
        control.load_state_dict(None)
    with pytest.raises(ValueError, match="state must be whole, got one without cost; pass RateCo"):
        control.load_state_dict({key: state[key] for key in state if key != "cost"})
    with pytest.raises(
        ValueError, match="state must have 1 parameter group, got 2; build the optimizer"
    ):
        control.load_state_dict({**state, "ratios": [1.0, 1.0]})
    with pytest.raises(ValueError, match="state must be of 6 parameters, got 7; build the model"):
        control.load_state_dict({**state, "vector": torch.ones(7)})
    _, _, _, control = controlled(0.5, schedule=lambda step: 1.0 - 2 * step)
    with pytest.raises(ValueError, match=r"schedule must return a factor from 0 on, got -1\.0"):
        control.step(1.0)
    with pytest.raises(ValueError, match=r"schedule must return a factor from 0 on, got None"):
        controlled(0.5, schedule=lambda step: None)
    with pytest.raises(ValueError, match="memory_budget must be a whole number of bytes"):
        Measures(memory_budget=0)
    model, data, _ = quadratic()
    stepping = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(TypeError, match=r"measures must be Measures, got 3; pass nakami\.geometry"):
        RateControl(model, stepping, data, LOSS, 0.1, measures=3)


def test_batch_normalisation_is_read_as_the_training_does():
    torch.manual_seed(0)
    layers = [nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)]
    model = nn.Sequential(*layers).double().train()
    data = [(3 * torch.randn(12, 6).double() + 2, torch.arange(12) % 3)]
    model(data[0][0])  # statistics that have moved, and are far from the batch's
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def sharpness(of):
        measures = Measures(every=4, budget=0.9)
        control = RateControl(
            of, optimizer, data, "cross_entropy", 0.01, steps=20, warmup=0, measures=measures
        )
        for _ in range(4):
            control.step(1.0)
        control.release()
        return control.log[0].sharpness

    asked = [sharpness(nakami.View(model, batch_statistics=by)) for by in (True, False)]
    assert asked[0] != pytest.approx(asked[1], rel=0.1)
    assert sharpness(model) == pytest.approx(asked[0], rel=1e-9)
    assert sharpness(model.eval()) == pytest.approx(asked[1], rel=1e-9)
