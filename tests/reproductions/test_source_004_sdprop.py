"""The parts of the comparison of optimizers: nets, the search for rates, one training, the page."""

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[2] / "reproductions"
NAME = "source_004_sdprop"


@pytest.fixture(scope="module")
def script():
    if not FOLDER.is_dir():
        pytest.skip("the reproductions are not part of this installation")
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location(NAME, FOLDER / f"{NAME}.py")
    module = sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path


def part(script, name):
    return sys.modules[f"_optimizer_{name}"]


def test_nets_have_the_sizes_of_their_originals(script):
    tasks = part(script, "tasks")
    sizes = {
        task.name: sum(p.numel() for p in task.net().parameters()) for task in tasks.TASKS.values()
    }
    convolutions = (25 * 32 + 32) + (25 * 32 * 64 + 64)
    assert sizes["mnist-10"] == convolutions + (64 * 2 * 2 * 200 + 200) + (200 * 10 + 10)
    blocks = 4 * (12 * 128**2 + 2 * 128) + 128
    assert sizes["nanogpt"] == 65 * 128 + 64 * 128 + blocks  # nanoGPT prints 0.80M, less positions
    deep = tasks.deep_net()
    assert sum(isinstance(m, torch.nn.Linear) for m in deep) == 20
    assert tasks.demo_net()(torch.zeros(2, 1, 32, 32)).shape == (2, 10)
    assert tasks.CharacterGRU()(torch.zeros(2, 5, dtype=torch.long)).shape == (2, 5, 65)


def test_gpt_hears_the_past_alone_and_begins_at_chance(script):
    torch.manual_seed(0)
    net = part(script, "tasks").NanoGPT()
    x = torch.randint(65, (2, 64))
    y = x.clone()
    y[:, 40] = (x[:, 40] + 1) % 65
    with torch.no_grad():
        a, b = net(x), net(y)
    assert torch.equal(a[:, :40], b[:, :40])
    assert not torch.equal(a[:, 41:], b[:, 41:])
    # logits of deviation sqrt(128) 0.02 (their input is normalised), the own token's somewhat
    # larger: chance and about half their variance
    loss = -a.log_softmax(-1).mean().item() - math.log(65)
    assert 0.8 < loss / (128 * 0.02**2 / 2) < 1.6


@pytest.mark.parametrize(
    ("loss", "tried"),
    [
        (lambda k: 1 + (k + 6) ** 2, [-7, -6, -5]),
        (lambda k: 1 + (k + 3) ** 2, [-7, -6, -5, -4, -3, -2]),
        (lambda k: 1 + 0.01 * (k + 7) ** 2, [-11, -10, -9, -8, -7, -6, -5, -4, -3]),
        (lambda k: None if k > -8 else 1 + (k + 8) ** 2, [-9, -8, -7, -6, -5]),
    ],
)
def test_search_goes_on_until_both_ends_are_worse(script, loss, tried):
    losses = script.search(loss, -6)
    assert sorted(losses) == tried
    assert all(losses[k] > 1.1 for k in (min(tried), max(tried)))


def test_search_ends_where_nothing_trains(script):
    assert len(script.search(lambda k: None, -6)) == script.MOST


def test_usable_rates_are_the_neighbours_of_the_best(script):
    usable = part(script, "report").usable
    losses = {0.001: 1.05, 0.003: 2.0, 0.01: 1.09, 0.03: 1.0, 0.1: 1.1, 0.3: 1.2}
    assert usable(losses, 1.1) == [0.01, 0.03, 0.1]
    assert usable({}, 1.1) == []


def test_schedule(script):
    shares = [script.factor(step, 100, 5) for step in range(100)]
    assert shares[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert shares[5] == 1
    assert shares[-1] == pytest.approx(0.1)
    assert sum(shares[5:]) / 95 == pytest.approx(0.55)  # the mean of the cosine


def test_orthogonalised_as_by_torch(script):
    methods = part(script, "methods")
    generator = torch.Generator().manual_seed(0)
    for shape in ((20, 60), (60, 20)):
        grad = torch.randn(shape, generator=generator)
        found = methods.newton_schulz(grad, (3.4445, -4.7750, 2.0315), 5, 1e-7)
        u, s, v = torch.linalg.svd(grad.double(), full_matrices=False)
        s = s / s.square().sum().sqrt()
        for _ in range(5):
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        assert (found - u * s @ v).abs().max() < 1e-5


def test_muon_steps_hidden_matrices_alone(script):
    methods, tasks = part(script, "methods"), part(script, "tasks")
    count = {
        name: sum(p.numel() for p in methods.hidden_matrices(tasks.TASKS[name].net()))
        for name in ("mnist-10", "gru", "nanogpt")
    }
    assert count == {
        "mnist-10": 256 * 200,
        "gru": 3 * 64 * (32 + 64),
        "nanogpt": 4 * 12 * 128**2,
    }


@pytest.fixture(scope="module")
def small(script):
    """Two kinds of small pictures, and a linear net."""
    tasks = part(script, "tasks")
    generator = torch.Generator().manual_seed(1)
    y = torch.randint(2, (80,), generator=generator)
    x = torch.randn(80, 1, 3, 3, generator=generator) + y.view(-1, 1, 1, 1)
    data = tasks.Pictures(*((x[i : i + 30], y[i : i + 30]) for i in (0, 25, 50)))

    def net():
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(9, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)
        )

    return tasks.Task("small", "", net, lambda: data, 10, 30), data


def test_a_training_depends_on_its_seed_alone(script, small):
    task, data = small
    method = script.METHODS["SDProp"]
    first, again, other = (script.train(task, data, method, 0.01, s, 30) for s in (0, 0, 1))
    assert {**first, "cpu": 0} == {**again, "cpu": 0}
    assert first["valid"] != other["valid"]
    assert first["test accuracy"] > 0.6


@pytest.mark.parametrize("name", ["SGD, momentum 0.9", "vSGD, block", "Muon and AdamW", "Adastand"])
def test_methods_learn(script, small, name):
    task, data = small
    method = script.METHODS[name]
    record = script.train(task, data, method, method.start or 1.0, 0, 60)
    assert record["valid"] < 0.6  # chance is 0.69


def test_decay_is_the_recipes_at_any_rate(script, small):
    task, data = small
    decayed = replace(task, decay=1e-2, schedule=False)
    seen = []

    class Still(torch.optim.SGD):
        def step(self, closure=None):
            seen.append(self.param_groups[0]["params"][0].detach().norm().item())

    method = replace(
        script.METHODS["SDProp"], build=lambda net, lr, recipe: [Still(net.parameters(), lr)]
    )
    script.train(decayed, data, method, 10.0, 0, 3)
    assert seen[1] / seen[0] == pytest.approx(0.99, rel=1e-5)
    assert seen[2] / seen[1] == pytest.approx(0.99, rel=1e-5)


def test_a_training_that_is_not_finite_stops_and_has_no_loss(script, small):
    task, data = small
    record = script.train(task, data, script.METHODS["SGD, momentum 0.9"], 1e38, 0, 30)
    assert record["valid"] is None
    assert record["stopped"] < 30


def test_differences_by_seed(script):
    report = part(script, "report")
    methods = [script.METHODS[name] for name in ("SDProp", "RMSprop", "Lion")]
    losses = {"SDProp": (1.0, 2.0, 3.0), "RMSprop": (1.1, 2.11, 3.09), "Lion": (0.9, 2.3, 2.9)}
    records = {
        f"{name}/0.001/{seed}": {"test": loss, "test accuracy": 0.5, "cpu": 1, "with": ""}
        for name, values in losses.items()
        for seed, loss in enumerate(values)
    }
    mean, error = report.difference(records, methods[1], methods[0], 3)
    assert (mean, error) == pytest.approx((0.1, 0.01 / 3**0.5))
    assert report.against(records, methods[1], methods, 3) == "higher"
    assert report.against(records, methods[2], methods, 3) == "not decided"
    page = "\n".join(report.one_task(script.TASKS["deep"], methods, records, 3, 1.1))
    assert "+0.1000 ± 0.0058 *" in page


def test_a_run_goes_on_and_its_page_has_every_method(script, small, tmp_path, monkeypatch):
    task, _ = small
    names = ["SDProp", "SGD, momentum 0.9"]
    monkeypatch.setattr(script, "OUT", tmp_path)
    monkeypatch.setattr(script, "MOST", 4)
    quick = replace(task, steps=5)
    script.fill(quick, names[:1])
    first = script.kept(quick).records
    script.fill(quick, names)
    records = script.kept(quick).records
    assert {name: records[name] for name in first} == first
    for name in names:
        searched = [k for k in records if k.startswith(name) and k.endswith("/search")]
        assert len(searched) == 4
        best = min(searched, key=lambda k: records[k]["valid"])
        for seed in range(3):
            record = records[f"{best.removesuffix('search')}{seed}"]
            alone = script.train(quick, task.data(), script.METHODS[name],
                                 float(best.split("/")[1]), seed, 5)  # fmt: skip
            assert record["test"] == pytest.approx(alone["test"], rel=0.01)  # rates have 3 digits
    report = part(script, "report")
    methods = [script.METHODS[name] for name in names]
    page = "\n".join(report.report([quick], methods, {"small": records}, 3, 1.1))
    assert "Together: 1 task (small)" in page
    assert "Not run yet" not in page
    again = "\n".join(report.report([quick], [*methods, script.METHODS["Lion"]],
                                    {"small": records}, 3, 1.1))  # fmt: skip
    assert "Not run yet, or in part: small." in again
    assert "| Lion | not run |" in again
