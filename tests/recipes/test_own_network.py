"""A network of the caller's own, trained on data by a schema."""

import math
import re
import shutil
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami import data, recipes
from nakami.recipes._own_loss import balanced, loss_of
from nakami.results import UsageError, read_record
from nakami.training import Scheduled, Supervised

pytest.importorskip("pyarrow")


def make(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))


def line(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(2, 1)


@pytest.fixture
def schema(tmp_path):
    rows = torch.randn(300, 2, generator=torch.Generator().manual_seed(1))
    lines = [f"{a},{b},{'in' if a * b > 0 else 'out'},{3 * a - b + 1}" for a, b in rows.tolist()]
    (tmp_path / "t.csv").write_text("a,b,class,level\n" + "\n".join(lines))
    found = data.inspect(tmp_path / "t.csv")
    text = found.to_toml(tmp_path)
    kept, _, _ = text.partition("[columns.level]")
    (tmp_path / "classes.toml").write_text(kept)
    level = '[columns.level]\ntype = "number"\nuse = "target"\nvector = "as stored"\n'
    (tmp_path / "numbers.toml").write_text(kept.partition("[columns.class]")[0] + level)
    return tmp_path


def test_it_learns_at_the_advised_rate_and_says_what_a_guess_gives(schema, tmp_path):
    name = recipes.own("nets:make", make)
    before = torch.get_rng_state()
    subject = recipes.prepare(name, tmp_path / "run", data=schema / "classes.toml")
    assert torch.equal(before, torch.get_rng_state())
    (network,) = subject.networks
    facts = {fact["label"]: fact["value"] for fact in network.facts}
    assert facts["test error"] < 15 < facts["error of the most frequent class"]
    spent = re.search(r"advised at the cost of (\d+) gradients", network.training)
    assert 80 < int(spent[1]) <= 120  # trials, though 5 % of these 120 steps are six gradients
    assert read_record(tmp_path / "run").settings["rate"] is None
    again = data.read_preparation(tmp_path / "run" / "preparation.json")
    assert again.components == ("a", "b")


def test_numbers_are_met_by_least_squares(schema, tmp_path):
    name = recipes.own("nets:line", line)
    settings = recipes.with_values(recipes.recipe_of(name).settings, {"epochs": 60})
    options = {"data": schema / "numbers.toml", "settings": settings}
    (network,) = recipes.prepare(name, tmp_path / "run", **options).networks
    facts = {fact["label"]: fact["value"] for fact in network.facts}
    assert facts["squared error of test rows"] < 1e-3  # the level is a plane
    assert facts["the same by the mean of the training rows"] > 5
    assert recipes.prepare(name, tmp_path / "run", **options).examples.labels is None


@pytest.mark.parametrize("vector", ["standardise", "unit"])
def test_squared_errors_are_told_in_the_unit_of_the_target(schema, tmp_path, vector):
    text = (schema / "numbers.toml").read_text()
    (schema / "scaled.toml").write_text(text.replace('"as stored"', f'"{vector}"'))
    name = recipes.own("nets:line", line)
    settings = recipes.with_values(recipes.recipe_of(name).settings, {"epochs": 2, "rate": 1e-2})
    options = {"data": schema / "scaled.toml", "settings": settings, "n_inputs": "all"}
    subject = recipes.prepare(name, tmp_path / "run", **options)
    network, names = subject.networks[0], subject.examples.names
    table = np.loadtxt(schema / "t.csv", delimiter=",", skiprows=1, usecols=(0, 1, 3))
    held = [int(each.split()[1]) - 1 for each in names]
    train, test = np.delete(table[:, 2], held), table[held, 2]
    least, most = train.min(), train.max()
    scale, shift = (most - least, least) if vector == "unit" else (train.std(), train.mean())
    with torch.no_grad():
        given = network.model(subject.examples.inputs).squeeze(1).numpy() * scale + shift
    truth = test.clip(least, most) if vector == "unit" else test
    error, guess = network.facts
    assert error["value"] == pytest.approx(((given - truth) ** 2).mean(), rel=1e-4)
    assert guess["value"] == pytest.approx(((train.mean() - truth) ** 2).mean(), rel=1e-4)
    cut = ", within the range of training rows" if vector == "unit" else ""
    assert error["unit"] == guess["unit"] == f"level squared{cut}"


def test_a_stopped_training_ends_in_the_same_bits(schema, tmp_path, monkeypatch):
    name = recipes.own("nets:make", make)
    settings = recipes.with_values(recipes.recipe_of(name).settings, {"epochs": 4, "rate": 0.01})
    options = {"data": schema / "classes.toml", "settings": settings}
    monkeypatch.setattr("nakami.training._training.SECONDS", 0.0)
    (whole,) = recipes.prepare(name, tmp_path / "whole", **options).networks

    def stop(done, total, left, what):
        if done == 2:
            shutil.copytree(tmp_path / "part", tmp_path / "stopped")

    recipes.prepare(name, tmp_path / "part", progress=stop, **options)
    (other,) = recipes.prepare(name, tmp_path / "stopped", **options).networks
    for one, two in zip(whole.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(one, two)


def test_larger_than_memory_it_is_trained_to_the_same_bits_and_goes_on(
    schema, tmp_path, monkeypatch
):
    name = recipes.own("nets:make", make)
    settings = recipes.with_values(recipes.recipe_of(name).settings, {"epochs": 4})
    monkeypatch.setattr("nakami.training._training.SECONDS", 0.0)

    def trained(run, budget, **options):
        files = recipes.DataFiles(schema / "classes.toml", memory_budget=budget)
        return recipes.prepare(name, tmp_path / run, data=files, settings=settings, **options)

    def stop(done, total, left, what):
        if done == 2:
            shutil.copytree(tmp_path / "mapped", tmp_path / "stopped")

    held = trained("held", None)
    assert not (schema / "classes.prepared").exists()
    runs = [trained("mapped", 1, progress=stop), trained("stopped", 1)]
    assert (schema / "classes.prepared").is_dir()
    examples = read_record(tmp_path / "held").settings["data"]
    for run, folder in zip(runs, ("mapped", "stopped"), strict=True):
        assert read_record(tmp_path / folder).settings["data"] == examples
        assert run.networks[0].facts == held.networks[0].facts
        own, other = (each.networks[0].model.parameters() for each in (held, run))
        assert all(torch.equal(a, b) for a, b in zip(own, other, strict=True))


def test_other_first_weights_are_another_training(schema, tmp_path):
    name = recipes.own("nets:make", make)
    settings = recipes.with_values(recipes.recipe_of(name).settings, {"epochs": 1, "rate": 0.01})
    options = {"data": schema / "classes.toml", "settings": settings}
    recipes.prepare(name, tmp_path / "run", **options)
    recipes.own("nets:make", lambda seed: make(seed + 1))
    with pytest.raises(UsageError, match="network"):
        recipes.prepare(name, tmp_path / "run", **options)


def test_one_that_is_not_known_here_is_refused_with_what_makes_it_so(tmp_path):
    with pytest.raises(UsageError, match=r"call recipes.own\(name, make\) first"):
        recipes.prepare("nets:nobody", tmp_path / "run", data="t.toml")


def test_without_data_or_a_target_it_is_refused(schema, tmp_path):
    name = recipes.own("nets:make", make)
    with pytest.raises(UsageError, match="data must be given to train a network of your own"):
        recipes.prepare(name, tmp_path / "run")
    text = (schema / "classes.toml").read_text().replace('"target"', '"ignored"')
    (schema / "none.toml").write_text(text)
    with pytest.raises(UsageError, match="data must name a target, got none"):
        recipes.prepare(name, tmp_path / "run", data=schema / "none.toml")


def test_rates_rise_and_fall_in_lines():
    net = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.5)
    method = Scheduled(Supervised(net, optimizer, nn.functional.mse_loss), 5, 15, 3)
    seen = []
    for epoch in range(3):
        method.epoch(epoch)
        for _ in range(5):
            method.step((torch.ones(1, 1), torch.ones(1, 1)), lambda loss, _: loss())
            seen.append(optimizer.param_groups[0]["lr"])
    expected = [0.5 * min((t + 1) / 4, 1) * (1 if t < 3 else 1 - (t - 3) / 12) for t in range(15)]
    assert all(math.isclose(a, b) for a, b in zip(seen, expected, strict=True))
    method.epoch(1)  # as after a stop
    method.step((torch.ones(1, 1), torch.ones(1, 1)), lambda loss, _: loss())
    assert math.isclose(optimizer.param_groups[0]["lr"], expected[5])


def test_a_network_that_does_not_fit_is_refused_before_any_advice(schema, tmp_path):
    wide = recipes.own("nets:wide", lambda seed: nn.Linear(5, 2))
    with pytest.raises(UsageError, match="model must take the inputs of the data"):
        recipes.prepare(wide, tmp_path / "run", data=schema / "classes.toml")
    few = recipes.own("nets:few", lambda seed: nn.Linear(2, 1))
    with pytest.raises(UsageError, match=r"model must give 2 numbers for each row, \(N, 2\), got"):
        recipes.prepare(few, tmp_path / "run", data=schema / "classes.toml")
    many = recipes.own("nets:many", make)
    with pytest.raises(UsageError, match=r"model must give 1 number for each row, .* got \(2, 2\)"):
        recipes.prepare(many, tmp_path / "run", data=schema / "numbers.toml")
    assert not (tmp_path / "run").exists()


def deep(seed=0, fixed=False):
    """Twelve tanh layers as torch draws them: their signals fade."""
    torch.manual_seed(0 if fixed else seed)
    hidden = [part for _ in range(12) for part in (nn.Linear(16, 16), nn.Tanh())]
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), *hidden, nn.Linear(16, 2))


def test_first_weights_are_scaled_where_signals_would_not_survive(schema, tmp_path):
    name = recipes.own("nets:deep", deep)
    usual = recipes.with_values(recipes.recipe_of(name).settings, {"epochs": 10})

    def prepared(run, **changes):
        settings = recipes.with_values(usual, changes)
        options = {"data": schema / "classes.toml", "settings": settings, "seed": 2}
        (network,) = recipes.prepare(name, tmp_path / run, **options).networks
        return network.training, network.facts[0]["value"]

    told, error = prepared("scaled")
    assert "; first weights scaled, as signal vanishes: over 13 layers the mean square of" in told
    assert error < 15
    assert prepared("scaled") == (told, error)  # read back
    assert "first weights" not in prepared("made", scale="as made")[0]
    # the scales are the proposal's, and begin the training again after a stop before any checkpoint
    prepared_data = data.prepare(data.read_schema(schema / "classes.toml"))
    inputs = prepared_data.examples("train").inputs[:64]
    proposed = nakami.initialisation(deep(2), inputs, seed=2).proposal.apply(deep(2))
    untouched, _ = prepared("stopped", epochs=0)
    (network,) = recipes.prepare(
        name,
        tmp_path / "stopped",
        data=schema / "classes.toml",
        settings=recipes.with_values(usual, {"epochs": 0}),
        seed=2,
    ).networks
    for one, other in zip(network.model.parameters(), proposed.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
    assert "first weights scaled" in untouched
    # what no seed changes was not drawn: a pretrained network stays as it is
    recipes.own("nets:deep", lambda seed: deep(fixed=True))
    assert "first weights as made, though signal vanishes" in prepared("fixed")[0]
    assert "no seed changes them, as if trained before" in prepared("fixed")[0]


def test_first_weights_that_cannot_be_read_stay_with_the_reason(schema, tmp_path):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.out = nn.GRU(1, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.gru(x[..., None])[0][:, -1])

    name = recipes.own("nets:last", lambda seed: Last())
    settings = recipes.with_values(recipes.recipe_of(name).settings, {"epochs": 1})
    options = {"data": schema / "classes.toml", "settings": settings}
    (network,) = recipes.prepare(name, tmp_path / "run", **options).networks
    assert "first weights as made: not read, as model must" in network.training


def test_weights_are_those_of_scikit_learns_formula_by_hand():
    labels = torch.tensor([2] * 6 + [0] * 3 + [3] * 1)  # n = 10, k = 3; class 1 has no row
    expected = [10 / (3 * 3), 0.0, 10 / (3 * 6), 10 / (3 * 1)]
    assert balanced(labels).tolist() == pytest.approx(expected)
    assert balanced(labels)[labels].mean().item() == pytest.approx(1)
    loss = loss_of(labels, "balanced").value
    z = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    p = z.double().exp() / z.double().exp().sum(1, keepdim=True)
    each = [-expected[c] * math.log(p[i, c]) for i, c in enumerate(labels.tolist())]
    assert loss(z, labels).item() == pytest.approx(sum(each) / 10, rel=1e-5)
    whole = loss(z, labels) * 10  # rows that processes share add up
    parts = loss(z[:4], labels[:4]) * 4 + loss(z[4:], labels[4:]) * 6
    assert parts.item() == pytest.approx(whole.item(), rel=1e-6)


def test_a_rare_class_counts_as_much_as_the_others_and_the_run_says_so(tmp_path):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(600, 2, generator=draw)
    rare = torch.rand(600, generator=draw) < 0.08
    pairs = zip(x.tolist(), rare.tolist(), strict=True)
    rows = [f"{a + 1.2 * r},{b},{'rare' if r else 'usual'}" for (a, b), r in pairs]
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "\n".join(rows))
    text = data.inspect(tmp_path / "t.csv").to_toml(tmp_path).replace("test = 0.1", "test = 0.4")
    (tmp_path / "s.toml").write_text(text)
    name = recipes.own("nets:make", make)
    found = {}
    for weights in ("equal", "balanced"):
        change = {"epochs": 30, "rate": 0.02, "weights": weights}
        settings = recipes.with_values(recipes.recipe_of(name).settings, change)
        options = {"data": tmp_path / "s.toml", "settings": settings}
        subject = recipes.prepare(name, tmp_path / weights, n_inputs="all", **options)
        (network,) = subject.networks
        answers, labels = network.model(subject.examples.inputs).argmax(1), subject.examples.labels
        missed = (answers != labels)[labels == 0].double().mean().item()  # rare
        found[weights] = missed, (answers != labels)[labels == 1].double().mean().item()
    assert found["balanced"][0] < found["equal"][0] - 0.3
    facts = {fact["label"]: fact["value"] for fact in network.facts}
    mean = 100 * sum(found["balanced"]) / 2
    assert facts["mean of the errors of the classes"] == pytest.approx(mean)
    assert "each row weighted by n / (k n_c)" in network.training
    record = read_record(tmp_path / "balanced")
    assert record.settings["weights"] == "balanced"
    assert record.result["phases"]["trained"]["loss"] == "weighted cross-entropy, nats"
    with pytest.raises(UsageError, match="weights"):  # trained by other weights
        recipes.prepare(name, tmp_path / "equal", **options)


def test_numbers_have_no_classes_to_balance(schema, tmp_path):
    name = recipes.own("nets:line", line)
    settings = recipes.with_values(recipes.recipe_of(name).settings, {"weights": "balanced"})
    with pytest.raises(UsageError, match="weights must go with classes, got a target of numbers"):
        recipes.prepare(name, tmp_path / "r", data=schema / "numbers.toml", settings=settings)
    assert not (tmp_path / "r").exists()


def test_a_rate_is_advised_for_weighted_classes_too(schema, tmp_path):
    name = recipes.own("nets:make", make)
    change = {"weights": "balanced", "epochs": 10}
    settings = recipes.with_values(recipes.recipe_of(name).settings, change)
    options = {"data": schema / "classes.toml", "settings": settings}
    (network,) = recipes.prepare(name, tmp_path / "run", **options).networks
    assert "advised at the cost of" in network.training


@pytest.mark.parametrize(("change", "said"), [
    (lambda net: net.double(), r"hold weights of float32, got 0.weight of torch.float64; end the"),
    (lambda net: net.requires_grad_(False), "hold weights that can be trained, got none; add a"),
    (lambda net: nn.Sequential(nn.LazyLinear(2)), "hold weights of known sizes, got 0.weight, wh"),
    (lambda net: nn.utils.vector_to_parameters(torch.full((82,), math.nan), net.parameters())
        or net, "hold finite weights, got NaN or infinity in 0.weight; correct the function"),
    (lambda net: nn.Sequential(net, nn.Linear(2, 3)), r"give 2 numbers for each row, \(N, 2\), g"),
])  # fmt: skip
def test_networks_that_cannot_be_trained_are_refused_with_what_to_do(
    schema, tmp_path, change, said
):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, of lazy layers
        name = recipes.own("nets:changed", lambda seed: change(make(seed)))
        with pytest.raises(UsageError, match=f"model must {said}"):
            recipes.prepare(name, tmp_path / "run", data=schema / "classes.toml")
    assert not (tmp_path / "run").exists()


def test_another_file_to_test_on_is_refused_beside_a_schema(schema, tmp_path):
    files = recipes.DataFiles(schema / "classes.toml", test=schema / "t.csv")
    with pytest.raises(UsageError, match=r"write path = '.*t\.csv' below \[split\]"):
        recipes.prepare(recipes.own("nets:make", make), tmp_path / "run", data=files)
