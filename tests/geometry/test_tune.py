"""The whole setting: its parts against the readings they come from, its code against torch."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

import nakami
from nakami.geometry import ChoiceEnding
from nakami.geometry.rate._schedule import course_of
from nakami.results import UsageError


def batches(count=40, size=16):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(count, size, 10, generator=g)
    return list(zip(x, x[..., :4].argmax(-1), strict=True))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))


def test_the_rate_is_that_of_the_advice_and_the_noise_that_of_its_batches():
    model, data = network(), batches()
    before = [p.clone() for p in model.parameters()]
    found = nakami.tune(model, data, "cross_entropy", steps=2000)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert (found.optimizer, found.schedule, found.warmup, found.batch) == (
        "AdamW",
        "linear",
        100,
        16,
    )
    left = (0.05 * 2000 - 8) / 2000
    alone = nakami.learning_rate(
        model, data, "cross_entropy", "adamw",
        steps=2000, schedule="linear", warmup=100, budget=left,
    )  # fmt: skip
    seen = {
        name: getattr(found.advice, name) for name in ("constant_loss", "n_samples", "n_batches")
    }
    assert seen["n_batches"] == max(8, alone.n_batches)
    assert found.advice == dataclasses.replace(alone, **seen)
    assert found.rate == alone.advised
    assert found.cost == alone.cost + 8 <= 100
    assert found.share == pytest.approx(found.cost / 2000)
    gradients = []
    for x, y in data[:8]:
        loss = nn.functional.cross_entropy(model(x), y)
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        gradients.append(torch.cat([slope.flatten() for slope in slopes]))
    wanted = nakami.geometry.noise_scale(gradients, [16] * 8)
    assert found.noise.value == pytest.approx(wanted.value, rel=1e-4)
    kinds = {choice.name: choice.outcome.record()["kind"] for choice in found.choices}
    assert (kinds["rate"], kinds["batch"]) == ("rate", "noise")
    said = next(choice.outcome.reason for choice in found.choices if choice.name == "batch")
    assert said.startswith(wanted.advice.rstrip(".")[:40])
    assert "noise grows in training, so read it again" in said
    names = [choice.name for choice in found.choices]
    assert len(set(names)) == 8
    assert str(found).count("\n") == 8
    unknown = {choice.name for choice in found.choices if not choice.converged}
    assert unknown == {"clipping"}


def test_a_sum_over_a_batch_has_the_noise_of_its_mean():
    model, data = network(), batches()
    mean, total = (
        nakami.tune(model, data, nn.CrossEntropyLoss(reduction=how), steps=2000).noise
        for how in ("mean", "sum")
    )
    assert total.value == pytest.approx(mean.value, rel=1e-3)


def test_a_batch_of_sequences_is_told_in_samples_too():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(7, 8), nn.Linear(8, 7), nn.Flatten(0, 1))
    ids = torch.randint(7, (20, 4, 6))
    words = [(x, ((x + 1) % 7).flatten()) for x in ids]
    joined = nakami.tune(model, words, "cross_entropy", steps=1000)
    assert {c.name: c.value for c in joined.choices}["batch"] == "4 examples, 24 samples"
    plain = nakami.tune(network(), batches(), "cross_entropy", steps=1000)
    assert {c.name: c.value for c in plain.choices}["batch"] == "16 examples"


def test_what_a_short_budget_leaves_out_is_said():
    found = nakami.tune(network(), batches(), "cross_entropy", steps=100, optimizer="momentum")
    parts = {choice.name: choice for choice in found.choices}
    assert parts["batch"].outcome.kind is ChoiceEnding.NOT_READ
    assert "8 gradients are more than a quarter of the budget" in parts["batch"].reason
    assert parts["optimizer"].reason == "as given"
    few, many = (
        nakami.tune(network(), batches(), "cross_entropy", steps=n).choices[0].reason
        for n in (550, 551)
    )
    assert "550 steps are few: in trainings of 200 the optimizer Prodigy, which needs no" in few
    assert "Prodigy" not in many
    assert found.cost <= 5
    one = nakami.tune(network(), batches(1)[0], "cross_entropy", steps=1000)
    assert "one batch shows no scatter" in str(one)

    class Recurrent(nn.GRU):
        def forward(self, x):
            return super().forward(x)[0][:, -1]

    sequences = [(x[:, None], y) for x, y in batches(10)]
    torch.manual_seed(0)
    found = nakami.tune(Recurrent(10, 4, batch_first=True), sequences, "cross_entropy", steps=100)
    assert "Recurrent can explode" in str(found)


def test_code_whose_rate_is_in_doubt_says_why():
    shuffled = [(x, y[torch.randperm(16)]) for x, y in batches()]
    found = nakami.tune(network(), shuffled, "cross_entropy", steps=1500)
    for host in ("torch", "lightning", "transformers"):
        comment = [line for line in found.snippet(host).split("\n") if line.startswith("# ")]
        words = " ".join(line.removeprefix("# ") for line in comment)
        assert words.startswith("The rate is in doubt: gradients of 16 batches show no link")
        assert max(map(len, comment)) < 100
    sure = nakami.tune(network(), batches(), "cross_entropy", steps=1500)
    assert sure.snippet().startswith("import torch")


class Idle(nn.Module):
    """A network with a weight that has no gradient."""

    def __init__(self):
        super().__init__()
        self.inner, self.idle = network(), nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.inner(x) + 0 * self.idle.sum()


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_weight_decay_leaves_what_is_said_of_a_weight(name):
    model = Idle()
    more = {"momentum": 0.9, "weight_decay": 0.003} if name == "SGD" else {"weight_decay": 0.05}
    given = getattr(torch.optim, name)(model.parameters(), lr=1.0, **more)
    found = nakami.tune(model, batches(), "cross_entropy", steps=400, optimizer=given)
    part = next(choice for choice in found.choices if choice.name == "weight decay")
    inside = {"model": model}
    exec(found.snippet(), inside)
    for t in range(400):
        x, y = batches()[t % 40]
        inside["optimizer"].zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        inside["optimizer"].step()
        inside["scheduler"].step()
    left = float(model.idle[0].detach())
    assert 0.05 < left < 0.98
    assert part.outcome.numbers["left"] == pytest.approx(left, rel=0.03)
    assert f"leaves {part.outcome.numbers['left']:.1%} of a weight" in part.reason


def test_weight_decay_that_an_optimizer_rescales_or_lacks_is_said():
    model = network()
    for given, kind in (
        (torch.optim.Adam(model.parameters(), weight_decay=0.1), ChoiceEnding.DECAY_UNKNOWN),
        ("momentum", ChoiceEnding.NO_DECAY),
    ):
        found = nakami.tune(model, batches(), "cross_entropy", steps=100, optimizer=given)
        part = {choice.name: choice for choice in found.choices}["weight decay"]
        assert part.outcome.kind is kind


def test_uneven_gradients_call_for_other_scales():
    """Thirty layers of tanh from torch's initial weights; an embedding counts no unused rows."""
    torch.manual_seed(0)
    layers = [m for _ in range(30) for m in (nn.Tanh(), nn.Linear(32, 32))]
    deep = nn.Sequential(nn.Linear(10, 32), *layers, nn.Linear(32, 4))
    embedded = nn.Sequential(nn.Embedding(5000, 8), nn.Flatten(), nn.Linear(80, 8), nn.Linear(8, 4))
    words = [(torch.randint(5000, (16, 10)), y) for _, y in batches()]
    for model, data in ((deep, batches()), (network(), batches()), (embedded, words)):
        found = nakami.tune(model, data, "cross_entropy", steps=100)
        part = {choice.name: choice for choice in found.choices}["initial scale"]
        loss = nn.functional.cross_entropy(model(data[0][0]), data[0][1])
        own = [m.weight for m in model if isinstance(m, nn.Linear)]
        sizes = [float(g.square().mean().sqrt()) for g in torch.autograd.grad(loss, own)]
        assert part.outcome.numbers["factor"] == pytest.approx(max(sizes) / min(sizes), rel=1e-3)
        assert part.converged == (model is not deep)
    assert "nakami.initialisation(model, inputs) proposes scales" in str(
        nakami.tune(deep, batches(), "cross_entropy", steps=100)
    )


SHAPES = ("constant", "cosine", "linear", "wsd")


@pytest.mark.parametrize("schedule", SHAPES)
def test_the_snippets_train_by_the_schedule_that_was_meant(schedule):
    model = network()
    given = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.8, weight_decay=0.01)
    found = nakami.tune(
        model, batches(), "cross_entropy", steps=60, optimizer=given, schedule=schedule
    )
    course = course_of(schedule, 60, 3, given)
    rate = float(f"{found.rate:.3g}")

    inside = {"model": model}
    exec(found.snippet(), inside)
    own = {"self": model}
    exec(found.snippet("lightning"), own)
    both = own["configure_optimizers"](model)
    assert both["lr_scheduler"]["interval"] == "step"
    for optimizer, scheduler in (
        (inside["optimizer"], inside["scheduler"]),
        (both["optimizer"], both["lr_scheduler"]["scheduler"]),
    ):
        group = optimizer.param_groups[0]
        assert type(optimizer) is torch.optim.SGD
        assert (group["momentum"], group["weight_decay"]) == (0.8, 0.01)
        for t in range(60):
            assert group["lr"] == pytest.approx(rate * course.factor(t), rel=1e-9)
            optimizer.step()
            scheduler.step()


@pytest.mark.parametrize("schedule", SHAPES)
def test_the_arguments_of_transformers_make_the_same_course(schedule, tmp_path):
    """Its warm-up and its decay begin a step apart from ours, so that rates differ by one."""
    found = nakami.tune(network(), batches(), "cross_entropy", steps=60, schedule=schedule)
    inside = {}
    exec(found.snippet("transformers").replace('"out"', repr(str(tmp_path))), inside)
    arguments = inside["arguments"]
    assert isinstance(arguments, TrainingArguments)
    assert arguments.max_grad_norm == 0
    assert arguments.weight_decay == 0.01
    trainer = Trainer(network(), arguments)
    optimizer, scheduler = trainer.create_optimizer(), trainer.create_scheduler(60)
    assert isinstance(optimizer, torch.optim.AdamW)
    course = course_of(schedule, 60, 3, optimizer)
    rate = float(f"{found.rate:.3g}")
    for t in range(60):
        step = 1 / 3 if t < 3 else 0.1 if schedule == "wsd" else 0.02
        made = optimizer.param_groups[0]["lr"] / rate
        assert made == pytest.approx(course.factor(t), abs=step)
        optimizer.step()
        scheduler.step()


def test_the_setting_trains_better_than_the_defaults():
    """AdamW at 0.001, constant, over the same 300 steps."""

    def final(make):
        torch.manual_seed(1)
        model, losses = network(), []
        optimizer, scheduler = make(model)
        for t in range(300):
            x, y = batches()[t % 40]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            losses.append(float(loss.detach()))
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
        return math.log(sum(losses[-15:]) / 15)

    found = nakami.tune(network(), batches(), "cross_entropy", steps=300)

    def tuned(model):
        inside = {"model": model}
        exec(found.snippet(), inside)
        return inside["optimizer"], inside["scheduler"]

    plain = final(lambda model: (torch.optim.AdamW(model.parameters(), 1e-3), None))
    assert final(tuned) < plain - 0.5


def test_optimizers_of_other_homes_are_imported_and_bad_ones_refused():
    found = nakami.tune(network(), batches(), "cross_entropy", steps=50, optimizer="sdprop")
    inside = {"model": network()}
    exec(found.snippet(), inside)
    assert type(inside["optimizer"]).__name__ == "SDProp"
    assert "nakami.optim.SDProp" in found.snippet("transformers")
    heavy = nakami.tune(network(), batches(), "cross_entropy", steps=50, optimizer="momentum")
    theirs = heavy.snippet("transformers")
    assert "optim=" not in theirs.replace("optimizer_cls", "")  # its sgd has no momentum
    assert f"(torch.optim.SGD, {{'lr': {heavy.rate:.3g}, 'momentum': 0.9}})" in theirs
    none = dataclasses.replace(heavy, rate=None)
    assert none.snippet().startswith("# No rate is known, 0.001 stands in its place.\nimport torch")
    with pytest.raises(UsageError, match="host must be one of"):
        found.snippet("jax")
    for wrong, words in (
        ({"steps": 0}, "steps must be a whole number from 1 on"),
        ({"budget": 1.5}, "budget must lie between 0 and 1"),
        ({"schedule": "sine"}, "schedule must be one of"),
        ({"schedule": lambda t: 1.0}, "schedule must be one of"),
    ):
        with pytest.raises(UsageError, match=words):
            nakami.tune(network(), batches(1), "cross_entropy", **{"steps": 50, **wrong})


class Stepped(torch.optim.SGD):
    """An optimizer that must know its own number, and passes the rest on."""

    def __init__(self, params, blocks, **more):
        super().__init__(params, **more)
        self.blocks = blocks


def test_the_arguments_of_any_class_are_those_it_was_made_with():
    """Of a class that takes matrices alone, one with a needed argument, and ones in tensors."""
    model = network()
    matrices = [model[0].weight, model[2].weight]
    for made, wanted in (
        (torch.optim.Muon(matrices, momentum=0.9), {"weight_decay": 0.1, "momentum": 0.9}),
        (torch.optim.Muon(matrices, weight_decay=0.0), {"weight_decay": 0.0}),
        (Stepped(model.parameters(), 3, momentum=0.5), {"blocks": 3, "momentum": 0.5}),
        (torch.optim.Adam(model.parameters(), betas=[0.8, 0.9]), {"betas": (0.8, 0.9)}),
        (
            torch.optim.AdamW(model.parameters(), weight_decay=torch.tensor(0.25)),
            {"weight_decay": 0.25},
        ),
        (torch.optim.Adafactor(model.parameters(), eps=(None, 0.01)), {"eps": (None, 0.01)}),
    ):
        found = nakami.tune(model, batches(), "cross_entropy", steps=50, optimizer=made)
        assert found.arguments == wanted
        again = type(made)(matrices, lr=1.0, **found.arguments)
        own, other = made.param_groups[0], again.param_groups[0]
        assert {k: own[k] for k in own if k not in ("params", "lr")} == {
            k: list(v) if isinstance(own[k], list) else v
            for k, v in other.items()
            if k not in ("params", "lr")
        }


def parted(model, kind=torch.optim.AdamW):
    """An optimizer of two groups: weights that decay, and a faster one without."""
    return kind(
        [
            {"params": [model[0].weight, model[2].weight], "lr": 0.1, "weight_decay": 0.3},
            {"params": [model[0].bias, model[2].bias], "lr": 1.0, "weight_decay": 0.0},
        ]
    )


def made_by(setting, host, model, tmp_path):
    """The optimizer that the code of a host makes, with rates at their peak."""
    if host == "lightning":
        inside = {}
        exec(setting.snippet(host), inside)
        optimizer = inside["configure_optimizers"](model)["optimizer"]
    else:
        inside = {"model": model, "train_dataset": [{"x": 0}]}
        exec(setting.snippet(host).replace('"out"', repr(str(tmp_path))), inside)
        if host == "transformers":
            trainer = inside["trainer"]
            trainer.create_optimizer_and_scheduler(setting.steps)
        optimizer = inside["trainer"].optimizer if host == "transformers" else inside["optimizer"]
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"]
    return optimizer


HOSTS = pytest.mark.parametrize("host", ["torch", "lightning", "transformers"])


@HOSTS
def test_the_code_keeps_groups_with_their_rates_and_decay(host, tmp_path):
    model = network()
    found = nakami.tune(model, batches(), "cross_entropy", steps=400, optimizer=parted(model))
    again = made_by(found, host, model, tmp_path)
    assert [[id(p) for p in group["params"]] for group in again.param_groups] == [
        [id(p) for p in group["params"]] for group in parted(model).param_groups
    ]
    rate = float(f"{found.rate:.3g}")
    slow, fast = again.param_groups
    assert (slow["lr"], fast["lr"]) == (pytest.approx(rate / 10, rel=5e-3), rate)
    assert (slow["weight_decay"], fast["weight_decay"]) == (0.3, 0.0)
    code = found.snippet(host)
    words = code[code.index("# The groups") :].replace("# ", "").replace("\n", " ")
    assert "groups of your optimizer, at 0.1, 1 times the rate" in " ".join(words.split())
    parts = {choice.name: choice for choice in found.choices}
    assert parts["optimizer"].reason == (
        "as given: 2 groups with 4 of 4 parameter tensors, at 0.1, 1 times the rate below; the "
        "code keeps them"
    )
    assert parts["weight decay"].value == "0.3, 0"
    factors = [found.advice.factor(t) for t in range(400)]
    left = math.prod(1 - 0.3 * 0.1 * found.rate * factor for factor in factors)
    assert (
        f"group by group it leaves {left:.1%}, 100.0% of a weight" in parts["weight decay"].reason
    )


@HOSTS
def test_the_code_keeps_to_the_part_that_an_optimizer_holds(host, tmp_path):
    model = network()
    last = torch.optim.Muon([model[2].weight], momentum=0.9)
    found = nakami.tune(model, batches(), "cross_entropy", steps=60, optimizer=last)
    (group,) = made_by(found, host, model, tmp_path).param_groups
    assert [id(p) for p in group["params"]] == [id(model[2].weight)]
    assert (group["momentum"], group["weight_decay"]) == (0.9, 0.1)
    assert group["lr"] == float(f"{found.rate:.3g}")
    reason = found.choices[0].reason
    assert reason == "as given: it trains 1 of 4 parameter tensors, and so does the code"
    assert "# The parameters that your optimizer holds, which are not all" in found.snippet(host)


def test_one_group_of_all_that_is_trained_needs_no_names():
    model = network()
    model[0].weight.requires_grad_(False)
    for held in (model.parameters(), [p for p in model.parameters() if p.requires_grad]):
        given = torch.optim.SGD(held, lr=1.0)
        found = nakami.tune(model, batches(), "cross_entropy", steps=60, optimizer=given)
        assert found.groups == ()
        assert "SGD(model.parameters(), lr=" in found.snippet()


@pytest.mark.parametrize("name", ["momentum", "sdprop", "adam"])
def test_the_trainer_trains_with_an_optimizer_that_its_arguments_have_no_name_for(name, tmp_path):
    model = network()
    found = nakami.tune(model, batches(), "cross_entropy", steps=60, optimizer=name)
    again = made_by(found, "transformers", model, tmp_path)
    assert type(again).__name__ == found.optimizer
    rate = float(f"{found.rate:.3g}")
    assert all(group["lr"] == rate for group in again.param_groups)
    assert all(
        group[key] == value
        for group in again.param_groups
        for key, value in found.arguments.items()
    )


@HOSTS
def test_a_class_that_no_module_shows_is_used_by_its_name(host):
    """As one that was defined in a function or a notebook."""

    class Inner(torch.optim.SGD):
        pass

    model = network()
    given = Inner(model.parameters(), lr=1.0, momentum=0.5)
    code = nakami.tune(model, batches(), "cross_entropy", steps=60, optimizer=given).snippet(host)
    inside = {"model": model, "Inner": Inner}
    exec(code[: code.index("trainer =")] if host == "transformers" else code, inside)
    if host == "transformers":
        kind, settings = inside["optimizer_cls_and_kwargs"]
        assert (kind, settings["momentum"]) == (Inner, 0.5)
        return
    found = inside["optimizer"] if host == "torch" else None
    found = found or inside["configure_optimizers"](model)["optimizer"]
    assert type(found) is Inner


@pytest.mark.parametrize("count", [1, 2])
def test_parameters_beside_the_model_are_named_as_left_out(count):
    """They were left out of the code in silence."""
    model = network()
    beside = [nn.Parameter(torch.zeros(3)) for _ in range(count)]
    optimizer = torch.optim.AdamW([*model.parameters(), *beside])
    found = nakami.tune(model, batches(), "cross_entropy", steps=200, optimizer=optimizer)
    part = found.choices[0]
    assert part.outcome.kind is ChoiceEnding.FOREIGN
    assert not part.converged
    tensors = "a parameter tensor that" if count == 1 else "2 parameter tensors that"
    assert f"as given, but for {tensors} the model does not hold" in part.reason
    assert "model.parameters()" in found.snippet()
