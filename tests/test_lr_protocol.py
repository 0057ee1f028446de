"""Advice on learning rates: its protocol stays as it was, its tasks build, its metric is right."""

import hashlib
import math

import numpy as np
import pytest
import torch

grid = pytest.importorskip("benchmarks.lr.grid", reason="the benchmarks are not installed")
from benchmarks.lr import score, tasks  # noqa: E402

FROZEN = "e4db059d6be4470d716c2c7aed72ac3d5b2b837d6ae68bc456c5642ff39e9cd5"
PARAMETERS = {  # counted by hand from the sizes
    "mlp-mnist": 784 * 300 + 300 + 300 * 100 + 100 + 1010,
    "cnn-fashion": 416 + 25 * 16 * 32 + 32 + 1568 * 100 + 100 + 1010,
    "cnn-cifar": 27 * 32 + 32 + 9 * 32 * 64 + 64 + 9 * 64 * 64 + 64 + 10250,
    "deep-tanh-mnist": 784 * 128 + 128 + 9 * (128 * 128 + 128) + 1290,
    "gru-nottingham": 3 * 128 * (88 + 128 + 2) + 128 * 88 + 88,
    "autoencoder-mnist": 2 * (784 * 256 + 256 * 64) + 256 + 64 + 256 + 784,
}


def synthetic(name, n=300):
    """Random examples in the form the task's data have."""
    rng = np.random.default_rng(0)
    settings = tasks.PROTOCOL["data"][tasks.PROTOCOL["task"][name]["data"]]
    if settings["kind"] == "text":
        return tasks.windows([rng.integers(0, 65, 64 * n + 1, dtype=np.uint8)], 64)
    if settings["kind"] == "piano":
        return tasks.windows([(rng.random((64 * n + 1, 88)) < 0.05).astype(np.uint8)], 64)
    shape = (3, 32, 32) if settings["kind"] == "npz" else (1, 28, 28)
    pixels = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.uint8) if name != "autoencoder-mnist" else None
    return tasks.pictures(settings, pixels, labels)


def test_the_protocol_is_as_it_was_before_any_advice():
    text = (tasks.ROOT / "benchmarks/lr/protocol.toml").read_bytes()
    assert hashlib.sha256(text).hexdigest() == FROZEN
    roles = [table["role"] for table in tasks.PROTOCOL["task"].values()]
    assert roles == ["development"] * 4 + ["held back"] * 4


@pytest.mark.parametrize("name", tasks.TASKS)
def test_grid_of_four_decades(name):
    for optimizer in tasks.OPTIMIZERS:
        rates = tasks.task(name).rates(optimizer)
        assert len(rates) == 13
        np.testing.assert_allclose(rates[3:] / rates[:-3], 10, rtol=1e-12)


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_step_of_each_task(name):
    task = tasks.task(name, synthetic(name))
    model, (x, y) = task.model(0), next(task.batches(0))
    assert len(x) == len(y) == task.settings["batch"]
    if name in PARAMETERS:
        assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]
    loss = task.loss()(model(x), y)
    assert loss.shape == ()
    chance = {"gru-nottingham": math.log(2), "transformer-shakespeare": math.log(65)}
    if name != "autoencoder-mnist":
        assert abs(loss.item() - chance.get(name, math.log(10))) < 0.7  # untrained
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_transformer_sees_nothing_later():
    model, x = tasks.task("transformer-shakespeare").model(0), torch.arange(64)[None]
    changed = x.clone()
    changed[0, 40] = 64
    moved = (model(x) - model(changed)).abs().amax(1)[0]
    assert moved[:40].max() == 0
    assert moved[40] > 1e-3


@pytest.mark.parametrize("name", ["resnet-cifar", "transformer-shakespeare"])
def test_a_seed_fixes_weights_and_batches(name):
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    task = tasks.task(name, synthetic(name))

    def made(seed, **options):
        batches = task.batches(seed, **options)
        return [next(batches)[0] for _ in range(7)], list(task.model(seed).parameters())

    first, again, other = made(1), made(1), made(2)
    for a, b in zip(first[0] + first[1], again[0] + again[1], strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[0][0], other[0][0])
    assert not torch.equal(first[1][0], other[1][0])
    assert not torch.equal(first[0][0], made(1, order="advice")[0][0])
    assert torch.equal(state, torch.random.get_rng_state())


def test_an_epoch_shows_each_example_at_most_once():
    pixels = np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1).repeat(28, 2).repeat(28, 3)
    flat = {"mean": [0.0], "std": [1 / 255]}
    task = tasks.task("cnn-fashion", tasks.pictures(flat, pixels, pixels[:, 0, 0, 0]))
    batches = task.batches(0)
    labels = torch.cat([next(batches)[1] for _ in range(3)])  # 3 x 64 of 200
    assert len(labels.unique()) == 192
    x, y = next(batches)
    torch.testing.assert_close(x[:, 0, 3, 4], y.float())


def test_windows_are_cut_inside_a_tune():
    made = tasks.windows([np.arange(9), np.arange(100, 104), np.arange(200, 205)], 4)
    x, y = made[torch.arange(len(made))]
    assert x.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [200, 201, 202, 203]]
    assert torch.equal(y, x + 1)


@pytest.mark.parametrize("name", tasks.TASKS)
def test_real_data(name):
    if words := tasks.missing(name):
        pytest.skip(words)
    task = tasks.task(name)
    x, y = next(task.batches(0))
    loss = task.loss()(task.model(0)(x), y).item()
    assert 0 < loss < 5
    if task.settings["data"] in ("mnist", "fashion-mnist", "cifar10"):
        every = task.examples[torch.arange(5000)][0]
        assert every.mean().abs() < 0.02  # the protocol's mean and std are those of the data
        assert abs(every.std().item() - 1) < 0.02


def test_final_loss_is_the_mean_of_the_last_ten_or_infinite():
    losses = np.ones((4, 200), np.float32)
    losses[0, 190:] = np.arange(10)
    losses[1, 50:] = np.nan
    losses[2, 3] = 2e6
    losses[3, 199] = np.inf
    assert score.final_losses(losses).tolist() == [4.5, np.inf, np.inf, np.inf]


def test_regret_by_hand():
    final = np.array([[2.0, 1.0, 0.1], [2.0, 1.0, np.inf], [2.0, 1.0, 0.1]])
    assert score.best_rate(final) == 1  # one seed of the last rate diverged
    even = score.regret(np.full(3, 1.2), final)
    assert even.mean == pytest.approx(math.log(1.2))
    assert even.error == pytest.approx(0, abs=1e-12)
    assert not even.passed
    assert score.regret(np.full(3, 1.1), final).passed  # log 1.1 = 0.095
    spread = score.regret(np.exp([0.0, 0.0, 0.9]), final)  # mean 0.3, error 0.9 / 3 = 0.3
    assert (spread.mean, spread.error) == (pytest.approx(0.3), pytest.approx(0.3))
    near = score.regret(np.exp([0.0, 0.3, 0.9]), final)  # mean 0.4, error 0.26
    assert near.error == pytest.approx(math.sqrt((0.16 + 0.01 + 0.25) / 6))
    assert not near.passed
    assert score.regret(np.full(3, 0.5), final).mean < 0
    assert not score.regret(np.array([1.0, 1.0, np.inf]), final).passed


def test_runs_are_repeatable_and_end_where_they_diverge():
    task = tasks.task("mlp-mnist", synthetic("mlp-mnist", 128))
    calm = grid.train(task, "sgd", 0, 0.1)
    np.testing.assert_array_equal(calm, grid.train(task, "sgd", 0, 0.1))
    assert calm.shape == (200,)
    assert calm[-1] < calm[0]
    wild = grid.train(task, "sgd", 0, 1e5)
    ended = int(np.argmax(~(wild <= 1e6)))
    assert 0 < ended < 199
    assert np.isnan(wild[ended + 1 :]).all()
    assert wild[0] == calm[0]


def test_a_killed_grid_goes_on(tmp_path, monkeypatch):
    ran = []

    def quick(task, optimizer, seed, rate):
        if len(ran) == 20:
            raise KeyboardInterrupt
        ran.append((seed, rate))
        return np.full(200, (seed + 1) * (1 + abs(math.log(rate))), np.float32)

    monkeypatch.setattr(grid, "train", quick)
    task = tasks.task("mlp-mnist")
    with pytest.raises(KeyboardInterrupt):
        grid.complete(task, "sgd", tmp_path)
    half = grid.read("mlp-mnist", "sgd", tmp_path)
    assert half.done.sum() == 20
    assert "not complete" in grid.line(half)
    ran.append(None)
    grid.complete(task, "sgd", tmp_path)
    whole = grid.read("mlp-mnist", "sgd", tmp_path)
    assert whole.done.all()
    assert len(ran) == 40  # 39 runs, none twice
    assert len(set(ran)) == 40
    assert task.rates("sgd")[score.best_rate(whole.final)] == pytest.approx(1.0)
    changed = {**grid.RUN, "steps": 100}
    monkeypatch.setattr(grid, "RUN", changed)
    with pytest.raises(SystemExit, match="was made under another protocol; delete it"):
        grid.read("mlp-mnist", "sgd", tmp_path)


def test_two_processes_share_no_case(tmp_path, capsys):
    with grid.alone("mlp-mnist.sgd", tmp_path) as mine:
        assert mine
        grid.complete(tasks.task("mlp-mnist"), "sgd", tmp_path)  # opens the file anew, as another
    assert "another process works on it" in capsys.readouterr().out
    assert not (tmp_path / "mlp-mnist.sgd.npz").exists()
