"""The x-ray during training: right values, the same training, a budget that holds."""

import copy
import io
import re

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami.dynamics import XrayMonitor
from nakami.dynamics.monitor import _clock
from nakami.results import NakamiWarning, UsageError, XrayHistory
from pages import DOCS

ALL = float("inf")


def network():
    """Convolution, batch normalisation and dropout, all of which a training moves or draws from."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(48, 7), nn.Tanh(), nn.Linear(7, 3),
    )  # fmt: skip


def gathered():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(30, 1, 6, 6, generator=generator), torch.arange(30) % 3


class Training:
    """A loop with draws of its own, momentum and batches in a random order."""

    def __init__(self):
        self.net, (self.x, self.y) = network(), gathered()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
        torch.manual_seed(3)
        self.net(self.x)  # so that batch normalisation has seen something

    def step(self):
        here = torch.randint(0, 30, (10,))
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.net(self.x[here]), self.y[here]).backward()
        self.optimizer.step()

    def run(self, steps, monitor=None):
        for _ in range(steps):
            self.step()
            if monitor is not None:
                monitor.step()
        return self.net.state_dict()


def watched(training, **settings):
    settings = {"every": 2, "max_share": ALL, "stages": ["2", "7"], **settings}
    return XrayMonitor(training.net, training.x[:2], **settings)


@pytest.fixture
def ticking(monkeypatch):
    """Seconds that a test moves by hand."""
    now = [0.0]
    monkeypatch.setattr(_clock.time, "perf_counter", lambda: now[0])
    return now


def test_values_are_those_of_dense_autograd_at_the_weights_of_the_step():
    training = Training()
    monitor, k = watched(training, k=4), 4
    monitor.look()
    for _ in range(3):
        training.run(2, monitor)
        net = copy.deepcopy(training.net).eval().double()
        for s in monitor.history.looks[-1].spectra:
            x = training.x[s.input : s.input + 1].double()
            jac = torch.autograd.functional.jacobian(net[: int(s.stage) + 1], x)
            exact = torch.linalg.svdvals(jac.reshape(s.shape)).numpy()
            np.testing.assert_allclose(s.values, exact[: len(s.values)], rtol=1e-3)
            assert len(s.values) == min(k, len(exact))
            assert s.count_interval == pytest.approx(((exact > 1).sum(),) * 2)
            rank = (exact**2).sum() ** 2 / (exact**4).sum()
            assert s.effective_rank == pytest.approx(rank, rel=1e-4)
    history = monitor.history
    assert history.steps.tolist() == [0, 2, 4, 6]
    assert history.values.shape == (4, 2, 2, 4)
    assert np.isnan(history.values[:, 1, :, 3]).all()
    assert not np.isnan(history.values[:, :, :, :3]).any()
    assert history.converged.all()


def test_the_training_is_the_same_to_the_last_bit():
    plain = Training()
    wanted, random = plain.run(7), torch.get_rng_state()
    other = Training()
    monitor = watched(other)
    monitor.look()
    found = other.run(7, monitor)
    assert len(monitor.history.looks) == 4
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name
    assert all(module.training for module in other.net.modules())
    for p, q in zip(plain.net.parameters(), other.net.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)
    assert torch.equal(torch.get_rng_state(), random)


def test_looks_keep_to_the_budget_and_say_what_they_took(ticking):
    training = Training()
    monitor = watched(training, max_share=0.1, every=1)

    def look(film=monitor._film, real=monitor._film.look):
        found = real()
        ticking[0] += 3.0
        return found

    monitor._film.look = look
    for _ in range(100):
        ticking[0] += 1.0
        monitor.step()
        history = monitor.history
        if len(history.looks) > 1:
            assert history.share <= 0.1 + 1e-12
    # the first at once; then each where 3 s more are a tenth of the seconds since the first step
    assert history.steps.tolist() == [1, 61, 91]
    assert (history.spent, history.training) == (9.0, 99.0)
    assert len(history.skipped) == 97
    assert history.skipped[0].reason == "over the budget: 3 s expected, 0 s allowed"
    assert "9 s, 9.1 % of 99 s of training (budget 10 %), 97 looks left out" in repr(history)


def test_a_look_begins_where_the_last_one_ended():
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(n, 500, generator=generator)).Q for n in (620, 600))
    net = nn.Linear(600, 620)
    with torch.no_grad():
        net.weight.copy_((left / (1 + torch.arange(500)) ** 0.3) @ right.T)
    x = torch.randn(1, 600, generator=generator)
    monitor = XrayMonitor(net, x, k=4)
    first = monitor.look()
    with torch.no_grad():
        net.weight.add_(1e-4 * torch.randn(620, 600, generator=generator))
    monitor.step()
    warm, cold = monitor.look(), XrayMonitor(net, x, k=4).look()
    assert first.spectra[0].method == "krylov"
    assert warm.n_products <= 0.8 * cold.n_products
    exact = torch.linalg.svdvals(net.weight.detach().double())[:4].numpy()
    for look in (warm, cold):
        np.testing.assert_allclose(look.spectra[0].values, exact, rtol=1e-3)


def test_without_a_budget_only_asked_looks_are_taken():
    training = Training()
    monitor = watched(training, max_share=0)
    training.run(4, monitor)
    assert not monitor.history.looks
    monitor.look()
    assert monitor.finish().steps.tolist() == [4]


def test_a_resumed_training_goes_on_in_its_folder(tmp_path):
    whole = Training()
    monitor = watched(whole)
    whole.run(8, monitor)
    first = Training()
    monitor_first = watched(first, out=tmp_path)
    first.run(5, monitor_first)
    kept = io.BytesIO()
    torch.save((first.net.state_dict(), first.optimizer.state_dict(), torch.get_rng_state()), kept)
    state = monitor_first.state_dict()
    first.run(1, monitor_first)  # a look behind the checkpoint
    assert nakami.load(tmp_path).steps.tolist() == [2, 4, 6]
    again = Training()
    kept.seek(0)
    weights, momentum, random = torch.load(kept)
    again.net.load_state_dict(weights)
    again.optimizer.load_state_dict(momentum)
    resumed = watched(again, out=tmp_path)
    held = io.BytesIO()
    torch.save(state, held)
    held.seek(0)
    resumed.load_state_dict(torch.load(held, weights_only=True))
    assert nakami.load(tmp_path).steps.tolist() == [2, 4]
    torch.set_rng_state(random)
    again.run(3, resumed)
    found = resumed.finish()
    read = nakami.load(tmp_path)
    assert isinstance(read, XrayHistory)
    np.testing.assert_array_equal(read.steps, [2, 4, 6, 8])
    np.testing.assert_array_equal(read.values, found.values)
    np.testing.assert_allclose(read.values, monitor.history.values, rtol=1e-3)
    assert (read.share, read.skipped) == (found.share, found.skipped)
    with pytest.raises(UsageError, match=r"out must be empty where a training begins, got looks u"):
        watched(again, out=tmp_path).step()
    with pytest.raises(UsageError, match="k must be as in the run"):
        watched(again, out=tmp_path, k=2)
    change = nakami.compare(tmp_path, monitor.history).change("7", "largest")
    assert abs(change.mean) < 1e-3


def test_looks_left_out_stay_in_the_folder_where_a_look_is_taken_again_or_put_back(
    ticking, tmp_path
):
    training = Training()
    monitor = watched(training, max_share=0.1, every=1, out=tmp_path / "one")
    real = monitor._film.look

    def look():
        ticking[0] += 3.0
        return real()

    monitor._film.look = look
    for _ in range(3):  # the first is taken, two are left out
        monitor.step()
    monitor.look()
    monitor.look()
    wanted = monitor.history.skipped
    assert [one.step for one in nakami.load(tmp_path / "one").skipped] == [2, 3]
    other = watched(training, max_share=0.1, every=1, out=tmp_path / "two")
    other.load_state_dict(monitor.state_dict())
    found = nakami.load(tmp_path / "two")
    assert (found.skipped, found.steps.tolist()) == (wanted, [1, 3])


def test_a_finished_film_that_goes_on_is_unfinished_again(tmp_path):
    training = Training()
    monitor = watched(training, out=tmp_path / "film")
    training.run(2, monitor)
    monitor.finish()
    end = tmp_path / "film" / "result.json"
    assert end.exists()
    training.run(2, monitor)
    assert not end.exists()
    assert nakami.load(tmp_path / "film").steps.tolist() == [2, 4]


def test_what_fails_is_said_once_and_the_training_goes_on():
    training = Training()
    monitor = watched(training)
    training.run(2, monitor)
    with torch.no_grad():
        training.net[0].weight.mul_(torch.nan)
    with pytest.warns(NakamiWarning, match=r"the x-ray at step 4 failed, the training goes on: w"):
        training.run(2, monitor)
    training.run(2, monitor)
    history = monitor.history
    assert [one.step for one in history.skipped] == [4, 6]
    assert "holds NaN or infinite values" in history.skipped[0].reason
    assert "2 looks failed" in repr(history)
    assert [(n, "holds NaN" in why) for why, n in history.failures.items()] == [(2, True)]
    with pytest.raises(UsageError, match="holds NaN"):
        monitor.look()
    assert monitor.finish().skipped == history.skipped  # a step that failed is not tried again


@pytest.mark.parametrize("kind", [torch.linalg.LinAlgError, torch.OutOfMemoryError, RuntimeError])
def test_an_error_of_torch_in_a_look_does_not_stop_the_training(kind):
    training = Training()
    monitor = watched(training)

    def fail():
        raise kind("the SVD did not converge")

    monitor._film.look = fail
    with pytest.warns(NakamiWarning, match="step 2 failed, the training goes on: the SVD did not"):
        training.run(2, monitor)
    assert monitor.history.skipped[0].reason == "failed: the SVD did not converge"
    assert monitor.history.spent > 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"every": 0}, "every must be a whole number from 1 on, got 0; 100 is the default"),
        ({"k": 0}, "k must be a whole number from 1 on"),
        (
            {"max_share": -0.1},
            r"0 to 1, or infinite, got -0.1; pass 0.05 for 5 % or pass float\(\"inf\"\) for no",
        ),
        ({"max_share": 5}, "max_share must be a share from 0 to 1, or infinite, got 5"),
        ({"max_share": float("nan")}, "max_share must be a share from 0 to 1"),
        ({"max_share": True}, "max_share must be a share from 0 to 1"),
        ({"about": 3}, "about must be a mapping"),
        ({"stages": ["9"]}, "unknown"),
    ],
)
def test_wrong_use_is_refused_at_once(change, text):
    with pytest.raises(UsageError, match=text):
        watched(Training(), **change)


def test_a_state_of_something_else_is_refused():
    with pytest.raises(UsageError, match="state must be an XrayMonitor's, got"):
        watched(Training()).load_state_dict({"schema": 1})


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_the_lightning_of_the_page_runs(tmp_path, monkeypatch):
    pytest.importorskip("lightning", reason="lightning is not installed (extra train)")
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra test-all)")
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", (DOCS / "monitor.md").read_text("utf-8"), re.DOTALL)
    exec(compile(code[1], "monitor.md", "exec"), {})
    assert nakami.load("nakami-out/film").looks


def test_the_loop_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", (DOCS / "monitor.md").read_text("utf-8"), re.DOTALL)[
        0
    ]
    exec(compile(code, "monitor.md", "exec"), {})
    assert "4 looks from step 0 to 300" in capsys.readouterr().out
    assert nakami.load(tmp_path / "nakami-out/mlp-film").steps.tolist() == [0, 100, 200, 300]
